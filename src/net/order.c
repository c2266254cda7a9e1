/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts a description's layers in an order in which inputs come first: depth first from each layer in the order of the
 * file, so a file in a valid order keeps it. A layer that is met while its own inputs are being followed closes a
 * cycle, which then lies on the stack.
 */
#include "net/description.h"
#include "net/text.h"
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    const pinion__entry *const *first = a, *const *second = b;
    return strcmp((*first)->name, (*second)->name);
}

static int find_input(const pinion__description *d, pinion__entry *const *sorted, const pinion__entry *entry, int input)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    const pinion__entry key = {.name = entry->input_names[input]}, *wanted = &key;
    if (strcmp(key.name, "input") == 0)
        return PINION_INPUT;
    pinion__entry *const *found = bsearch(&wanted, sorted, d->count, sizeof *sorted, compare_names);
    PINION_FAIL_IF(!found, PINION_EFORMAT, "%s: layer '%s' (%s): there is no layer %s to be its input", d->origin,
                   entry->name, entry->op->name, pinion__quote(key.name).text);
    return (int)(*found - d->entries);
fail:
    return status;
}

static int resolve(pinion__description *d)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    pinion__entry **sorted = NULL;
    PINION_TRY(pinion__alloc(ctx, d->count, sizeof *sorted, "layers", &sorted));
    for (size_t i = 0; i < d->count; i++)
        sorted[i] = &d->entries[i];
    qsort(sorted, d->count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < d->count; i++)
        PINION_FAIL_IF(strcmp(sorted[i - 1]->name, sorted[i]->name) == 0, PINION_EFORMAT,
                       "%s: layer '%s': there are two layers of that name", d->origin, sorted[i]->name);
    for (size_t i = 0; i < d->count; i++)
        for (int j = 0; j < d->entries[i].op->inputs; j++) {
            int input = find_input(d, sorted, &d->entries[i], j);
            if (input < PINION_INPUT)
                PINION_TRY(input);
            d->entries[i].inputs[j] = input;
        }
fail:
    pinion__release(ctx, sorted);
    return status;
}

static int fail_cycle(const pinion__description *d, const int *stack, int depth, int first)
{
    enum { SHOWN = 8 };
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    pinion__text names = {.ctx = ctx};
    int begin = depth;
    while (stack[begin] != first)
        begin--;
    /* The stack goes from reader to input: the data flows the other way. */
    for (int i = depth; i >= begin && depth - i < SHOWN; i--)
        PINION_TRY(pinion__text_add(&names, "'%s' -> ", d->entries[stack[i]].name));
    PINION_TRY(
        pinion__text_add(&names, depth - begin >= SHOWN ? "... -> '%s'" : "'%s'", d->entries[stack[depth]].name));
    PINION_FAIL_IF(true, PINION_EFORMAT, "%s: layers form a cycle: %s", d->origin, names.bytes);
fail:
    pinion__release(ctx, names.bytes);
    return status;
}

/* Appends the entry and all it depends on to the order. */
static int visit(pinion__description *d, int root, int *stack, size_t *ordered)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    int depth = 0;
    stack[0] = root;
    d->entries[root].visited = 0;
    while (depth >= 0) {
        pinion__entry *entry = &d->entries[stack[depth]];
        if (entry->visited == entry->op->inputs) {
            entry->done = true;
            d->order[(*ordered)++] = stack[depth--];
            continue;
        }
        int input = entry->inputs[entry->visited++];
        if (input == PINION_INPUT || d->entries[input].done)
            continue;
        if (d->entries[input].visited >= 0)
            PINION_TRY(fail_cycle(d, stack, depth, input));
        stack[++depth] = input;
        d->entries[input].visited = 0;
    }
fail:
    return status;
}

int pinion__description_order(pinion__description *d)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    int *stack = NULL;
    size_t ordered = 0;
    PINION_TRY(resolve(d));
    PINION_TRY(pinion__alloc(ctx, d->count, sizeof *stack, "layers", &stack));
    PINION_TRY(pinion__alloc(ctx, d->count, sizeof *d->order, "layers", &d->order));
    for (size_t i = 0; i < d->count; i++)
        if (!d->entries[i].done)
            PINION_TRY(visit(d, (int)i, stack, &ordered));
fail:
    pinion__release(ctx, stack);
    return status;
}
