/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing the candidates of one record against each other, on a bench.
 */
#ifndef PINION_PLAN_CONTEST_H
#define PINION_PLAN_CONTEST_H

#include "plan/trial.h"

enum { PINION__CONTEST_CANDIDATES = 32 }; /* of a record; further ones are not timed */

/* How much is timed. */
typedef struct pinion__effort {
    bool in_turn;           /* one candidate after the other, minima; else alternating, medians */
    int64_t until_ns;       /* no run begins later */
    int min_runs, max_runs; /* of each candidate */
    double enough_ms;       /* no further run of a candidate (alternating: of all) when its runs took so long */
    double hopeless;        /* a candidate so many times slower than the best is given up */
} pinion__effort;

/* Sets ms and repetitions of the record's candidates; those that could not be run stay unknown. PINION_EDEVICE: the
 * processor failed. */
int pinion__contest_run(pinion__bench *bench, const pinion__record *record, const pinion__effort *effort);

#endif
