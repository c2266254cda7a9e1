/* SPDX-License-Identifier: Apache-2.0
 *
 * A plain network that costs as much as a width of a dynamic one: what is found by training it alone is what groups are
 * to be compared with. Channels move in whole steps, so the multiply-adds are a step function of the factor, which
 * bisection narrows down to one step; the nearer side of it is taken.
 */
#include "net/groups.h"
#include <math.h>

static const double tolerance = 0.03;

static int scale_channels(int channels, double factor)
{
    long scaled = lround((double)channels * factor);
    return scaled < 1 ? 1 : (int)scaled;
}

static int build(const pinion_network *base, int classifier, double factor, pinion_network **out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    pinion_network *network = NULL;
    PINION_TRY(pinion_network_create(ctx, base->name, base->input, &network));
    for (int i = 0; i < (int)base->layer_count; i++) {
        const pinion__layer *layer = &base->layers[i];
        pinion__attributes attributes = layer->attributes;
        if (layer->op->id == PINION__OP_depthwise_conv2d)
            attributes.as.conv2d.k = 0; /* as many as its input has */
        else if (layer->op->id == PINION__OP_conv2d && i != classifier)
            attributes.as.conv2d.k = scale_channels(attributes.as.conv2d.k, factor);
        else if (layer->op->id == PINION__OP_linear && i != classifier)
            attributes.as.linear.k = scale_channels(attributes.as.linear.k, factor);
        PINION_TRY(pinion__network_add(network, layer->op, layer->name, layer->inputs, &attributes, NULL));
    }
    *out = network;
    return PINION_OK;
fail:
    pinion_network_destroy(network);
    return status;
}

static int count_macs(const pinion_network *base, int classifier, double factor, double *out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    pinion_network *network = NULL;
    PINION_TRY(build(base, classifier, factor, &network));
    *out = (double)pinion_network_get_info(network).macs;
fail:
    pinion_network_destroy(network);
    return status;
}

/* The factor whose multiply-adds are nearest to `wanted`, and how far off they are, relatively. */
static int find_factor(const pinion_network *base, int classifier, double wanted, double *factor, double *error)
{
    enum { STEPS = 24 }; /* finer than one channel of a million */
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    double low = 0, high = 1, macs;
    for (int i = 0; i < STEPS; i++) {
        double middle = (low + high) / 2;
        PINION_TRY(count_macs(base, classifier, middle, &macs));
        *(macs < wanted ? &low : &high) = middle;
    }
    PINION_TRY(count_macs(base, classifier, high, &macs));
    *factor = high;
    *error = macs / wanted - 1;
    PINION_TRY(count_macs(base, classifier, low, &macs));
    if (fabs(macs / wanted - 1) < fabs(*error)) {
        *factor = low;
        *error = macs / wanted - 1;
    }
fail:
    return status;
}

int pinion__network_scaled(const pinion_network *base, const pinion_network *cut, int width, pinion_network **out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    pinion__cutting cutting = {0};
    pinion_width_info info;
    double factor, error;
    PINION_TRY(pinion__cutting_init(base, cut->groups, &cutting));
    PINION_TRY(pinion_network_get_width(cut, width, &info));
    PINION_TRY(find_factor(base, cutting.classifier, (double)info.macs, &factor, &error));
    PINION_FAIL_IF(fabs(error) > tolerance, PINION_EINVAL,
                   "network '%s': no factor on its channels gives the multiply-adds of width %d; the nearest is %+.1f "
                   "%% off",
                   base->name, width, 100 * error);
    PINION_TRY(build(base, cutting.classifier, factor, out));
fail:
    pinion__cutting_fini(ctx, &cutting);
    return status;
}
