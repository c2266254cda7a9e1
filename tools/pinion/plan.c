/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion plan: the tasks of a step, with their processors, kernels and times. A time that is not known is null in JSON.
 */
#include "json.h"
#include "plan_table.h"

#include <math.h>

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

/* The time on each processor that can run the task. */
static json_t *list_times(const pinion_plan *plan, int task)
{
    json_t *times = json_object();
    pinion_task_time time;
    pinion_plan_processor processor;
    for (int p = 0; pinion_plan_get_time(plan, task, p, &time) == PINION_OK; p++)
        if (time.kernel && pinion_plan_get_processor(plan, p, &processor) == PINION_OK)
            json_object_set_new(times, processor.name, json_number(time.ms));
    return times;
}

/* "0-4"; null: the whole batch. */
static json_t *slice_text(const pinion_task_info *task)
{
    return task->slice[0] < 0 ? json_null() : json_sprintf("%d-%d", task->slice[0], task->slice[1]);
}

static json_t *print_task(const pinion_plan *plan, int index, const pinion_task_info *task)
{
    return json_pack("{s:o, s:s, s:o, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "layer", json_text(task->layer),
                     "op", task->op, "fused", list_fused(task), "pass", task->pass, "slice", slice_text(task),
                     "processor", task->processor, "kernel", task->kernel, "ms", json_number(task->ms), "start_ms",
                     json_number(task->start_ms), "end_ms", json_number(task->end_ms), "times", list_times(plan, index),
                     "candidates", list_candidates(plan, index));
}

/* The whole step on each processor alone that can run it, where times are known. */
static json_t *list_single(const pinion_plan *plan)
{
    json_t *single = json_object();
    pinion_plan_processor processor;
    for (int p = 0; pinion_plan_get_processor(plan, p, &processor) == PINION_OK; p++)
        if (isfinite(processor.single_ms))
            json_object_set_new(single, processor.name, json_real(processor.single_ms));
    return single;
}

static int print_json(const pinion_plan *plan)
{
    json_t *tasks = json_array();
    pinion_task_info task;
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++)
        json_array_append_new(tasks, print_task(plan, i, &task));
    pinion_plan_info info = pinion_plan_get_info(plan);
    pinion_comparison compared = pinion_plan_get_comparison(plan);
    return print_json_line(
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:I, s:I, s:I, s:i, s:i, s:i, s:f, s:i}",
                  "tasks", tasks, "predicted_ms", json_number(info.predicted_ms), "single", list_single(plan),
                  "bound_ms", json_number(compared.bound_ms), "greedy_ms", json_number(compared.greedy_ms),
                  "layerwise_ms", json_number(compared.layerwise_ms), "serial_ms", json_number(compared.serial_ms),
                  "concurrent_ms", json_number(compared.concurrent_ms), "uncut_ms", json_number(compared.uncut_ms),
                  "concurrent", info.concurrent, "hand_overs", info.hand_overs, "arena_bytes",
                  (json_int_t)info.arena_bytes, "total_bytes", (json_int_t)info.total_bytes, "macs",
                  (json_int_t)info.macs, "recomputed", info.recomputed, "micro_batches", info.micro_batches,
                  "measured_tasks", info.measured_tasks, "measuring_ms", info.measuring_ms, "width", info.width));
}

int run_plan(const options *given)
{
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    measuring shown;
    pinion_network *network = NULL;
    pinion_plan *plan = NULL;
    measuring_begin(&shown);
    pinion_plan_options chosen = choose_plan(given, &shown);
    chosen.compare = 1;
    const pinion_network_options wanted = choose_network(given);
    int status = open_model(ctx, given->model, &wanted, &network);
    if (status == PINION_OK)
        status = pinion_plan_create(network, &chosen, &plan);
    measuring_end(&shown);
    if (status == PINION_OK && given->plan_out)
        status = pinion_plan_save(plan, given->plan_out);
    if (status < 0) {
        code = report(ctx, status);
    } else if (given->json) {
        code = print_json(plan);
    } else {
        print_plan_table(plan, given->candidates);
        if (given->timeline)
            print_timeline(plan);
    }
    pinion_plan_destroy(plan);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
    return code;
}
