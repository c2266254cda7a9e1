/* SPDX-License-Identifier: Apache-2.0
 *
 * Chrome trace JSON ("Trace Event Format", Google 2016): complete events, a row (tid) a processor, times in
 * microseconds from the first event on. Perfetto and chrome://tracing open it.
 */
#include "run/trace.h"

#include "plan/build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct pinion__tracing {
    pinion_context *ctx;
    const pinion_plan *plan;
    FILE *file;
    char *path;
    pinion__interval *times; /* per task */
    bool begun;              /* there was a task */
    int64_t origin;          /* of the times that are written: when the first task began */
    int64_t *ends;           /* per processor: when its last task ended */
};

static const char *const holder_names[] = {
    [PINION__HELD_BY_HOST] = "host", [PINION__HELD_BY_DEVICE] = "device", [PINION__HELD_BY_BOTH] = "both"};

static void write_rows(const pinion__tracing *trace)
{
    const pinion_plan *plan = trace->plan;
    fprintf(trace->file, "{\"traceEvents\":[\n");
    for (int i = 0; i < plan->processor_count; i++)
        fprintf(trace->file,
                "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"%s\"}},\n", i,
                plan->processors[i]->name);
    fprintf(trace->file, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"%s\"}}",
            plan->network->name);
}

int pinion__tracing_open(const pinion_plan *plan, const char *path, pinion__tracing **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__tracing *trace = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *trace, "a trace", &trace));
    trace->ctx = ctx;
    trace->plan = plan;
    PINION_TRY(pinion__copy_string(ctx, path, &trace->path));
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->task_count + 1, sizeof *trace->times, "a trace", &trace->times));
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)plan->processor_count, sizeof *trace->ends, "a trace", &trace->ends));
    trace->file = fopen(path, "w");
    PINION_FAIL_IF(!trace->file, PINION_EIO, "'%s': %s", path, strerror(errno));
    write_rows(trace);
    *out = trace;
    return PINION_OK;
fail:
    (void)pinion__tracing_close(trace);
    return status;
}

int pinion__tracing_close(pinion__tracing *trace)
{
    if (!trace)
        return PINION_OK;
    pinion_context *ctx = trace->ctx;
    int status = PINION_OK;
    if (trace->file) {
        fprintf(trace->file, "\n]}\n");
        bool failed = ferror(trace->file) != 0;
        failed = fclose(trace->file) != 0 || failed;
        PINION_FAIL_IF(failed, PINION_EIO, "'%s': the trace could not be written", trace->path);
    }
fail:
    pinion__release(ctx, trace->ends);
    pinion__release(ctx, trace->times);
    pinion__release(ctx, trace->path);
    pinion__release(ctx, trace);
    return status;
}

pinion__interval *pinion__tracing_times(pinion__tracing *trace)
{
    return trace->times;
}

static double microseconds(int64_t ns)
{
    return (double)ns / 1000.0;
}

static void write_what(const pinion__tracing *trace, const pinion__task *task)
{
    const char *layer = pinion__task_layer_name(trace->plan, task);
    fprintf(trace->file, "\"name\":\"%s%s", layer, *layer ? " " : "");
    if (task->hand_over.present)
        fprintf(trace->file, "hand-over to %s\",\"cat\":\"hand_over\"", holder_names[task->hand_over.to]);
    else
        fprintf(trace->file, "%s %s\",\"cat\":\"%s\"", pinion__task_what(task),
                task->prepare ? "prepare" : pinion__pass_name(task->pass),
                task->recomputed ? "recompute" : pinion__pass_name(task->pass));
}

static void write_details(const pinion__tracing *trace, const pinion__task *task, uint64_t step)
{
    fprintf(trace->file, ",\"args\":{\"step\":%llu", (unsigned long long)step);
    if (task->hand_over.present)
        fprintf(trace->file, ",\"bytes\":%zu", trace->plan->storages[task->hand_over.storage].bytes);
    else
        fprintf(trace->file, ",\"kernel\":\"%s\"", task->kernel->name);
    fprintf(trace->file, "}}");
}

/* The task of that processor which ends next of those from first on and was not written; -1: none. */
static int next_to_end(const pinion__tracing *trace, int processor, int first, int end, int64_t after)
{
    int best = -1;
    for (int t = first; t < end; t++)
        if (trace->plan->tasks[t].processor == processor && trace->times[t].end > after &&
            (best < 0 || trace->times[t].end < trace->times[best].end))
            best = t;
    return best;
}

/* A task that waited behind others of its processor began when the one before it ended. */
static void write_event(pinion__tracing *trace, int t, uint64_t step)
{
    const pinion__task *task = &trace->plan->tasks[t];
    int64_t *end = &trace->ends[task->processor], begin = trace->times[t].begin;
    begin = begin < *end ? *end : begin;
    *end = trace->times[t].end;
    fprintf(trace->file, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,", task->processor,
            microseconds(begin - trace->origin), microseconds(*end - begin));
    write_what(trace, task);
    write_details(trace, task, step);
}

void pinion__tracing_add(pinion__tracing *trace, int first, int end, uint64_t step)
{
    for (int t = first; t < end && !trace->begun; t++)
        if (t == first || trace->times[t].begin < trace->origin)
            trace->origin = trace->times[t].begin;
    trace->begun = true;
    for (int processor = 0; processor < trace->plan->processor_count; processor++)
        for (int t; (t = next_to_end(trace, processor, first, end, trace->ends[processor])) >= 0;)
            write_event(trace, t, step);
}
