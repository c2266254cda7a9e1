/* SPDX-License-Identifier: Apache-2.0
 *
 * A processor without workers, an OpenCL device, gets as many as it has cores: their peak is the device's where it is
 * this CPU.
 */
#include "targets.h"
#include "base/context.h"
#include "peak.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SLEEP_US = 3000 };

void targets_check(const targets *list, int status)
{
    if (status == PINION_OK)
        return;
    fprintf(stderr, "%s\n", pinion_context_error(list->ctx));
    exit(1);
}

void targets_open(targets *list, pinion_context *ctx, const char *processors)
{
    *list = (targets){.ctx = ctx};
    targets_check(list, pinion__processors_choose(ctx, processors, &list->processors));
    list->count = list->processors.count;
    for (int i = 0; i < list->count; i++) {
        pinion__processor *processor = list->processors.at[i];
        list->at[i] = (target){.processor = processor, .workers = processor->workers};
        if (!processor->workers)
            targets_check(list, pinion__workers_create(ctx, processor->cores, &list->at[i].workers));
    }
    targets_measure(list);
    for (int i = 0; i < list->count; i++)
        printf("%s: %s, peak %.1f GFLOP/s\n", list->at[i].processor->name, list->at[i].processor->description,
               list->at[i].peak);
}

void targets_close(targets *list)
{
    for (int i = 0; i < list->count; i++)
        if (!list->at[i].processor->workers)
            pinion__workers_destroy(list->at[i].workers);
    pinion__processors_fini(&list->processors);
}

void targets_forget(targets *list)
{
    for (int i = 0; i < list->count; i++)
        list->at[i].peak = 0.0;
}

void targets_measure(targets *list)
{
    for (int i = 0; i < list->count; i++) {
        target *one = &list->at[i];
        one->peak = fmax(one->peak, bench_peak_gflops(list->ctx->isa, one->workers));
    }
}

void targets_wake(targets *list, const target *one)
{
    if (list->awake)
        pinion__workers_keep_awake(list->awake, false);
    usleep(SLEEP_US);
    list->awake = one->processor->workers;
    if (list->awake)
        pinion__workers_keep_awake(list->awake, true);
}
