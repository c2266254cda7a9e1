/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a dynamic network from its base, group by group (net/groups.h). NAME.gJ is NAME's slice in group J, NAME.cJ
 * its slices of groups 1 … J side by side, for a nested layer to read, and NAME.sJ the logits of width J.
 */
#include "net/groups.h"
#include "op/common.h"
#include <stdio.h>

/* A network on its way. */
typedef struct growth {
    const pinion_network *base;
    const pinion__cutting *cutting;
    pinion_network *network;
    int (*slice)[PINION_MAX_GROUPS];  /* per layer of the base and group: the layer that gives its slice */
    int (*beside)[PINION_MAX_GROUPS]; /* ... and the one that gives the slices up to it side by side; -1: none yet */
    int group;                        /* that grows, from 0 */
} growth;

/* Adds a layer NAME.gJ (or .cJ, .sJ) to the group that grows. */
static int add(growth *g, const pinion__op *op, const char *base_name, char kind, const int *inputs,
               const void *attributes, int *out)
{
    int status = PINION_OK;
    pinion_context *ctx = g->base->ctx;
    char name[PINION__MAX_NAME + 8];
    snprintf(name, sizeof name, "%s.%c%d", base_name, kind, g->group + 1);
    PINION_TRY(pinion__network_add(g->network, op, name, inputs, attributes, out));
    g->network->layers[*out].group = g->group + 1;
fail:
    return status;
}

/* The layer that gives the slices of groups up to the growing one of what `layer` gives in the base. */
static int side_by_side(growth *g, int layer, int *out)
{
    int status = PINION_OK;
    pinion_context *ctx = g->base->ctx;
    int *beside = g->beside[layer], group = g->group;
    if (beside[group] < 0) {
        /* Whoever reads it in this group has read the one before in the group before. */
        int inputs[2] = {beside[group - 1], g->slice[layer][group]};
        PINION_TRY(add(g, &pinion__op_concat, g->base->layers[layer].name, 'c', inputs, NULL, &beside[group]));
    }
    *out = beside[group];
fail:
    return status;
}

static int find_input(growth *g, int reader, int input, int *out)
{
    const pinion__slices *slices = g->cutting->slices;
    if (input == PINION_INPUT)
        *out = PINION_INPUT;
    else if (slices[input].share == PINION__WHOLE)
        *out = g->slice[input][0];
    else if (g->network->connect == PINION_NESTED && slices[reader].share == PINION__SLICED &&
             pinion__op_makes_channels(g->base->layers[reader].op))
        return side_by_side(g, input, out);
    else
        *out = g->slice[input][g->group];
    return PINION_OK;
}

/* What a layer's attributes are in the group that grows. */
static pinion__attributes slice_attributes(const growth *g, int at)
{
    const pinion__layer *layer = &g->base->layers[at];
    pinion__attributes attributes = layer->attributes;
    bool part = at == g->cutting->classifier, biased = !part || g->group == 0;
    if (layer->op->id == PINION__OP_conv2d) {
        attributes.as.conv2d.k = part ? attributes.as.conv2d.k : g->cutting->slices[at].channels[g->group];
        attributes.as.conv2d.bias &= biased;
    } else if (layer->op->id == PINION__OP_linear) {
        attributes.as.linear.k = part ? attributes.as.linear.k : g->cutting->slices[at].channels[g->group];
        attributes.as.linear.bias &= biased;
    } else if (layer->op->id == PINION__OP_depthwise_conv2d) {
        attributes.as.conv2d.k = 0; /* as many as its input has */
    }
    return attributes;
}

/* Does a batch norm read the layer, and with it nothing else tell how large its weights are? */
static bool is_normalised(const pinion_network *base, int at)
{
    int readers = 0, norms = 0;
    for (size_t i = 0; i < base->layer_count; i++)
        for (int k = 0; k < base->layers[i].op->inputs; k++)
            if (base->layers[i].inputs[k] == at) {
                readers++;
                norms += base->layers[i].op->id == PINION__OP_batchnorm;
            }
    return readers > 0 && norms == readers;
}

/* Weights begin as slices of the layer that is cut where values do not fade by that: in front of a batch norm, where
 * their size only decides how far a step turns them, and in the parts of the classifier, which are summed. */
static void use_whole_fans(const growth *g, int at, int slice)
{
    const int *whole = g->base->layers[at].params, *own = g->network->layers[slice].params;
    if (at != g->cutting->classifier && !is_normalised(g->base, at))
        return;
    for (int i = 0; i < PINION__MAX_PARAMS; i++)
        if (own[i] >= 0)
            g->network->params[own[i]].spec.fan = g->base->params[whole[i]].spec.fan;
}

static int add_layer(growth *g, int at)
{
    int status = PINION_OK;
    pinion_context *ctx = g->base->ctx;
    const pinion__layer *layer = &g->base->layers[at];
    int inputs[PINION__MAX_INPUTS];
    if (g->cutting->slices[at].share == PINION__WHOLE && g->group > 0)
        return PINION_OK;
    for (int i = 0; i < layer->op->inputs; i++)
        PINION_TRY(find_input(g, at, layer->inputs[i], &inputs[i]));
    pinion__attributes attributes = slice_attributes(g, at);
    PINION_TRY(add(g, layer->op, layer->name, 'g', inputs, &attributes, &g->slice[at][g->group]));
    use_whole_fans(g, at, g->slice[at][g->group]);
    if (g->group == 0)
        g->beside[at][0] = g->slice[at][0];
fail:
    return status;
}

static int add_group(growth *g)
{
    int status = PINION_OK;
    pinion_context *ctx = g->base->ctx;
    int last = (int)g->base->layer_count - 1, *answers = g->network->width_output;
    for (int i = 0; i <= last; i++)
        PINION_TRY(add_layer(g, i));
    int part = g->slice[last][g->group];
    if (g->group == 0) {
        answers[0] = part;
    } else {
        int inputs[2] = {answers[g->group - 1], part};
        PINION_TRY(add(g, &pinion__op_add, g->base->layers[last].name, 's', inputs, NULL, &answers[g->group]));
    }
fail:
    return status;
}

static int grow(growth *g, int groups)
{
    int status = PINION_OK;
    pinion_context *ctx = g->base->ctx;
    size_t layers = g->base->layer_count;
    PINION_TRY(pinion__alloc(ctx, layers, sizeof *g->slice, "slices of layers", &g->slice));
    PINION_TRY(pinion__alloc(ctx, layers, sizeof *g->beside, "slices of layers", &g->beside));
    for (size_t i = 0; i < layers; i++)
        for (int j = 0; j < PINION_MAX_GROUPS; j++)
            g->beside[i][j] = -1;
    for (g->group = 0; g->group < groups; g->group++)
        PINION_TRY(add_group(g));
fail:
    pinion__release(ctx, g->slice);
    pinion__release(ctx, g->beside);
    return status;
}

/* After a layer was refused: its name or the number of layers has become too long. */
static int explain(const pinion_network *base, int groups)
{
    char sentence[PINION__SENTENCE_MAX];
    snprintf(sentence, sizeof sentence, "%s", pinion_context_error(base->ctx));
    return pinion__fail(base->ctx, __FILE__, __LINE__, PINION_EINVAL,
                        "network '%s' cannot be cut into %d groups: %.600s", base->name, groups, sentence);
}

int pinion__network_cut_take(pinion_network *base, int groups, enum pinion_connect connect, pinion_network **out)
{
    int status = PINION_OK;
    pinion_context *ctx = base->ctx;
    pinion__cutting cutting = {0};
    growth g = {.base = base, .cutting = &cutting};
    PINION_TRY(pinion__cutting_init(base, groups, &cutting));
    PINION_TRY(pinion_network_create(ctx, base->name, base->input, &g.network));
    g.network->groups = groups;
    g.network->connect = connect;
    status = grow(&g, groups);
    if (status == PINION_EINVAL)
        status = explain(base, groups);
    PINION_TRY(status);
    g.network->base = base;
    *out = g.network;
    pinion__cutting_fini(ctx, &cutting);
    return PINION_OK;
fail:
    pinion__cutting_fini(ctx, &cutting);
    pinion_network_destroy(g.network);
    return status;
}

int pinion__network_regroup(pinion_network **network, const pinion_network_options *options)
{
    int status = PINION_OK;
    pinion_network *base = *network, *cut = NULL, *scaled = NULL;
    pinion_context *ctx = base->ctx;
    int groups = options->groups, width = options->like_width;
    PINION_FAIL_IF(groups < 0 || groups > PINION_MAX_GROUPS, PINION_EINVAL,
                   "network '%s' cannot be cut into %d groups: expected 1 to %d", base->name, groups,
                   PINION_MAX_GROUPS);
    PINION_FAIL_IF(width < 0 || width > groups, PINION_EINVAL,
                   "network '%s' has no width %d that another could be like: it is cut into %d groups", base->name,
                   width, groups);
    if (groups == 0)
        return PINION_OK;
    PINION_FAIL_IF(options->connect != PINION_TOWERS && options->connect != PINION_NESTED, PINION_EINVAL,
                   "network '%s': its groups are to be connected in way %d; expected towers (%d) or nested (%d)",
                   base->name, (int)options->connect, PINION_TOWERS, PINION_NESTED);
    PINION_TRY(pinion__network_cut_take(base, groups, options->connect, &cut));
    if (width > 0) {
        status = pinion__network_scaled(base, cut, width, &scaled);
        pinion_network_destroy(cut); /* and with it the base */
        *network = scaled;
        PINION_TRY(status);
    } else {
        *network = cut;
    }
fail:
    return status;
}

size_t pinion__network_param_count(const pinion_network *network, int width)
{
    size_t count = network->param_count;
    while (network->groups && count > 0 && network->layers[network->params[count - 1].layer].group > width)
        count--;
    return count;
}
