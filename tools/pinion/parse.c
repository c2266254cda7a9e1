/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing of options. "--name value" and "--name=value" are the same; "--" ends the options; an option given twice
 * or to a verb that does not take it is refused.
 */
#include "command.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int usage_error(const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "pinion: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

static void fill_defaults(options *out)
{
    pinion_train_options train = pinion_train_options_default();
    *out = (options){
        .seed = train.seed,
        .momentum = (double)train.momentum,
        .weight_decay = (double)train.weight_decay,
        .optimizer = (int)train.optimizer,
        .schedule = (int)train.schedule,
        .patience = PINION_PATIENCE_MEASURE,
    };
}

/* Which word of "a|b|c" is value: -1 when none. */
static int find_choice(const char *words, const char *value)
{
    size_t length = strlen(value);
    int index = 0;
    for (const char *word = words;; index++) {
        size_t end = strcspn(word, "|");
        if (end == length && memcmp(word, value, length) == 0)
            return index;
        if (!word[end])
            return -1;
        word += end + 1;
    }
}

const char *choice_name(const char *option_name, int value, char *buffer, size_t bytes)
{
    for (int i = 0; i < option_count; i++) {
        if (strcmp(option_table[i].name, option_name) != 0)
            continue;
        const char *word = option_table[i].argument;
        for (; value > 0; value--)
            word += strcspn(word, "|") + 1;
        snprintf(buffer, bytes, "%.*s", (int)strcspn(word, "|"), word);
    }
    return buffer;
}

static int parse_integer(const option *row, const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end)
        return usage_error("%s: '%s' is not a whole number", row->name, text);
    if (errno == ERANGE || (double)value < row->min || (double)value > row->max)
        return usage_error("%s: %s is out of range: expected %.0f to %.0f", row->name, text, row->min, row->max);
    *out = value;
    return EXIT_DONE;
}

static int parse_seed(const option *row, const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || text[0] == '-' || errno == ERANGE)
        return usage_error("%s: '%s' is not a whole number from 0 to 2^64-1", row->name, text);
    *out = value;
    return EXIT_DONE;
}

static int parse_float(const option *row, const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end)
        return usage_error("%s: '%s' is not a number", row->name, text);
    if (!isfinite(value) || value < row->min || value > row->max)
        return usage_error("%s: %s is out of range: expected %g to %g", row->name, text, row->min, row->max);
    *out = value;
    return EXIT_DONE;
}

/* Numbers separated by commas. */
static int parse_list(const option *row, const char *text, bool whole, number_list *out)
{
    int code = EXIT_DONE;
    *out = (number_list){.count = 0};
    for (bool more = true; more && code == EXIT_DONE; out->count++) {
        char word[64];
        size_t length = strcspn(text, ",");
        int64_t integer = 0;
        if (out->count == PINION_MAX_STAGES)
            return usage_error("%s: more than %d values", row->name, (int)PINION_MAX_STAGES);
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        code = whole ? parse_integer(row, word, &integer) : parse_float(row, word, &out->at[out->count]);
        if (whole)
            out->at[out->count] = (double)integer;
        more = text[length] == ',';
        text += length + more;
    }
    return code;
}

static int parse_size(const option *row, const char *text, size_t *out)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10), unit = 1;
    const char *letter = *end ? strchr(units, *end) : NULL;
    bool automatic = strcmp(text, "auto") == 0;
    if (automatic || strcmp(text, "none") == 0) {
        *out = automatic ? MEMORY_AUTO : 0;
        return EXIT_DONE;
    }
    if (letter) {
        unit = 1ull << (10 * (letter - units + 1));
        end++;
    }
    if (end == text || *end || text[0] < '0' || text[0] > '9')
        return usage_error("%s: '%s' is not a size: expected bytes, or a number with K, M or G, or auto or none",
                           row->name, text);
    if (errno == ERANGE || value == 0 || value > (SIZE_MAX - 1) / unit)
        return usage_error("%s: %s is out of range: expected 1 to %zu bytes", row->name, text, (size_t)SIZE_MAX - 1);
    *out = (size_t)(value * unit);
    return EXIT_DONE;
}

static bool is_automatic(const options *given)
{
    return given->mem_limit == MEMORY_AUTO || !was_given(given, "--mem-limit");
}

size_t memory_limit(const options *given)
{
    return is_automatic(given) ? 0 : given->mem_limit;
}

float recompute_share(const options *given)
{
    return is_automatic(given) ? PINION_RECOMPUTE_SHARE_AUTO : 0.0f;
}

static int set_value(const option *row, const char *text, options *out)
{
    char *field = (char *)out + row->offset;
    int64_t integer = 0;
    int code = EXIT_DONE;
    switch (row->type) {
    case OPTION_STRING:
        if (!*text)
            return usage_error("%s: the value is empty", row->name);
        memcpy(field, &text, sizeof text);
        return EXIT_DONE;
    case OPTION_INT:
        code = parse_integer(row, text, &integer);
        if (code == EXIT_DONE)
            *(int *)(void *)field = (int)integer;
        return code;
    case OPTION_INT64:
        return parse_integer(row, text, (int64_t *)(void *)field);
    case OPTION_SEED:
        return parse_seed(row, text, (uint64_t *)(void *)field);
    case OPTION_FLOAT:
        return parse_float(row, text, (double *)(void *)field);
    case OPTION_INT_LIST:
    case OPTION_FLOAT_LIST:
        return parse_list(row, text, row->type == OPTION_INT_LIST, (number_list *)(void *)field);
    case OPTION_SIZE:
        return parse_size(row, text, (size_t *)(void *)field);
    case OPTION_FLAG:
        *(bool *)(void *)field = true;
        return EXIT_DONE;
    case OPTION_CHOICE:
        break;
    }
    int choice = find_choice(row->argument, text);
    if (choice < 0)
        return usage_error("%s: '%s' is unknown: expected %s", row->name, text, row->argument);
    *(int *)(void *)field = choice;
    return EXIT_DONE;
}

/* Verbs may have options of their own under the same name. */
static int find_option(const char *text, size_t length, unsigned verbs)
{
    for (int i = 0; i < option_count; i++)
        if (strlen(option_table[i].name) == length && memcmp(option_table[i].name, text, length) == 0 &&
            (option_table[i].verbs & verbs))
            return i;
    return -1;
}

/* Takes the option at argv[at]; *used is how many arguments it took. */
static int take_option(const verb *which, int argc, char **argv, int at, options *out, int *used)
{
    const char *text = argv[at];
    size_t length = strcspn(text, "=");
    int index = find_option(text, length, (unsigned)which->bit);
    if (index < 0)
        return usage_error("%s: unknown option '%.*s' (see: pinion help %s)", which->name, (int)length, text,
                           which->name);
    const option *row = &option_table[index];
    if (out->given & (UINT64_C(1) << index))
        return usage_error("%s: given twice", row->name);
    const char *value = text[length] ? text + length + 1 : NULL;
    *used = 1;
    if (row->type == OPTION_FLAG && value)
        return usage_error("%s: takes no value, got '%s'", row->name, value);
    if (row->type != OPTION_FLAG && !value) {
        if (at + 1 >= argc)
            return usage_error("%s: a value is missing: expected %s", row->name, row->argument);
        value = argv[at + 1];
        *used = 2;
    }
    out->given |= UINT64_C(1) << index;
    return set_value(row, value, out);
}

static int check_required(const verb *which, const options *out)
{
    const char *word = which->required;
    while (word && *word) {
        size_t length = strcspn(word, " ");
        int index = find_option(word, length, (unsigned)which->bit);
        assert(index >= 0);
        if (!(out->given & (UINT64_C(1) << index)))
            return usage_error("%s: %.*s is missing (see: pinion help %s)", which->name, (int)length, word,
                               which->name);
        word += length + strspn(word + length, " ");
    }
    return EXIT_DONE;
}

/* What belongs to --groups wants it; train, whose weights may say it, looks by itself. */
static int check_groups(const verb *which, const options *out)
{
    if (which->bit == VERB_TRAIN)
        return EXIT_DONE;
    if (!out->groups && (was_given(out, "--connect") || was_given(out, "--static")))
        return usage_error("%s: %s: --groups is missing", which->name,
                           was_given(out, "--static") ? "--static" : "--connect");
    if (out->static_width > out->groups)
        return usage_error("%s: --static: there is no width %d: --groups is %d", which->name, out->static_width,
                           out->groups);
    return EXIT_DONE;
}

int parse_options(const verb *which, int argc, char **argv, options *out)
{
    fill_defaults(out);
    out->inputs = argv;
    for (int at = 0; at < argc;) {
        if (strcmp(argv[at], "--") == 0) {
            for (at++; at < argc; at++)
                out->inputs[out->input_count++] = argv[at];
            break;
        }
        if (argv[at][0] != '-' || !argv[at][1]) {
            out->inputs[out->input_count++] = argv[at++];
            continue;
        }
        int used = 0;
        int code = take_option(which, argc, argv, at, out, &used);
        if (code != EXIT_DONE)
            return code;
        at += used;
    }
    if (out->input_count > 0 && !*which->operands)
        return usage_error("%s: unexpected argument '%s' (see: pinion help %s)", which->name, out->inputs[0],
                           which->name);
    int code = check_required(which, out);
    return code == EXIT_DONE ? check_groups(which, out) : code;
}

bool was_given(const options *given, const char *name)
{
    int rows = 0;
    bool found = false;
    for (int i = 0; i < option_count; i++)
        if (strcmp(option_table[i].name, name) == 0) {
            rows++;
            found = found || (given->given >> i & 1);
        }
    assert(rows > 0);
    return found;
}
