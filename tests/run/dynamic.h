/* SPDX-License-Identifier: Apache-2.0
 *
 * Small dynamic networks, and where the elements of their parameters stand in those of the network that was cut.
 */
#ifndef TESTS_RUN_DYNAMIC_H
#define TESTS_RUN_DYNAMIC_H

#include "net/groups.h"
#include "run/shared.h"

/* What a network is made with. */
typedef struct cut_kind {
    int groups;
    enum pinion_connect connect;
    bool normalised; /* batch normalisation behind convolutions */
} cut_kind;

/* conv1, conv2 and a sum, pool, conv3 and depthwise, flatten, hidden, fc; no weights yet. */
static inline pinion_network *make_base(pinion_context *ctx, bool normalised)
{
    pinion_network *network = NULL;
    pinion_layer at = PINION_INPUT, first = -2;
    pinion_conv2d conv = {.k = 10, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .bias = !normalised};
    pinion_conv2d small = {.k = 9, .r = 1, .s = 1, .bias = 1}, depthwise = {.r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_pool pool = {.r = 2, .s = 2, .stride_h = 2, .stride_w = 2};
    pinion_linear hidden = {.k = 27, .bias = 1}, linear = {.k = CLASSES, .bias = 1};
    int status = pinion_network_create(ctx, "base", (pinion_shape){SIDE, SIDE, CHANNELS}, &network);
    status |= pinion_network_add_conv2d(network, "conv1", at, &conv, &at);
    if (normalised)
        status |= pinion_network_add_batchnorm(network, "bn1", at, NULL, &at);
    status |= pinion_network_add_relu(network, "relu1", at, &first);
    status |= pinion_network_add_conv2d(network, "conv2", first, &conv, &at);
    if (normalised)
        status |= pinion_network_add_batchnorm(network, "bn2", at, NULL, &at);
    status |= pinion_network_add_add(network, "sum", at, first, &at);
    status |= pinion_network_add_relu(network, "relu2", at, &at);
    status |= pinion_network_add_maxpool(network, "pool", at, &pool, &at);
    status |= pinion_network_add_conv2d(network, "conv3", at, &small, &at);
    status |= pinion_network_add_depthwise_conv2d(network, "depthwise", at, &depthwise, &at);
    status |= pinion_network_add_relu(network, "relu3", at, &at);
    status |= pinion_network_add_flatten(network, "flatten", at, &at);
    status |= pinion_network_add_linear(network, "hidden", at, &hidden, &at);
    status |= pinion_network_add_relu(network, "relu4", at, &at);
    status |= pinion_network_add_linear(network, "fc", at, &linear, &at);
    if (status < 0)
        fail_msg("%s", pinion_context_error(ctx));
    return network;
}

/* Biases let everybody through the relus now and then. */
static inline pinion_network *make_cut(pinion_context *ctx, const cut_kind *kind)
{
    pinion_network *network = NULL;
    if (pinion__network_cut_take(make_base(ctx, kind->normalised), kind->groups, kind->connect, &network) < 0 ||
        pinion_network_init_weights(network, 5) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    for (int p = 0; p < (int)network->param_count; p++)
        for (size_t e = 0; strstr(network->params[p].name, ".bias") && e < network->params[p].bytes / sizeof(float);
             e++)
            pinion__param_data(network, p)[e] += 0.1f;
    return network;
}

/* ---- where parameters stand ---- */

/* The first of `channels` that group j+1 has, which are so even as can be. */
static inline int first_of(int channels, int groups, int j)
{
    return j * (channels / groups) + (j < channels % groups ? j : channels % groups);
}

/* Channels of what a layer of the base reads, and the pixels that a flatten in front of it has put together. */
static inline void find_input(const pinion_network *base, int layer, int *channels, int *pixels)
{
    int at = base->layers[layer].inputs[0];
    *pixels = 1;
    *channels = base->layers[layer].input_shapes[0].c;
    while (at != PINION_INPUT && !pinion__op_makes_channels(base->layers[at].op)) {
        const pinion_shape *from = &base->layers[at].input_shapes[0];
        if (base->layers[at].op->id == PINION__OP_flatten) {
            *pixels = from->h * from->w;
            *channels = from->c;
        }
        at = base->layers[at].inputs[0];
    }
}

/* Where channel c of what group j+1's part of a layer reads stands in what the layer of the base reads. */
static inline int find_channel(const pinion_network *base, int layer, const pinion_network *cut, int j, int c)
{
    int channels, pixels;
    bool classifier = layer == (int)base->layer_count - 1, nested = cut->connect == PINION_NESTED && !classifier;
    find_input(base, layer, &channels, &pixels);
    if (base->layers[layer].inputs[0] == PINION_INPUT)
        return c;
    for (int i = nested ? 0 : j; i <= j; i++) {
        const int first = first_of(channels, cut->groups, i);
        const int mine = first_of(channels, cut->groups, i + 1) - first;
        if (c < mine * pixels)
            return c / mine * channels + first + c % mine;
        c -= mine * pixels;
    }
    fail_msg("a channel too many");
    return 0;
}

/* The parameter of the base that has those of `param`, "conv1.weight" of "conv1.g2.weight", and its group. */
static inline int find_base(const pinion_network *base, const pinion_network *cut, int param, int *group)
{
    const char *name = cut->params[param].name, *dot = strstr(name, ".g");
    char plain[64];
    assert_non_null(dot);
    *group = dot[2] - '0';
    snprintf(plain, sizeof plain, "%.*s%s", (int)(dot - name), name, dot + 3);
    for (int p = 0; p < (int)base->param_count; p++)
        if (strcmp(base->params[p].name, plain) == 0)
            return p;
    fail_msg("no %s", plain);
    return -1;
}

/* The element of the base's parameter that element e of `param` is. */
static inline size_t find_element(const pinion_network *base, const pinion_network *cut, int param, size_t e)
{
    int group, of = find_base(base, cut, param, &group), layer = base->params[of].layer;
    const pinion__param_spec *mine = &cut->params[param].spec, *all = &base->params[of].spec;
    const size_t c = e % (size_t)mine->c, tap = e / (size_t)mine->c % (size_t)(mine->h * mine->w);
    const size_t k = e / (size_t)(mine->c * mine->h * mine->w);
    if (!pinion__op_makes_channels(base->layers[layer].op) || base->params[of].index > 0) { /* one for each channel */
        const bool classifier = layer == (int)base->layer_count - 1;
        return tap * (size_t)all->c + c + (size_t)(classifier ? 0 : first_of(all->c, cut->groups, group - 1));
    }
    const bool classifier = layer == (int)base->layer_count - 1;
    const size_t row = k + (size_t)(classifier ? 0 : first_of(all->n, cut->groups, group - 1));
    const size_t column = (size_t)find_channel(base, layer, cut, group - 1, (int)c);
    return (row * (size_t)(all->h * all->w) + tap) * (size_t)all->c + column;
}

/* The base with the weights of groups 1 … width, zeros elsewhere. */
static inline pinion_network *make_masked(pinion_context *ctx, const pinion_network *cut, bool normalised, int width)
{
    pinion_network *base = make_base(ctx, normalised);
    assert_int_equal(pinion_network_init_weights(base, 1), PINION_OK);
    memset(base->block, 0, base->block_bytes);
    for (int p = 0; p < (int)cut->param_count; p++) {
        int group, of = find_base(base, cut, p, &group);
        for (size_t e = 0; group <= width && e < cut->params[p].bytes / sizeof(float); e++)
            pinion__param_data(base, of)[find_element(base, cut, p, e)] = pinion__param_data(cut, p)[e];
    }
    pinion__network_changed(base);
    return base;
}

/* A network of the layers of groups 1 … width alone, with their weights. */
static inline pinion_network *make_narrow(const pinion_network *cut, int width)
{
    pinion_network *network = NULL;
    assert_int_equal(pinion_network_create(cut->ctx, "narrow", cut->input, &network), PINION_OK);
    for (int i = 0; i <= cut->width_output[width - 1]; i++) {
        const pinion__layer *layer = &cut->layers[i];
        pinion_layer out;
        if (pinion__network_add(network, layer->op, layer->name, layer->inputs, &layer->attributes, &out) < 0)
            fail_msg("%s", pinion_context_error(cut->ctx));
    }
    assert_int_equal(pinion_network_init_weights(network, 2), PINION_OK);
    for (int p = 0; p < (int)network->param_count; p++) {
        assert_string_equal(network->params[p].name, cut->params[p].name);
        memcpy(pinion__param_data(network, p), pinion__param_data(cut, p), network->params[p].bytes);
    }
    pinion__network_changed(network);
    return network;
}

/* A machine of one processor: ref, or the CPU's kernels. */
static inline machine make_single(pinion_network *network, const pinion_plan_options *options,
                                  const pinion__plan_tuning *tuning, bool cpu)
{
    machine m = {.ctx = network->ctx, .network = network, .processor_count = 1};
    if (cpu)
        assert_int_equal(pinion__processor_create_cpu(m.ctx, 2, &m.processors[0]), PINION_OK);
    else
        m.processors[0] = make_ref(m.ctx);
    start(&m, options, tuning);
    return m;
}

/* Without its network. */
static inline void end_beside(machine *m)
{
    m->network = NULL;
    end(m);
}

static inline void infer(const machine *m, float logits[BATCH * CLASSES])
{
    if (pinion_runner_infer(m->runner, m->images, BATCH, logits) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
}

#endif
