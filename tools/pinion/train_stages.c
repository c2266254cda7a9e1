/* SPDX-License-Identifier: Apache-2.0
 *
 * The ways to train a dynamic network: group after group (--incremental), one group (--stage), all at once (--joint),
 * all at once after that (--finetune-joint).
 */
#include "train.h"

#include <math.h>
#include <string.h>

/* Ways that exclude each other. */
static int check_ways(const options *given)
{
    const char *const ways[] = {given->incremental ? "--incremental" : NULL, given->joint ? "--joint" : NULL,
                                given->stage ? "--stage" : NULL, given->static_width ? "--static" : NULL,
                                given->finetune_joint ? "--finetune-joint" : NULL};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        bool after = given->finetune_joint && given->incremental;
        if (ways[i] && first && !after)
            return usage_error("train: %s cannot be given with %s", ways[i], first);
        first = ways[i] ? ways[i] : first;
    }
    return EXIT_DONE;
}

int train_check_stages(const options *given)
{
    const char *way = given->incremental      ? "--incremental"
                      : given->joint          ? "--joint"
                      : given->stage          ? "--stage"
                      : given->finetune_joint ? "--finetune-joint"
                                              : NULL;
    if (check_ways(given) != EXIT_DONE)
        return EXIT_USAGE;
    if (given->static_width && !given->groups)
        return usage_error("train: --static needs --groups: it scales the network to a width of the one that is cut");
    if (was_given(given, "--connect") && !given->groups && !given->weights)
        return usage_error("train: --connect needs --groups");
    if (way && !given->groups && !given->weights)
        return usage_error("train: %s needs --groups: the network is not cut", way);
    if (given->finetune_joint && !given->incremental && !given->weights)
        return usage_error("train: --finetune-joint needs --incremental, or --weights of a network with all groups");
    if (was_given(given, "--distillation-weight") && !given->joint && !given->finetune_joint)
        return usage_error("train: --distillation-weight needs --joint or --finetune-joint");
    if (given->stage > 1 && !given->weights)
        return usage_error("train: --stage %d is out of order: it needs --weights of a network with %d group%s",
                           given->stage, given->stage - 1, given->stage == 2 ? "" : "s");
    return EXIT_DONE;
}

static const char *connect_name(enum pinion_connect connect)
{
    return connect == PINION_TOWERS ? "towers" : "nested";
}

int train_choose_groups(job *work)
{
    const options *given = work->given;
    work->network_chosen = choose_network(given);
    if (given->resume) {
        const pinion_checkpoint_info *info = pinion_checkpoint_get_info(work->checkpoint);
        work->network_chosen.groups = info->groups;
        work->network_chosen.connect = info->connect;
    }
    if (!work->start)
        return EXIT_DONE;
    const pinion_weights_metadata *file = pinion_weights_get_metadata(work->start);
    if (file->groups && given->groups && file->groups != given->groups)
        return usage_error("%s has a network of %d groups; --groups is %d", given->weights, file->groups,
                           given->groups);
    if (file->groups && was_given(given, "--connect") && (int)file->connect != given->connect)
        return usage_error("%s has groups connected as %s; --connect is %s", given->weights,
                           connect_name(file->connect), connect_name((enum pinion_connect)given->connect));
    if (file->groups && given->groups && !was_given(given, "--connect") && file->connect != PINION_TOWERS)
        work->network_chosen.connect = file->connect;
    if (file->groups && !given->groups && !given->static_width) {
        work->network_chosen.groups = file->groups;
        work->network_chosen.connect = file->connect;
    }
    return EXIT_DONE;
}

/* Groups that have weights before the training: those of --weights. */
static int groups_at_start(const job *work)
{
    return work->start ? pinion_weights_get_metadata(work->start)->whole_width : 0;
}

/* --incremental: the groups that the file does not have. */
static int list_stages(job *work)
{
    pinion_train_options *chosen = &work->chosen;
    const int groups = work->network_chosen.groups;
    for (int group = groups_at_start(work) + 1; group <= groups; group++)
        chosen->stages[chosen->stage_count++].group = group;
    if (chosen->stage_count == 0)
        return usage_error("%s has all %d groups: nothing is left for --incremental", work->given->weights, groups);
    if (work->given->finetune_joint)
        chosen->stages[chosen->stage_count++].group = 0;
    return EXIT_DONE;
}

/* Without --resume. */
static int choose_ways(job *work)
{
    const options *given = work->given;
    const int groups = work->network_chosen.groups, have = groups_at_start(work);
    if ((given->incremental || given->stage || given->joint || given->finetune_joint) && !groups)
        return usage_error("%s has a network that is not cut into groups: --groups is missing", given->weights);
    if (given->stage > groups)
        return usage_error("--stage: there is no stage %d of a network of %d groups", given->stage, groups);
    if (given->stage && given->stage != have + 1)
        return usage_error("--stage %d is out of order: %s has %d of %d groups; expected %d", given->stage,
                           given->weights, have, groups, given->stage - 1);
    if (given->finetune_joint && !given->incremental && have < groups)
        return usage_error("--finetune-joint: %s has %d of %d groups; expected all", given->weights, have, groups);
    work->chosen.stage = given->stage;
    work->chosen.joint = given->joint || (given->finetune_joint && !given->incremental);
    return given->incremental ? list_stages(work) : EXIT_DONE;
}

static double list_at(const number_list *list, int index)
{
    return list->at[index < list->count ? index : list->count - 1];
}

static int check_list(const char *name, const number_list *list, int stages)
{
    if (list->count > stages)
        return usage_error("%s: %d values for %d stage%s", name, list->count, stages, stages == 1 ? "" : "s");
    return EXIT_DONE;
}

int train_choose_stages(job *work)
{
    const options *given = work->given;
    pinion_train_options *chosen = &work->chosen;
    int code = given->resume ? EXIT_DONE : choose_ways(work);
    const int stages = chosen->stage_count ? chosen->stage_count : 1;
    if (code == EXIT_DONE)
        code = check_list("--epochs", &given->epochs, stages);
    if (code == EXIT_DONE)
        code = check_list("--lr", &given->lr, stages);
    if (code != EXIT_DONE)
        return code;
    if (given->epochs.count)
        chosen->epochs = (int)given->epochs.at[0];
    if (given->lr.count)
        chosen->learning_rate = (float)given->lr.at[0];
    for (int i = 0; i < chosen->stage_count; i++) {
        pinion_train_stage *stage = &chosen->stages[i];
        if (given->epochs.count)
            stage->epochs = (int)list_at(&given->epochs, i);
        if (given->lr.count)
            stage->learning_rate = (float)list_at(&given->lr, i);
        if (was_given(given, "--steps"))
            stage->steps = given->steps;
    }
    return EXIT_DONE;
}

void train_say_stage(const pinion_stage_report *stage)
{
    if (!stage->width || (!stage->group && !stage->joint))
        return;
    fprintf(stderr, "stage %d/%d: ", stage->stage, stage->stages);
    if (stage->joint)
        fprintf(stderr, "all %d groups are trained jointly, which changes the weights of each\n", stage->width);
    else if (stage->group == 1)
        fprintf(stderr, "group 1 is trained\n");
    else if (stage->group == 2)
        fprintf(stderr, "group 2 is trained at width 2; group 1 stays as it is%s\n",
                stage->cached ? ", its logits are computed once" : "");
    else
        fprintf(stderr, "group %d is trained at width %d; groups 1 to %d stay as they are%s\n", stage->group,
                stage->width, stage->group - 1, stage->cached ? ", their logits are computed once" : "");
}

static void print_widths(const pinion_train_result *result)
{
    for (int i = 0; i < result->widths; i++)
        printf("%s%.2f", i ? " " : "", result->top1_per_width[i]);
}

void train_print_stages(const job *work)
{
    for (int i = 0; i < work->ended_count && work->chosen.stage_count > 1; i++) {
        const pinion_stage_report *report = &work->ended[i].report;
        const pinion_train_result *result = &work->ended[i].result;
        char what[32] = "all groups jointly";
        if (report->group)
            snprintf(what, sizeof what, "group %d", report->group);
        printf("stage %d   %s: loss %.4f, %.1f ms a step, %.1f s", report->stage, what, result->loss, result->step_ms,
               result->seconds);
        if (result->widths) {
            printf(", top1 by width ");
            print_widths(result);
        }
        printf("\n");
    }
}

json_t *train_widths_json(int widths, const double *top1)
{
    json_t *list = widths ? json_array() : NULL;
    for (int i = 0; i < widths; i++)
        json_array_append_new(list, json_number(top1[i]));
    return list;
}

json_t *train_stages_json(const job *work)
{
    json_t *list = json_array();
    for (int i = 0; i < work->ended_count; i++) {
        const pinion_stage_report *report = &work->ended[i].report;
        const pinion_train_result *result = &work->ended[i].result;
        json_t *stage = json_pack(
            "{s:i, s:i, s:b, s:i, s:b, s:I, s:o, s:o, s:o, s:f, s:f, s:f, s:I, s:o*}", "stage", report->stage, "group",
            report->group, "joint", report->joint, "width", report->width, "cached", report->cached, "steps",
            (json_int_t)result->steps, "loss", json_number(result->loss), "top1", json_number(result->top1),
            "best_validation_top1", json_number(result->best_top1), "step_ms", result->step_ms, "images_per_s",
            result->images_per_s, "seconds", result->seconds, "arena_bytes", (json_int_t)result->arena_bytes,
            "top1_per_width", train_widths_json(result->widths, result->top1_per_width));
        json_array_append_new(list, stage);
    }
    return list;
}
