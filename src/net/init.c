/* SPDX-License-Identifier: Apache-2.0
 *
 * Initial weights, a function of the seed and of each weight's place in the network. Some ten million logarithms and
 * cosines would be the longest part of a program's start, so all threads draw them.
 */
#include "base/random.h"
#include "base/workers.h"
#include "net/groups.h"
#include "net/shared.h"
#include <math.h>

enum {
    PIECE = 1 << 14,      /* values that are drawn in one go: a multiple of 4 */
    ALONE_BYTES = 1 << 20 /* of weights that are drawn sooner than threads are started */
};

typedef struct drawing {
    const pinion_network *network;
    uint64_t seed;
    int param;
} drawing;

static void fill(float *values, size_t first, size_t count, const pinion__param_spec *spec, uint64_t seed,
                 uint32_t stream)
{
    float scale;
    switch (spec->init) {
    case PINION__INIT_ZERO:
    case PINION__INIT_ONE:
        for (size_t i = 0; i < count; i++)
            values[i] = spec->init == PINION__INIT_ONE ? 1.0f : 0.0f;
        break;
    case PINION__INIT_HE_FAN_OUT: /* He et al. 2015: N(0, 2/fan) */
        pinion__random_normal_from(seed, PINION__RANDOM_INIT, stream, first, count, values);
        scale = (float)sqrt(2.0 / spec->fan);
        for (size_t i = 0; i < count; i++)
            values[i] *= scale;
        break;
    case PINION__INIT_UNIFORM_FAN_IN: /* U(-1/sqrt(fan), 1/sqrt(fan)), PyTorch's default of linear layers */
        scale = (float)(1.0 / sqrt(spec->fan));
        for (size_t i = 0; i < count; i++)
            values[i] = (2.0f * pinion__random_uniform(seed, PINION__RANDOM_INIT, stream, first + i) - 1.0f) * scale;
        break;
    }
}

static void fill_piece(void *user, size_t piece, int lane)
{
    (void)lane;
    const drawing *work = user;
    const pinion__param *param = &work->network->params[work->param];
    size_t first = piece * PIECE, left = param->bytes / sizeof(float) - first;
    fill(pinion__param_data(work->network, work->param) + first, first, left < PIECE ? left : PIECE, &param->spec,
         work->seed, (uint32_t)work->param);
}

/* Parameters and states first … last-1. */
static int draw(pinion_network *network, uint64_t seed, size_t first, size_t last)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion__workers *workers = NULL;
    if (network->block_bytes > ALONE_BYTES)
        PINION_TRY(pinion__workers_create(ctx, ctx->threads, &workers));
    drawing work = {.network = network, .seed = seed, .param = (int)first};
    for (; work.param < (int)last; work.param++) {
        size_t count = network->params[work.param].bytes / sizeof(float);
        pinion__parallel(workers, (count + PIECE - 1) / PIECE, fill_piece, &work);
    }
    pinion__network_changed(network);
fail:
    pinion__workers_destroy(workers);
    return status;
}

int pinion_network_init_weights(pinion_network *network, uint64_t seed)
{
    if (!network)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    PINION_TRY(pinion__network_allocate(network));
    PINION_TRY(pinion__network_settle(network));
    PINION_TRY(draw(network, seed, 0, network->param_count));
    network->width = network->groups;
fail:
    return status;
}

int pinion__network_init_group(pinion_network *network, int group, uint64_t seed)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    PINION_FAIL_IF(group < 1 || group > network->groups, PINION_EINVAL,
                   "network '%s' has no group %d; it is cut into %d", network->name, group, network->groups);
    PINION_FAIL_IF(group > network->width + 1, PINION_EINVAL,
                   "network '%s': group %d cannot be the next: %d of its groups have weights", network->name, group,
                   network->width);
    PINION_TRY(pinion__network_allocate(network));
    PINION_TRY(pinion__network_settle(network));
    PINION_TRY(draw(network, seed, pinion__network_param_count(network, group - 1),
                    pinion__network_param_count(network, group)));
    if (network->width < group)
        network->width = group;
fail:
    return status;
}
