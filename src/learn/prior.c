/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache of logits: made by the trainer's evaluator, whose kernels a checkpoint names, so a resumed training makes
 * the same numbers again. It goes away with the plan: after a change of plan it is made by the new one's kernels.
 */
#include "learn/prior.h"

#include <string.h>

static size_t rows(const pinion_trainer *trainer)
{
    return (size_t)pinion_dataset_get_info(trainer->dataset).train_count;
}

static size_t classes(const pinion_trainer *trainer)
{
    return (size_t)pinion_network_get_info(trainer->network).output.c;
}

bool pinion__prior_possible(const pinion_trainer *trainer, pinion__stage stage)
{
    return stage.group > 1 && trainer->network->connect == PINION_TOWERS &&
           trainer->options.augment == PINION_AUGMENT_NONE && trainer->options.memory_limit == 0 &&
           rows(trainer) <= PINION__PRIOR_MAX_BYTES / sizeof(float) / classes(trainer);
}

int pinion__prior_prepare(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__prior *prior = &trainer->prior;
    if (!trainer->plan->options.prior || prior->logits)
        return PINION_OK;
    prior->classes = classes(trainer);
    PINION_TRY(pinion__alloc_aligned(ctx, (size_t)trainer->options.batch * prior->classes * sizeof(float), 64,
                                     "the logits of frozen groups", &prior->batch));
    PINION_TRY(pinion__alloc(ctx, rows(trainer) * prior->classes, sizeof(float), "the logits of frozen groups",
                             &prior->logits));
    PINION_TRY(pinion__evaluator_logits(trainer->evaluator, trainer->dataset, PINION_PART_TRAIN,
                                        trainer->stage.group - 1, prior->logits));
    return PINION_OK;
fail:
    pinion__prior_fini(trainer);
    return status;
}

const float *pinion__prior_gather(pinion_trainer *trainer, const pinion__batch *batch)
{
    const pinion__prior *prior = &trainer->prior;
    if (!prior->logits)
        return NULL;
    float *room = pinion__runner_prior_room(trainer->runner, batch->images), *rows = room ? room : prior->batch;
    for (int i = 0; i < batch->count; i++)
        memcpy(rows + (size_t)i * prior->classes, prior->logits + (size_t)batch->samples[i] * prior->classes,
               prior->classes * sizeof(float));
    return rows;
}

void pinion__prior_fini(pinion_trainer *trainer)
{
    pinion__release(trainer->ctx, trainer->prior.logits);
    pinion__release(trainer->ctx, trainer->prior.batch);
    trainer->prior = (pinion__prior){.logits = NULL};
}
