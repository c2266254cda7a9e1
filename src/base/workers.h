/* SPDX-License-Identifier: Apache-2.0
 *
 * Parallel loops on a fixed set of threads: the caller's and helpers, which flush denormals and sleep when idle. Items
 * are claimed dynamically, so which thread runs an item is not fixed: results must depend on the item alone. `lane`
 * (0 … threads-1) names the running thread, for scratch memory only.
 *
 * A caller never waits for a helper that has not begun: one that is still waking up finds the items done and is not
 * missed. On a virtual machine waking takes some ten microseconds, as long as a small network's inference.
 */
#ifndef PINION_BASE_WORKERS_H
#define PINION_BASE_WORKERS_H

#include "base/context.h"

typedef struct pinion__workers pinion__workers;

/* Helpers stay on the cores to which the calling thread is bound. */
int pinion__workers_create(pinion_context *ctx, int threads, pinion__workers **out);
void pinion__workers_destroy(pinion__workers *workers);
int pinion__workers_threads(const pinion__workers *workers);

/* for (item = 0; item < count; item++) body(user, item, lane); — in parallel, returns when all are done. Not to be
 * called from inside a body. Loops of several callers run one after another. NULL workers: the plain loop on the
 * caller's thread. Never allocates. */
void pinion__parallel(pinion__workers *workers, size_t count, void (*body)(void *user, size_t item, int lane),
                      void *user);

/* Between the many short loops of a step threads may wait awake (for some milliseconds at most), which saves the
 * waking: from a call with true until each such call has had its one with false. Nothing happens where there are more
 * threads than cores. */
void pinion__workers_keep_awake(pinion__workers *workers, bool awake);

#endif
