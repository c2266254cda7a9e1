/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion profile: fills wisdom with the times of a network's tasks.
 */
#include "json.h"

#include <math.h>

static json_t *list_processors(const pinion_plan *plan)
{
    json_t *list = json_object();
    pinion_plan_processor processor;
    for (int p = 0; pinion_plan_get_processor(plan, p, &processor) == PINION_OK; p++)
        json_object_set_new(list, processor.name, json_number(processor.single_ms));
    return list;
}

static int print_json(const pinion_plan *plan)
{
    pinion_plan_info info = pinion_plan_get_info(plan);
    return print_json_line(json_pack("{s:i, s:f, s:o, s:o}", "measured_tasks", info.measured_tasks, "measuring_ms",
                                     info.measuring_ms, "single", list_processors(plan), "predicted_ms",
                                     json_number(info.predicted_ms)));
}

static void print(const pinion_plan *plan)
{
    pinion_plan_info info = pinion_plan_get_info(plan);
    pinion_plan_processor processor;
    printf("measured %d kinds of task in %.1f s\n", info.measured_tasks, 1e-3 * info.measuring_ms);
    for (int p = 0; pinion_plan_get_processor(plan, p, &processor) == PINION_OK; p++) {
        if (isfinite(processor.single_ms))
            printf("%-16s %10.2f ms a step  (%s)\n", processor.name, processor.single_ms, processor.description);
        else
            printf("%-16s %10s  (%s)\n", processor.name, "-", processor.description);
    }
}

int run_profile(const options *given)
{
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    measuring shown;
    pinion_network *network = NULL;
    pinion_plan *plan = NULL;
    measuring_begin(&shown);
    const pinion_plan_options chosen = choose_plan(given, &shown);
    const pinion_network_options wanted = choose_network(given);
    int status = open_model(ctx, given->model, &wanted, &network);
    if (status == PINION_OK)
        status = pinion_plan_create(network, &chosen, &plan);
    measuring_end(&shown);
    if (status < 0)
        code = report(ctx, status);
    else if (given->json)
        code = print_json(plan);
    else
        print(plan);
    pinion_plan_destroy(plan);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
    return code;
}
