/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion plan: the tasks of a step, with their kernels and times. A time that is not known is null in JSON and a dash
 * in the table.
 */
#include "json.h"

#include <math.h>
#include <string.h>

enum { TIME_BYTES = 16 };

static const char *time_text(double ms, char text[TIME_BYTES])
{
    if (isfinite(ms))
        snprintf(text, TIME_BYTES, "%.3f", ms);
    else
        snprintf(text, TIME_BYTES, "-");
    return text;
}

/* Further kernels that can run the task, in brackets. */
static void print_candidates(const pinion_plan *plan, int task)
{
    pinion_candidate_info candidate;
    char text[TIME_BYTES];
    const char *before = "  (";
    for (int i = 0; pinion_plan_get_candidate(plan, task, i, &candidate) == PINION_OK; i++) {
        if (candidate.chosen)
            continue;
        printf("%s%s %s", before, candidate.kernel, time_text(candidate.ms, text));
        before = ", ";
    }
    printf("%s", *before == ',' ? ")" : "");
}

static void print_table(const pinion_plan *plan, bool candidates)
{
    printf("%-28s %-28s %-16s %-9s %10s %9s  %s\n", "layer", "op", "pass", "processor", "MMAC", "ms", "kernel");
    pinion_task_info task;
    char text[TIME_BYTES];
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++) {
        printf("%-28s %-28s %-16s %-9s %10.2f %9s  %s", *task.layer ? task.layer : "-", task.op, task.pass,
               task.processor, (double)task.macs * 1e-6, time_text(task.ms, text), task.kernel);
        if (candidates)
            print_candidates(plan, i);
        printf("\n");
    }
    pinion_plan_info info = pinion_plan_get_info(plan);
    printf("%d tasks, %.1f MMAC, arena %.1f MiB, optimiser %.1f MiB, in all %.1f MiB, predicted %s ms\n", info.tasks,
           (double)info.macs * 1e-6, (double)info.arena_bytes / 1048576, (double)info.moments_bytes / 1048576,
           (double)info.total_bytes / 1048576, time_text(info.predicted_ms, text));
    if (info.recomputed || info.micro_batches > 1)
        printf("%d tasks recompute an activation; %d micro-batch%s\n", info.recomputed, info.micro_batches,
               info.micro_batches == 1 ? "" : "es");
}

static json_t *list_candidates(const pinion_plan *plan, int task)
{
    json_t *list = json_array();
    pinion_candidate_info candidate;
    for (int i = 0; pinion_plan_get_candidate(plan, task, i, &candidate) == PINION_OK; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "kernel", candidate.kernel, "ms", json_number(candidate.ms)));
    return list;
}

/* The further layers whose work the task does. */
static json_t *list_fused(const pinion_task_info *task)
{
    json_t *list = json_array();
    for (int i = 0; i < PINION_MAX_FUSED && task->fused[i]; i++)
        json_array_append_new(list, json_text(task->fused[i]));
    return list;
}

/* The whole step on one processor alone, where that is what the plan is. */
static json_t *list_single(const pinion_plan *plan, double predicted_ms)
{
    json_t *single = json_object();
    pinion_task_info first, task;
    bool one = isfinite(predicted_ms) && pinion_plan_get_task(plan, 0, &first) == PINION_OK;
    for (int i = 1; one && pinion_plan_get_task(plan, i, &task) == PINION_OK; i++)
        one = strcmp(task.processor, first.processor) == 0;
    if (one)
        json_object_set_new(single, first.processor, json_real(predicted_ms));
    return single;
}

static int print_json(const pinion_plan *plan)
{
    json_t *tasks = json_array();
    pinion_task_info task;
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++)
        json_array_append_new(tasks, json_pack("{s:o, s:s, s:o, s:s, s:n, s:s, s:s, s:o, s:o}", "layer",
                                               json_text(task.layer), "op", task.op, "fused", list_fused(&task), "pass",
                                               task.pass, "slice", "processor", task.processor, "kernel", task.kernel,
                                               "ms", json_number(task.ms), "candidates", list_candidates(plan, i)));
    pinion_plan_info info = pinion_plan_get_info(plan);
    return print_json_line(
        json_pack("{s:o, s:o, s:o, s:n, s:I, s:I, s:I, s:i, s:i, s:i, s:f}", "tasks", tasks, "predicted_ms",
                  json_number(info.predicted_ms), "single", list_single(plan, info.predicted_ms), "bound_ms",
                  "arena_bytes", (json_int_t)info.arena_bytes, "total_bytes", (json_int_t)info.total_bytes, "macs",
                  (json_int_t)info.macs, "recomputed", info.recomputed, "micro_batches", info.micro_batches,
                  "measured_tasks", info.measured_tasks, "measuring_ms", info.measuring_ms));
}

int run_plan(const options *given)
{
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    pinion_network *network = NULL;
    pinion_plan *plan = NULL;
    pinion_plan_options chosen = pinion_plan_options_default();
    chosen.mode = given->pass == 0 ? PINION_TRAIN : PINION_INFER;
    chosen.batch = given->batch ? given->batch : 32;
    chosen.patience = (enum pinion_patience)given->patience;
    chosen.memory_limit = memory_limit(given);
    chosen.recompute_share = recompute_share(given);
    chosen.unfused = given->no_fuse;
    int status = open_model(ctx, given->model, (pinion_shape){0, 0, 0}, given->classes, &network);
    if (status == PINION_OK)
        status = pinion_plan_create(network, &chosen, &plan);
    if (status < 0)
        code = report(ctx, status);
    else if (given->json)
        code = print_json(plan);
    else
        print_table(plan, given->candidates);
    pinion_plan_destroy(plan);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
    return code;
}
