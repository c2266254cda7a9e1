/* SPDX-License-Identifier: Apache-2.0
 *
 * Partial statistics.
 */
#include "kernel/opencl/stats.h"

#include "kernel/opencl/blocks.h"
#include "kernel/opencl/strips.h"

typedef struct statistics {
    const pinion__view *of;
    pinion__strips strips;
} statistics;

static void begin(pinion__launch *launch, const pinion__args *args, int y, statistics *work)
{
    work->of = &args->operand[y];
    work->strips = pinion__strips_of(args, work->of->c);
    pinion__launch_begin(launch, args, "stats", "stats", work->strips.options);
    pinion__launch_view(launch, y);
}

static void run(pinion__launch *launch, const statistics *work)
{
    pinion__launch_int(launch, work->of->c);
    const int blocks = pinion__launch_blocks(launch, work->of->n, work->of->h, work->of->w);
    pinion__launch_run_loops(launch, (size_t)work->strips.count * (size_t)blocks, 1);
}

void pinion__launch_stats(const pinion__args *args, int y, int stats)
{
    pinion__launch launch;
    statistics work;
    if (!args->operand[stats].data)
        return;
    begin(&launch, args, y, &work);
    pinion__launch_view(&launch, stats);
    run(&launch, &work);
}

void pinion__launch_stats_scratch(const pinion__args *args, int y, size_t scratch_offset)
{
    pinion__launch launch;
    statistics work;
    begin(&launch, args, y, &work);
    pinion__launch_scratch(&launch, scratch_offset);
    pinion__launch_int(&launch, work.of->c);
    run(&launch, &work);
}
