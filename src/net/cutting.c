/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layers of a network can be cut, and into which slices (net/groups.h). Everything that keeps a network from
 * being cut is found here.
 */
#include "net/groups.h"

/* The first k % groups slices have one channel more than the others. */
static void slice_evenly(int channels, int groups, pinion__slices *out)
{
    for (int j = 0; j < groups; j++)
        out->channels[j] = channels / groups + (j < channels % groups);
}

/* The classifier is the last layer with weights; behind it only what commutes with a sum may stand. */
static int find_classifier(const pinion_network *base, int *out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    int last = (int)base->layer_count - 1, at = last;
    while (at >= 0 && base->layers[at].params[0] < 0)
        at--;
    PINION_FAIL_IF(at < 0, PINION_EINVAL, "network '%s' cannot be cut into groups: it has no layer with weights",
                   base->name);
    const pinion__layer *classifier = &base->layers[at];
    PINION_FAIL_IF(!pinion__op_makes_channels(classifier->op), PINION_EINVAL,
                   "network '%s' cannot be cut into groups: its last layer with weights is '%s' (%s); expected linear "
                   "or conv2d",
                   base->name, classifier->name, classifier->op->name);
    for (int i = at + 1; i <= last; i++) {
        enum pinion__op_id id = base->layers[i].op->id;
        PINION_FAIL_IF(id != PINION__OP_global_avgpool && id != PINION__OP_avgpool && id != PINION__OP_flatten,
                       PINION_EINVAL,
                       "network '%s' cannot be cut into groups: layer '%s' (%s) is behind the classifier '%s', whose "
                       "parts add up; expected only global_avgpool, avgpool or flatten there",
                       base->name, base->layers[i].name, base->layers[i].op->name, classifier->name);
    }
    *out = at;
fail:
    return status;
}

static int cut_new_channels(const pinion_network *base, const pinion__layer *layer, int groups, pinion__slices *out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    PINION_FAIL_IF(layer->output.c < groups, PINION_EINVAL,
                   "network '%s' cannot be cut into %d groups: layer '%s' (%s) has only %d channel%s", base->name,
                   groups, layer->name, layer->op->name, layer->output.c, layer->output.c == 1 ? "" : "s");
    out->share = PINION__SLICED;
    slice_evenly(layer->output.c, groups, out);
fail:
    return status;
}

/* Layers that work channel by channel are cut as what they read. */
static int cut_as_inputs(const pinion_network *base, const pinion__layer *layer, const pinion__slices *const *inputs,
                         int groups, pinion__slices *out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    bool side_by_side = layer->op->flags & PINION__OP_SIDE_BY_SIDE;
    out->share = inputs[0]->share;
    for (int i = 1; i < layer->op->inputs; i++)
        PINION_FAIL_IF(inputs[i]->share != inputs[0]->share, PINION_EINVAL,
                       "network '%s' cannot be cut into groups: layer '%s' (%s) reads channels of the network's input, "
                       "which is not cut, and of a convolution, which is",
                       base->name, layer->name, layer->op->name);
    for (int j = 0; j < groups && out->share == PINION__SLICED; j++) {
        int first = inputs[0]->channels[j];
        out->channels[j] = first;
        for (int i = 1; i < layer->op->inputs; i++) {
            PINION_FAIL_IF(!side_by_side && inputs[i]->channels[j] != first, PINION_EINVAL,
                           "network '%s' cannot be cut into %d groups: the inputs of layer '%s' (%s) would have %d and "
                           "%d channels in group %d",
                           base->name, groups, layer->name, layer->op->name, first, inputs[i]->channels[j], j + 1);
            out->channels[j] += side_by_side ? inputs[i]->channels[j] : 0;
        }
        if (layer->op->id == PINION__OP_flatten)
            out->channels[j] *= layer->input_shapes[0].h * layer->input_shapes[0].w;
    }
fail:
    return status;
}

static int cut_layer(const pinion_network *base, int at, int groups, pinion__cutting *cutting)
{
    static const pinion__slices input = {.share = PINION__WHOLE};
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    const pinion__layer *layer = &base->layers[at];
    const pinion__slices *inputs[PINION__MAX_INPUTS] = {&input, &input};
    pinion__slices *out = &cutting->slices[at];
    for (int i = 0; i < layer->op->inputs; i++)
        if (layer->inputs[i] != PINION_INPUT)
            inputs[i] = &cutting->slices[layer->inputs[i]];
    PINION_FAIL_IF(at == cutting->classifier && inputs[0]->share == PINION__WHOLE, PINION_EINVAL,
                   "network '%s' cannot be cut into groups: its classifier '%s' reads channels of the network's input, "
                   "which is not cut",
                   base->name, layer->name);
    if (at >= cutting->classifier)
        out->share = PINION__LOGITS;
    else if (pinion__op_makes_channels(layer->op))
        PINION_TRY(cut_new_channels(base, layer, groups, out));
    else
        PINION_TRY(cut_as_inputs(base, layer, inputs, groups, out));
fail:
    return status;
}

int pinion__cutting_init(const pinion_network *base, int groups, pinion__cutting *out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    pinion__cutting cutting = {0};
    PINION_TRY(find_classifier(base, &cutting.classifier));
    PINION_TRY(
        pinion__alloc_zeroed(ctx, base->layer_count, sizeof *cutting.slices, "slices of layers", &cutting.slices));
    for (int i = 0; i < (int)base->layer_count; i++)
        PINION_TRY(cut_layer(base, i, groups, &cutting));
    *out = cutting;
    return PINION_OK;
fail:
    pinion__cutting_fini(ctx, &cutting);
    return status;
}

void pinion__cutting_fini(pinion_context *ctx, pinion__cutting *cutting)
{
    pinion__release(ctx, cutting->slices);
    cutting->slices = NULL;
}
