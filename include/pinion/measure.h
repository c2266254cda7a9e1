/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing of repeated work: warm-up, repetitions, and their minimum, median and maximum.
 */
#ifndef PINION_MEASURE_H
#define PINION_MEASURE_H

#include <pinion/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_measure_options {
    int warm_steps;   /* untimed calls first: at least so many (default 2) ... */
    double warm_ms;   /* ... and for at least so long (default 300) */
    int repetitions;  /* timed calls; 0: as many as fit into budget_ms, at least 5 */
    double budget_ms; /* default 3000 */

    /* Called before the first timed call (done = 0) and after each, outside the time that is taken: where sensors are
     * read. NULL: nobody (default) */
    void (*between)(void *user, int done);
    void *between_user;
} pinion_measure_options;

typedef struct pinion_timing {
    double min_ms, median_ms, max_ms;
    int repetitions;
} pinion_timing;

pinion_measure_options pinion_measure_options_default(void);

/* Calls step(user) until the options are met. step returns 0, or a negative code that ends the measurement and is
 * passed on. options may be NULL. PINION_EINVAL: repetitions out of 0..1000000. */
int pinion_measure(pinion_context *ctx, int (*step)(void *user), void *user, const pinion_measure_options *options,
                   pinion_timing *out);

#ifdef __cplusplus
}
#endif
#endif
