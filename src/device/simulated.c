/* SPDX-License-Identifier: Apache-2.0
 *
 * A processor that exists for tests: CPU kernels without workers, each task after a delay that is a function of the
 * seed and of how many tasks it has run, so that tasks of several processors interleave in ever other ways.
 */
#include "base/random.h"
#include "device/processor.h"

#include <time.h>

typedef struct simulated {
    pinion__processor processor; /* first: a simulated is a processor */
    uint64_t seed;
    uint64_t tasks; /* run so far; the executor's thread only */
    int64_t max_delay_ns;
} simulated;

static void run(pinion__processor *processor, void (*body)(const void *args), const void *args)
{
    simulated *self = (simulated *)(void *)processor;
    if (self->max_delay_ns > 0) {
        float part = pinion__random_uniform(self->seed, PINION__RANDOM_TEST, 0, self->tasks++);
        int64_t delay = (int64_t)((double)part * (double)self->max_delay_ns);
        struct timespec time = {.tv_sec = (time_t)(delay / 1000000000), .tv_nsec = (long)(delay % 1000000000)};
        nanosleep(&time, NULL);
    }
    body(args);
}

static void destroy(pinion__processor *processor)
{
    pinion__release(processor->ctx, processor);
}

static const pinion__processor_class simulated_class = {.kind = "simulated", .run = run, .destroy = destroy};

int pinion__processor_create_simulated(pinion_context *ctx, const char *name, uint64_t seed, int64_t max_delay_ns,
                                       pinion__processor **out)
{
    int status = PINION_OK;
    simulated *self = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *self, "a processor", &self));
    PINION_TRY(pinion__processor_init(ctx, &self->processor, &simulated_class, name));
    self->seed = seed;
    self->max_delay_ns = max_delay_ns;
    memcpy(self->processor.description, "simulated", sizeof "simulated");
    *out = &self->processor;
    return PINION_OK;
fail:
    pinion__release(ctx, self);
    return status;
}
