/* SPDX-License-Identifier: Apache-2.0
 *
 * Initial weights, a function of the seed and of each weight's place in the network.
 */
#include "base/random.h"
#include "net/network.h"
#include <math.h>

static void fill(float *values, size_t count, const pinion__param_spec *spec, uint64_t seed, uint32_t stream)
{
    float scale;
    switch (spec->init) {
    case PINION__INIT_ZERO:
    case PINION__INIT_ONE:
        for (size_t i = 0; i < count; i++)
            values[i] = spec->init == PINION__INIT_ONE ? 1.0f : 0.0f;
        break;
    case PINION__INIT_HE_FAN_OUT: /* He et al. 2015: N(0, 2/fan) */
        pinion__random_normal(seed, PINION__RANDOM_INIT, stream, count, values);
        scale = (float)sqrt(2.0 / spec->fan);
        for (size_t i = 0; i < count; i++)
            values[i] *= scale;
        break;
    case PINION__INIT_UNIFORM_FAN_IN: /* U(-1/sqrt(fan), 1/sqrt(fan)), PyTorch's default of linear layers */
        scale = (float)(1.0 / sqrt(spec->fan));
        for (size_t i = 0; i < count; i++)
            values[i] = (2.0f * pinion__random_uniform(seed, PINION__RANDOM_INIT, stream, i) - 1.0f) * scale;
        break;
    }
}

int pinion_network_init_weights(pinion_network *network, uint64_t seed)
{
    if (!network)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    PINION_TRY(pinion__network_allocate(network));
    for (size_t i = 0; i < network->param_count; i++) {
        const pinion__param *param = &network->params[i];
        fill(pinion__param_data(network, (int)i), param->bytes / sizeof(float), &param->spec, seed, (uint32_t)i);
    }
fail:
    return status;
}
