/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading from the lines of a plan how its batch is cut (plan/lines.h): the slices in their order, each where the one
 * before it ends.
 */
#include "plan/lines.h"
#include "plan/slices.h"

#include <stdio.h>

/* Where the word that stands `words` from a line's end begins; NULL: the line has not so many. */
static const char *word_from_end(const char *text, int length, int words)
{
    int at = length;
    for (; words > 0 && at > 0; words--) {
        at--;
        while (at > 0 && text[at - 1] != ' ')
            at--;
    }
    return words == 0 ? text + at : NULL;
}

/* A number of at most six digits, more than any batch has; *text is behind it. -1: there is none. */
static int read_number(const char **text)
{
    int value = 0, digits = 0;
    for (; **text >= '0' && **text <= '9' && digits < 7; ++*text, digits++)
        value = value * 10 + (**text - '0');
    return digits > 0 && digits < 7 ? value : -1;
}

/* What a line says of a slice. */
typedef struct slice {
    int first, last; /* samples */
    const char *processor;
    int processor_length;
} slice;

/* "forward@0-4 KERNEL PROCESSOR START END" at the end of a line. */
static bool read_slice(const char *text, int length, slice *out)
{
    const char *pass = word_from_end(text, length, 5), *name = word_from_end(text, length, 3);
    if (!pass || !name)
        return false;
    const char *at = pass + strcspn(pass, " \n@");
    if (*at++ != '@')
        return false;
    *out = (slice){.first = read_number(&at), .processor = name, .processor_length = (int)strcspn(name, " \n")};
    out->last = *at == '-' ? (at++, read_number(&at)) : -1;
    return out->first >= 0 && out->last >= out->first && *at == ' ';
}

static int add_slice(pinion_context *ctx, const slice *of, pinion__processor *const *processors, int count,
                     pinion__cut *cut)
{
    int status = PINION_OK, p = 0;
    while (p < count && !pinion__lines_is(processors[p]->name, of->processor, of->processor_length))
        p++;
    PINION_FAIL_IF(p == count, PINION_EUNSUPPORTED,
                   "samples %d to %d of the batch are for processor '%.*s', which is not among those of this plan",
                   of->first, of->last, of->processor_length < 40 ? of->processor_length : 40, of->processor);
    PINION_FAIL_IF(cut->count == PINION__MAX_SLICES, PINION_EUNSUPPORTED, "a plan in more than %d slices of its batch",
                   PINION__MAX_SLICES);
    cut->n[cut->count] = of->last + 1 - of->first;
    cut->processor[cut->count++] = p;
fail:
    return status;
}

/* Every line of a slice is one of the cut's. */
static int check_slices(pinion_context *ctx, const char *lines, const pinion__cut *cut)
{
    int status = PINION_OK;
    for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        slice found;
        if (!read_slice(at, (int)strcspn(at, "\n"), &found))
            continue;
        int which = 0, first = 0;
        while (which < cut->count && (first != found.first || first + cut->n[which] != found.last + 1))
            first += cut->n[which++];
        PINION_FAIL_IF(which == cut->count, PINION_EUNSUPPORTED, "samples %d to %d are none of the slices of the batch",
                       found.first, found.last);
    }
fail:
    return status;
}

/* The op that a line names, "conv2d" of "conv1 conv2d+relu …"; NULL: there is none. */
static const pinion__op *op_of(const char *line)
{
    const char *at = line + strcspn(line, " \n");
    char name[32];
    at += *at == ' ';
    int length = (int)strcspn(at, "+ \n");
    snprintf(name, sizeof name, "%.*s", length, at);
    return length < (int)sizeof name ? pinion__op_find(name) : NULL;
}

/* Is this the line of a layer with weights, of a pass that begins so? */
static bool is_pass(const char *line, const char *pass)
{
    const char *found = word_from_end(line, (int)strcspn(line, "\n"), 5);
    const pinion__op *op = op_of(line);
    return op && pinion__slicing_has_weights(op) && found && strncmp(found, pass, strlen(pass)) == 0;
}

/* Such lines, of the same layer as `line` or, NULL, of any. */
static int count_lines(const char *lines, const char *pass, const char *line)
{
    int count = 0;
    size_t name = line ? strcspn(line, " \n") + 1 : 0;
    for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n')
        count += is_pass(at, pass) && (!line || strncmp(at, line, name) == 0);
    return count;
}

/* Which tasks are for all slices (slices_whole.c, slices_joined.c): layers whose forward pass is cut but not their
 * backward_weights; and how many layers are cut at all where not all are. */
static void read_whole(const char *lines, pinion__cut *cut)
{
    cut->whole = 0;
    for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n')
        cut->whole += is_pass(at, "backward_weights ") && count_lines(lines, "forward@", at) > 0;
    cut->leading = count_lines(lines, "forward ", NULL) ? count_lines(lines, "forward@0-", NULL) : 0;
}

int pinion__lines_cut(pinion_context *ctx, const char *lines, int batch, pinion__processor *const *processors,
                      int count, pinion__cut *out)
{
    int status = PINION_OK, samples = 0;
    pinion__cut cut = {0};
    bool sliced = false;
    for (bool more = true; more;) {
        more = false;
        for (const char *at = lines; *at && !more; at += strcspn(at, "\n"), at += *at == '\n') {
            slice found;
            if (!read_slice(at, (int)strcspn(at, "\n"), &found))
                continue;
            sliced = true;
            more = found.first == samples;
            if (more) {
                PINION_TRY(add_slice(ctx, &found, processors, count, &cut));
                samples = found.last + 1;
            }
        }
    }
    PINION_FAIL_IF(sliced && (cut.count < 2 || samples != batch), PINION_EUNSUPPORTED,
                   "%d slice%s with %d samples in all; expected 2 to %d slices that make the batch of %d", cut.count,
                   cut.count == 1 ? "" : "s", samples, PINION__MAX_SLICES, batch);
    PINION_TRY(check_slices(ctx, lines, &cut));
    if (sliced)
        read_whole(lines, &cut);
    *out = cut;
fail:
    return status;
}
