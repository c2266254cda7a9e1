/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages. A stage takes over nothing from the one before but weights: optimiser, schedule, order of samples and dropout
 * begin anew, so that a group trained elsewhere, from a file, is the group that would have been trained here.
 */
#include "learn/stages.h"

#include "base/random.h"
#include "learn/best.h"
#include "learn/checkpoint.h"
#include "learn/trainer.h"
#include "net/groups.h"

#include <math.h>

int pinion__stage_count(const pinion_train_options *options)
{
    return options->stage_count ? options->stage_count : 1;
}

pinion__stage pinion__stage_at(const pinion_train_options *options, int index)
{
    if (!options->stage_count)
        return (pinion__stage){options->stage, options->joint, options->epochs, options->steps, options->learning_rate};
    const pinion_train_stage *at = &options->stages[index];
    return (pinion__stage){at->group, at->group == 0, at->epochs, at->steps, at->learning_rate};
}

int64_t pinion__stage_steps(pinion__stage stage, int64_t batches)
{
    return stage.steps ? stage.steps : batches * stage.epochs;
}

uint64_t pinion__stage_seed(const pinion_network *network, pinion__stage stage, uint64_t seed)
{
    uint32_t drawn[4];
    int stream = stage.joint ? network->groups + 1 : stage.group;
    if (stream <= 1)
        return seed;
    pinion__random4(seed, PINION__RANDOM_STAGE, (uint32_t)stream, 0, drawn);
    return (uint64_t)drawn[1] << 32 | drawn[0];
}

int pinion__stage_width(const pinion_network *network, pinion__stage stage)
{
    return stage.group ? stage.group : network->groups;
}

static int check_first(const pinion_network *network, pinion__stage first)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    int width = network->width;
    PINION_FAIL_IF(first.group > 0 && width < first.group - 1, PINION_EINVAL,
                   "stage %d is out of order: it needs the weights of groups 1 "
                   "to %d, but network '%s' has those of %d",
                   first.group, first.group - 1, network->name, width);
    PINION_FAIL_IF(first.group == 0 && width < network->groups, PINION_EINVAL,
                   "%s needs the weights of all %d groups, but network '%s' has those of %d",
                   first.joint ? "joint training" : "training without a stage", network->groups, network->name, width);
fail:
    return status;
}

int pinion__stages_check(const pinion_network *network, const pinion_train_options *options)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    int count = pinion__stage_count(options), before = network->groups;
    for (int i = 0; i < count; i++) {
        pinion__stage stage = pinion__stage_at(options, i);
        PINION_FAIL_IF((stage.group || stage.joint) && !network->groups, PINION_EINVAL,
                       "network '%s' is not cut into groups: stages and joint "
                       "training are for those that are",
                       network->name);
        PINION_FAIL_IF(stage.group > network->groups, PINION_EINVAL,
                       "there is no stage %d: network '%s' is cut into %d groups", stage.group, network->name,
                       network->groups);
        PINION_FAIL_IF(stage.joint && i > 0 && before < network->groups, PINION_EINVAL,
                       "joint training cannot follow group %d: network '%s' is cut "
                       "into %d groups",
                       before, network->name, network->groups);
        before = stage.group;
    }
    PINION_TRY(check_first(network, pinion__stage_at(options, 0)));
fail:
    return status;
}

void pinion__trainer_set_stage(pinion_trainer *trainer, int index)
{
    trainer->stage_index = index;
    trainer->stage = pinion__stage_at(&trainer->options, index);
    trainer->steps = pinion__stage_steps(trainer->stage, trainer->batches);
    trainer->epochs = (trainer->steps + trainer->batches - 1) / trainer->batches;
    trainer->steps_before = 0;
    for (int i = 0; i < index; i++)
        trainer->steps_before += pinion__stage_steps(pinion__stage_at(&trainer->options, i), trainer->batches);
    trainer->seed = pinion__stage_seed(trainer->network, trainer->stage, trainer->options.seed);
}

int pinion__trainer_enter_stage(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion_network *network = trainer->network;
    int group = trainer->stage.group;
    if (group == 0)
        return PINION_OK;
    PINION_TRY(pinion__network_allocate(network));
    if (network->width < group)
        PINION_TRY(pinion__network_init_group(network, group, trainer->options.seed));
    network->width = group;
    pinion__network_changed(network);
fail:
    return status;
}

int pinion__trainer_check_later_stages(const pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion_plan *plan = NULL;
    for (int i = 1; trainer->options.memory_limit && i < trainer->options.stage_count; i++) {
        pinion_plan_options options = pinion__trainer_plan_options(trainer, pinion__stage_at(&trainer->options, i));
        options.patience = PINION_PATIENCE_ESTIMATE;
        const pinion__plan_tuning tuning = {.kernels = NULL};
        PINION_TRY(pinion__plan_create_tuned(trainer->network, &options, &tuning, trainer->processors.at,
                                             trainer->processors.count, &plan));
        pinion_plan_destroy(plan);
        plan = NULL;
    }
fail:
    return status;
}

int pinion__trainer_next_stage(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__best_adopt(trainer));
    pinion__trainer_clear(trainer);
    pinion__trainer_set_stage(trainer, trainer->stage_index + 1);
    trainer->progress = (pinion__progress){.epoch_loss = (double)NAN, .best_top1 = (double)NAN};
    trainer->known_widths = 0;
    PINION_TRY(pinion__trainer_enter_stage(trainer));
    PINION_TRY(pinion__trainer_build(trainer, trainer->processors.at[0]->isa, (pinion__given_kernels){NULL, NULL, 0}));
    PINION_TRY(pinion__checkpoint_save_state(trainer));
fail:
    return status;
}

pinion_stage_report pinion__trainer_stage_report(const pinion_trainer *trainer)
{
    return (pinion_stage_report){
        .stage = trainer->stage_index + 1,
        .stages = pinion__stage_count(&trainer->options),
        .group = trainer->stage.group,
        .joint = trainer->stage.joint,
        .width = pinion__stage_width(trainer->network, trainer->stage),
        .cached = trainer->plan && trainer->plan->options.prior,
    };
}
