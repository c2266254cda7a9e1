/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy is laid out as the group is in the network's block.
 */
#include "learn/best.h"

#include "net/groups.h"
#include "net/shared.h"

#include <string.h>

bool pinion__best_wanted(const pinion_trainer *trainer)
{
    return trainer->validation_subset && trainer->stage_index + 1 < trainer->options.stage_count;
}

void pinion__best_range(const pinion_trainer *trainer, int *first, int *end)
{
    int group = trainer->stage.group;
    *first = group > 1 ? (int)pinion__network_param_count(trainer->network, group - 1) : 0;
    *end = (int)pinion__network_param_count(trainer->network, group);
}

static size_t group_begin(const pinion_trainer *trainer)
{
    return trainer->network->group_offset[trainer->stage.group - 1];
}

static size_t group_bytes(const pinion_trainer *trainer)
{
    return trainer->network->group_offset[trainer->stage.group] - group_begin(trainer);
}

float *pinion__best_data(const pinion_trainer *trainer, int param)
{
    size_t bytes = trainer->network->params[param].offset - group_begin(trainer);
    return (float *)(void *)(trainer->best + bytes);
}

int pinion__best_allocate(pinion_trainer *trainer)
{
    if (trainer->best)
        return PINION_OK;
    return pinion__alloc_aligned(trainer->ctx, group_bytes(trainer), PINION__SHARED_ALIGNMENT, "the best weights",
                                 &trainer->best);
}

int pinion__best_keep(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion_network *network = trainer->network;
    PINION_TRY(pinion__network_settle(network));
    PINION_TRY(pinion__best_allocate(trainer));
    memcpy(trainer->best, network->block + group_begin(trainer), group_bytes(trainer));
fail:
    return status;
}

int pinion__best_adopt(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion_network *network = trainer->network;
    if (!trainer->best)
        return PINION_OK;
    PINION_TRY(pinion__network_settle(network));
    memcpy(network->block + group_begin(trainer), trainer->best, group_bytes(trainer));
    pinion__network_changed(network);
    pinion__best_forget(trainer);
fail:
    return status;
}

void pinion__best_forget(pinion_trainer *trainer)
{
    pinion__release(trainer->ctx, trainer->best);
    trainer->best = NULL;
}
