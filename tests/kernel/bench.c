/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing of kernels (bench.h): one run to warm up, then runs until half a second has passed, at least five.
 */
#include "kernel/bench.h"
#include "base/clock.h"
#include "kernel/staged.h"
#include <stdio.h>
#include <stdlib.h>

enum { MIN_RUNS = 5, MAX_RUNS = 400 };

static const double budget_s = 0.5;

const char *bench_target_name(const pinion__kernel *kernel)
{
    return kernel->processor == PINION__PROCESSOR_OPENCL ? "opencl" : pinion__isa_name(kernel->isa);
}

/* Error of the shape's first sample: the specification needs seconds for a whole batch. */
static double error_of(const pinion__kernel *kernel, kernel_case c, const bench_room *room)
{
    char message[MESSAGE] = "";
    double worst = 0;
    trial t;
    c.n = c.op->inputs > 0 ? 1 : c.n;
    trial_init(&t, &c, DATA_NORMAL, false);
    bool opencl = kernel->processor == PINION__PROCESSOR_OPENCL;
    if ((opencl ? trial_run_on(&t, kernel->body, room->opencl, &worst, message)
                : trial_run(&t, kernel->body, room, &worst, message)) == OUTCOME_WRONG)
        printf("WRONG %s: %s\n", kernel->name, message);
    trial_fini(&t);
    return worst;
}

static void run_staged(pinion__staged *staged)
{
    if (pinion__staged_run(staged) == PINION_OK)
        return;
    fprintf(stderr, "%s\n", pinion_context_error(staged->processor->ctx));
    exit(1);
}

static pinion__spread time_of(const pinion__kernel *kernel, const pinion__args *args, pinion__processor *processor)
{
    double samples[MAX_RUNS], total = 0;
    size_t runs = 0;
    pinion__staged staged;
    if (pinion__staged_begin(&staged, processor, kernel, args, 0) != PINION_OK)
        exit(1);
    run_staged(&staged);
    while (runs < MIN_RUNS || (runs < MAX_RUNS && total < budget_s)) {
        int64_t start = pinion__now_ns();
        run_staged(&staged);
        samples[runs] = (double)(pinion__now_ns() - start) * 1e-9;
        total += samples[runs++];
    }
    pinion__staged_end(&staged, false);
    return pinion__summarise(samples, runs);
}

static double work_of(const layout *l, const char **unit)
{
    const kernel_case *c = l->c;
    double bytes = 0;
    *unit = "GFLOP/s";
    if (c->op->macs)
        return 2.0 * c->n * (double)c->op->macs(&c->attributes, c->inputs, &c->output);
    for (int i = 0; i < l->count; i++)
        bytes += (double)element_count(l, i) * (l->at[i].element == ELEMENT_UINT8 ? 1 : 4);
    *unit = "GB/s";
    return bytes;
}

static void bench_shape(const pinion__kernel *kernel, const kernel_case *c, const bench_room *room,
                        pinion__processor *processor)
{
    layout l;
    layout_init(&l, c, false);
    blocks b = blocks_create(&l);
    data_fill(&l, &b, DATA_NORMAL);
    pinion__args args = blocks_args(&l, &b);
    args.workers = processor->workers;
    if (kernel->body->applicable && !kernel->body->applicable(&args)) {
        blocks_destroy(&l, &b);
        return;
    }
    scratch s = scratch_create(kernel->body, &args);
    pinion__spread seconds = time_of(kernel, &args, processor);
    scratch_destroy(&s);
    blocks_destroy(&l, &b);
    const char *unit;
    double work = work_of(&l, &unit);
    char text[MESSAGE / 2];
    case_describe(c, text, sizeof text);
    printf("%-34s %-9s %8.3f ms (median %8.3f) %8.2f %-7s error %.3f of bound  %s\n", kernel->name,
           bench_target_name(kernel), seconds.min * 1e3, seconds.median * 1e3, work / seconds.min * 1e-9, unit,
           error_of(kernel, *c, room), text);
}

void bench_row(const pinion__kernel *kernel, const bench_room *room)
{
    kernel_case c;
    pinion__processor *cpu = NULL;
    if (pinion__processor_create_cpu(room->ctx, pinion_context_threads(room->ctx), &cpu) != PINION_OK)
        exit(1);
    for (int i = 0; case_bench(room->ctx, pinion__op_get(kernel->op), kernel->pass, i, &c); i++)
        bench_shape(kernel, &c, room, kernel->processor == PINION__PROCESSOR_OPENCL ? room->opencl : cpu);
    pinion__processor_destroy(cpu);
}
