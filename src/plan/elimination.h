/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact minimum of a sum of functions of a few discrete variables each ("factors", tables of numbers), by eliminating
 * one variable after the other: all factors of a variable become one table of the others that they speak of, with the
 * minimum over it. The order is chosen greedily so that few new pairs of variables meet (min-fill). Time and memory
 * grow with the largest table, hence exponentially with how entangled the factors are, but linearly with their number.
 *
 * Entries may be INFINITY: not allowed. Where several assignments are as good, which one is found depends on nothing
 * but the calls.
 */
#ifndef PINION_PLAN_ELIMINATION_H
#define PINION_PLAN_ELIMINATION_H

#include "base/context.h"

typedef struct pinion__elimination pinion__elimination;

enum { PINION__ELIMINATION_VALUES = 255, PINION__ELIMINATION_SCOPE = 8 };

int pinion__elimination_create(pinion_context *ctx, pinion__elimination **out);
void pinion__elimination_destroy(pinion__elimination *elimination); /* NULL: nothing */

/* A variable of `values` values, 1 … PINION__ELIMINATION_VALUES. *out: its number, from 0 on. */
int pinion__elimination_add_variable(pinion__elimination *elimination, int values, int *out);

/* A factor of up to PINION__ELIMINATION_SCOPE different variables. The table is copied; the last variable is the
 * fastest. */
int pinion__elimination_add_factor(pinion__elimination *elimination, const int *variables, int count,
                                   const double *table);

/* values[variable] of a minimum. Once. PINION_EUNSUPPORTED, before anything large is allocated: some table would have
 * more than `limit` entries. */
int pinion__elimination_solve(pinion__elimination *elimination, size_t limit, int *values);

#endif
