/* SPDX-License-Identifier: Apache-2.0
 *
 * The zoo: descriptions embedded from src/net/models by cmake/embed.cmake.
 */
#ifndef PINION_NET_ZOO_H
#define PINION_NET_ZOO_H

#include <stddef.h>

typedef struct pinion__model {
    const char *name;
    const char *text; /* JSON, docs/network-json.md */
    size_t length;
} pinion__model;

/* name NULL ends it. */
extern const pinion__model pinion__models[];

#endif
