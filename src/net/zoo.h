/* SPDX-License-Identifier: Apache-2.0
 *
 * The zoo: descriptions embedded from src/net/models by cmake/embed.cmake.
 */
#ifndef PINION_NET_ZOO_H
#define PINION_NET_ZOO_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pinion__model {
    const char *name;
    const char *text; /* JSON, docs/network-json.md */
    size_t length;
} pinion__model;

/* name NULL ends it. */
extern const pinion__model pinion__models[];

/* Can `text` stand for a model in a file? A name of the zoo or a JSON description; never a path. */
bool pinion__model_valid(const char *text);

#endif
