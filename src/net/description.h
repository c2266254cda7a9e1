/* SPDX-License-Identifier: Apache-2.0
 *
 * A network description on its way from JSON text to a network: read (parse.c, parse_layer.c), ordered (order.c), built
 * (parse.c). Text of unknown origin: every failure here is PINION_EFORMAT with a sentence that begins with the
 * description's origin.
 */
#ifndef PINION_NET_DESCRIPTION_H
#define PINION_NET_DESCRIPTION_H

#include "net/network.h"
#include <jansson.h>

typedef struct pinion__entry {
    json_t *json;     /* borrowed from the root */
    const char *name; /* borrowed from the JSON */
    const pinion__op *op;
    const char *input_names[PINION__MAX_INPUTS]; /* borrowed from the JSON */
    int inputs[PINION__MAX_INPUTS];              /* entries, or PINION_INPUT */
    pinion__attributes attributes;
    int visited; /* while ordering: inputs followed so far; -1: not begun */
    bool done;
    int layer; /* its number in the network that is being built */
} pinion__entry;

typedef struct pinion__description {
    pinion_context *ctx;
    const char *origin;
    json_t *root;
    const char *name;
    pinion_shape input;
    pinion__entry *entries; /* in the order of the file */
    size_t count;
    int *order; /* of entries: inputs before those who read them, else as in the file */
} pinion__description;

/* Name, op, inputs' names and attributes of one layer. */
int pinion__entry_read(const pinion__description *description, size_t index, pinion__entry *entry);

/* Resolves the inputs' names and fills description->order. */
int pinion__description_order(pinion__description *description);

#endif
