/* SPDX-License-Identifier: Apache-2.0
 *
 * CIFAR-10's binary version (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009): records of
 * 3073 bytes, a label and 1024 bytes each of red, green and blue, row by row. Parsing works on memory, so that it can
 * be fuzzed without files.
 */
#ifndef PINION_DATA_CIFAR10_H
#define PINION_DATA_CIFAR10_H

#include "base/context.h"

enum {
    PINION__CIFAR10_SIDE = 32,
    PINION__CIFAR10_PLANE = PINION__CIFAR10_SIDE * PINION__CIFAR10_SIDE,
    PINION__CIFAR10_RECORD = 1 + 3 * PINION__CIFAR10_PLANE,
    PINION__CIFAR10_CLASSES = 10,
    PINION__CIFAR10_NAME_BYTES = 64
};

typedef char pinion__cifar10_names[PINION__CIFAR10_CLASSES][PINION__CIFAR10_NAME_BYTES];

/* Checks all records of a file and counts them. PINION_EFORMAT: no record, a cut-off one, a label over 9. */
int pinion__cifar10_check(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                          int64_t *count);

/* One record as interleaved RGB; returns its label. */
int pinion__cifar10_unpack(const unsigned char *record, unsigned char *pixels);

/* Ten names, one a line; empty lines are passed over. */
int pinion__cifar10_parse_names(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                                pinion__cifar10_names names);

#endif
