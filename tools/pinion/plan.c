/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion plan: the tasks of a step. Times are not measured yet, so they are null in JSON and absent in the table.
 */
#include "json.h"

static void print_table(const pinion_plan *plan)
{
    printf("%-28s %-16s %-9s %10s  %s\n", "layer", "pass", "processor", "MMAC", "kernel");
    pinion_task_info task;
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++)
        printf("%-28s %-16s %-9s %10.2f  %s\n", *task.layer ? task.layer : "-", task.pass, task.processor,
               (double)task.macs * 1e-6, task.kernel);
    pinion_plan_info info = pinion_plan_get_info(plan);
    printf("%d tasks, %.1f MMAC, arena %.1f MiB, optimiser %.1f MiB\n", info.tasks, (double)info.macs * 1e-6,
           (double)info.arena_bytes / 1048576, (double)info.moments_bytes / 1048576);
}

static int print_json(const pinion_plan *plan)
{
    json_t *tasks = json_array();
    pinion_task_info task;
    for (int i = 0; pinion_plan_get_task(plan, i, &task) == PINION_OK; i++)
        json_array_append_new(tasks,
                              json_pack("{s:o, s:s, s:n, s:s, s:s, s:n}", "layer", json_text(task.layer), "pass",
                                        task.pass, "slice", "processor", task.processor, "kernel", task.kernel, "ms"));
    pinion_plan_info info = pinion_plan_get_info(plan);
    return print_json_line(json_pack("{s:o, s:n, s:{}, s:n, s:I, s:I}", "tasks", tasks, "predicted_ms", "single",
                                     "bound_ms", "arena_bytes", (json_int_t)info.arena_bytes, "macs",
                                     (json_int_t)info.macs));
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
    int status = open_model(ctx, given->model, (pinion_shape){0, 0, 0}, given->classes, &network);
    if (status == PINION_OK)
        status = pinion_plan_create(network, &chosen, &plan);
    if (status < 0)
        code = report(ctx, status);
    else if (given->json)
        code = print_json(plan);
    else
        print_table(plan);
    pinion_plan_destroy(plan);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
    return code;
}
