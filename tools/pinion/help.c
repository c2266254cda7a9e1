/* SPDX-License-Identifier: Apache-2.0
 *
 * Help, the man page and completion: three printings of the tables.
 */
#include "command.h"

#include <string.h>

/* Prints text in lines of at most `width` columns behind `indent` spaces. */
static void print_wrapped(const char *text, int indent, int width)
{
    int column = 0;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > 0 && column + 1 + length > width - indent) {
            printf("\n");
            column = 0;
        }
        printf("%*s%.*s", column == 0 ? indent : 1, "", length, text);
        column += length + (column > 0);
        text += length + (int)strspn(text + length, " ");
    }
    printf("\n");
}

static void print_synopsis(const verb *which)
{
    printf("pinion %s", which->name);
    for (int i = 0; i < option_count; i++) {
        const option *row = &option_table[i];
        if (!(row->verbs & (unsigned)which->bit))
            continue;
        bool required = which->required && strstr(which->required, row->name);
        printf(required ? " %s%s%s" : " [%s%s%s]", row->name, row->argument ? " " : "",
               row->argument ? row->argument : "");
    }
    printf("%s%s\n", *which->operands ? " " : "", which->operands);
}

static int print_overview(void)
{
    printf("pinion %s: train and run convolutional networks on small computers\n\nusage: pinion VERB [OPTIONS]\n\n",
           pinion_version());
    for (int i = 0; i < verb_count; i++)
        printf("  %-9s %s\n", verb_table[i].name, verb_table[i].summary);
    printf("\n'pinion help VERB' explains a verb. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad input file,\n"
           "4 out of memory, 130 interrupted (state saved).\n");
    return EXIT_DONE;
}

static int print_verb(const verb *which)
{
    printf("usage: ");
    print_synopsis(which);
    printf("\n");
    print_wrapped(which->text, 0, 100);
    printf("\n");
    for (int i = 0; i < option_count; i++) {
        const option *row = &option_table[i];
        if (!(row->verbs & (unsigned)which->bit))
            continue;
        printf("  %s%s%s\n", row->name, row->argument ? " " : "", row->argument ? row->argument : "");
        print_wrapped(row->help, 6, 100);
    }
    return EXIT_DONE;
}

/* troff: a leading dash of an option must not become a hyphen. */
static void print_troff(const char *text)
{
    for (; *text; text++)
        printf(*text == '-' ? "\\-" : *text == '\\' ? "\\e" : "%c", *text);
}

static void print_man_verb(const verb *which)
{
    printf(".SS pinion %s %s\n", which->name, which->operands);
    print_troff(which->text);
    printf("\n");
    for (int i = 0; i < option_count; i++) {
        const option *row = &option_table[i];
        if (!(row->verbs & (unsigned)which->bit))
            continue;
        printf(".TP\n.B ");
        print_troff(row->name);
        if (row->argument)
            printf(" \\fI%s\\fR", row->argument);
        printf("\n");
        print_troff(row->help);
        printf("\n");
    }
}

static int print_man(void)
{
    printf(".TH PINION 1 \"\" \"pinion %s\" \"User Commands\"\n", pinion_version());
    printf(".SH NAME\npinion \\- train and run convolutional networks on small computers\n");
    printf(".SH SYNOPSIS\n.B pinion\n.I VERB\n[\\fIOPTIONS\\fR]\n.SH VERBS\n");
    for (int i = 0; i < verb_count; i++)
        print_man_verb(&verb_table[i]);
    printf(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 bad input file, 4 out of memory, 130 interrupted "
           "(state saved).\n");
    printf(".SH ENVIRONMENT\n.TP\n.B PINION_ISA\nThe best instruction set that kernels may use: baseline, avx2, "
           "avx512, neon.\n.TP\n.B PINION_DEBUG\nWhen set, the trace of every failure goes to standard error.\n.TP\n.B "
           "PINION_WISDOM\nThe "
           "file that measured times are kept in, or off. Default: $XDG_CACHE_HOME/pinion/wisdom.json, else "
           "~/.cache/pinion/wisdom.json.\n.TP\n.B PINION_MASK\nKernels that are not chosen: patterns as of the shell, "
           "with "
           "commas between them, as in cpu:conv2d_*_winograd,opencl:linear_*.\n");
    return EXIT_DONE;
}

static int print_completion(void)
{
    printf("# bash completion for pinion\n_pinion()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='");
    for (int i = 0; i < verb_count; i++)
        printf("%s%s", i ? " " : "", verb_table[i].name);
    printf("'\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (int i = 0; i < verb_count; i++) {
        printf("        %s) words='", verb_table[i].name);
        for (int j = 0; j < option_count; j++)
            if (option_table[j].verbs & (unsigned)verb_table[i].bit)
                printf("%s ", option_table[j].name);
        printf("' ;;\n");
    }
    printf("        esac\n    fi\n    case $word in\n    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$word\")) ;;\n"
           "    *) COMPREPLY=($([ \"$COMP_CWORD\" -eq 1 ] && compgen -W \"$words\" -- \"$word\"; "
           "compgen -f -- \"$word\")) ;;\n    esac\n}\ncomplete -F _pinion pinion\n");
    return EXIT_DONE;
}

int run_help(const options *given)
{
    if (given->man)
        return print_man();
    if (given->completion)
        return print_completion();
    if (given->input_count == 0)
        return print_overview();
    const verb *which = find_verb(given->inputs[0]);
    if (!which)
        return usage_error("'%s' is not a verb (see: pinion help)", given->inputs[0]);
    return print_verb(which);
}
