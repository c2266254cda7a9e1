/* SPDX-License-Identifier: Apache-2.0
 *
 * The order in which variables are eliminated. See elimination.h.
 */
#ifndef PINION_PLAN_ELIMINATION_ORDER_H
#define PINION_PLAN_ELIMINATION_ORDER_H

#include "base/context.h"

/* Which variables meet in a factor: `words` words a row, bit v of row u: u and v do; none meets itself. */
typedef struct pinion__meeting {
    int count;
    size_t words;
    uint64_t *rows;
} pinion__meeting;

static inline uint64_t *pinion__meeting_row(const pinion__meeting *meeting, int variable)
{
    return meeting->rows + (size_t)variable * meeting->words;
}

static inline void pinion__meeting_add(pinion__meeting *meeting, int a, int b)
{
    pinion__meeting_row(meeting, a)[b / 64] |= UINT64_C(1) << (b % 64);
    pinion__meeting_row(meeting, b)[a / 64] |= UINT64_C(1) << (a % 64);
}

/* order: each variable once. sizes: how many values each has. Empties `meeting`. PINION_EUNSUPPORTED: a table of more
 * than `limit` entries. */
int pinion__elimination_order(pinion_context *ctx, pinion__meeting *meeting, const int *sizes, size_t limit,
                              int *order);

#endif
