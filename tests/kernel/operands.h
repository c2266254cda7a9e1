/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a case's operands. Each operand has a block of its own: canary bytes, the elements (from an odd address
 * and, for activations, as channel slices with ld > c), canary bytes. Canaries, gaps between pixels and outputs before
 * a run are all bytes 0xFF, which are NaN in float and double. Several sets of blocks of one layout (given values,
 * expected results, results) are copied and compared as a whole.
 */
#ifndef TESTS_KERNEL_OPERANDS_H
#define TESTS_KERNEL_OPERANDS_H

#include "kernel/case.h"

enum element { ELEMENT_FLOAT, ELEMENT_DOUBLE, ELEMENT_INT32, ELEMENT_UINT8 };

typedef struct operand_memory {
    pinion__operand is;
    pinion__view view; /* data NULL; n = 0: absent */
    enum element element;
    size_t bytes, start; /* of the block; of the first element in it */
} operand_memory;

typedef struct layout {
    const kernel_case *c;
    int count;
    operand_memory at[PINION__MAX_OPERANDS];
} layout;

typedef struct blocks {
    unsigned char *at[PINION__MAX_OPERANDS];
} blocks;

/* `slices`: gaps and odd addresses; without, operands lie as a plan lays them. */
void layout_init(layout *l, const kernel_case *c, bool slices);

/* Position of an operand with that role and index; -1: none. */
int layout_find(const layout *l, int role, int index);

/* Is the operand one that the pass writes? */
bool layout_written(const layout *l, int operand);

blocks blocks_create(const layout *l); /* exits the test when there is no memory */
void blocks_copy(const layout *l, const blocks *from, const blocks *to);
void blocks_destroy(const layout *l, blocks *b);

/* View of an operand in these blocks; data NULL where it is absent. */
pinion__view blocks_view(const layout *l, const blocks *b, int operand);

/* Arguments for a kernel on these blocks; scratch and workers are the caller's to fill in. */
pinion__args blocks_args(const layout *l, const blocks *b);

/* Element number i, counted over pixels and channels without the gaps. */
size_t element_count(const layout *l, int operand);
double element_get(const layout *l, const blocks *b, int operand, size_t i);
void element_set(const layout *l, const blocks *b, int operand, size_t i, double value);

/* The operand of which bytes changed that no pass may write: an input, a gap, a canary; -1: none. */
int blocks_stray_write(const layout *l, const blocks *before, const blocks *after);

#endif
