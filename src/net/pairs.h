/* SPDX-License-Identifier: Apache-2.0
 *
 * Key and value of metadata that is being gathered for a file.
 */
#ifndef PINION_NET_PAIRS_H
#define PINION_NET_PAIRS_H

#include "net/safetensors.h"

typedef struct pinion__pairs {
    pinion_context *ctx;
    pinion__st_pair *at;
    size_t count, capacity;
} pinion__pairs;

/* Both are copied. */
int pinion__pairs_add(pinion__pairs *pairs, const char *key, const char *value);

/* Takes the value, also on failure. */
int pinion__pairs_add_take(pinion__pairs *pairs, const char *key, char *value);

void pinion__pairs_fini(pinion__pairs *pairs);

#endif
