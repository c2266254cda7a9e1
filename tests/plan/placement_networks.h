/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks of mock layers and the tasks of their training steps: forward, backward_data, backward_weights and, where
 * updates are tasks of their own, those.
 */
#ifndef TESTS_PLAN_PLACEMENT_NETWORKS_H
#define TESTS_PLAN_PLACEMENT_NETWORKS_H

#include "plan/placement_bed.h"

enum { MAX_LAYERS = 128, MAX_INPUTS = 3 };

typedef struct mock_layer {
    int inputs[MAX_INPUTS], input_count; /* layers; -1: the images */
    bool weights;
    size_t activation_bytes, weight_bytes;
    double ms; /* forward on a processor of speed 1 */
} mock_layer;

typedef struct mock_network {
    mock_layer layers[MAX_LAYERS];
    int count;
    bool separate_updates; /* update tasks behind all others; else backward_weights updates */
    bool clips;            /* with a norm that every gradient adds to and every update reads */
} mock_network;

static inline void bed_forward(bed *b, const mock_network *net, const int *activation, const int *weight)
{
    char name[32];
    for (int l = 0; l < net->count; l++) {
        const mock_layer *layer = &net->layers[l];
        snprintf(name, sizeof name, "%d forward", l);
        (void)bed_task(b, name, 2 * l);
        for (int i = 0; i < layer->input_count; i++)
            bed_read(b, layer->inputs[i] < 0 ? activation[net->count] : activation[layer->inputs[i]]);
        if (layer->weights)
            bed_read(b, weight[l]);
        bed_write(b, activation[l]);
    }
}

/* The tasks of a training step. What the speed ratios of processors refer to is in `work`: [task]. */
static inline void bed_train(bed *b, const mock_network *net, double *work)
{
    int activation[MAX_LAYERS + 1], gradient[MAX_LAYERS], weight[MAX_LAYERS], of_weight[MAX_LAYERS];
    bool written[MAX_LAYERS] = {false};
    char name[32];
    for (int l = 0; l < net->count; l++) {
        activation[l] = bed_storage(b, net->layers[l].activation_bytes);
        gradient[l] = bed_storage(b, net->layers[l].activation_bytes);
        weight[l] = net->layers[l].weights ? bed_storage(b, net->layers[l].weight_bytes) : -1;
        of_weight[l] =
            net->layers[l].weights && net->separate_updates ? bed_storage(b, net->layers[l].weight_bytes) : -1;
    }
    activation[net->count] = bed_storage(b, net->layers[0].activation_bytes); /* the images */
    b->storages[activation[net->count]].host_home = true;
    int norm = net->clips ? bed_storage(b, 4) : -1, losses = bed_storage(b, 64);
    bed_forward(b, net, activation, weight);
    for (int t = 0; t < b->problem.task_count; t++)
        work[t] = net->layers[t].ms;
    work[bed_task(b, "loss", -1)] = 0.05;
    bed_read(b, activation[net->count - 1]);
    bed_write(b, gradient[net->count - 1]);
    bed_write(b, losses);
    bool first_norm = true;
    for (int l = net->count - 1; l >= 0; l--) {
        const mock_layer *layer = &net->layers[l];
        for (int i = 0; i < layer->input_count; i++) {
            if (layer->inputs[i] < 0)
                continue;
            snprintf(name, sizeof name, "%d backward_data", l);
            work[bed_task(b, name, 2 * l + 1)] = layer->ms;
            bed_read(b, gradient[l]);
            if (layer->weights)
                bed_read(b, weight[l]);
            else
                bed_read(b, activation[l]);
            bed_use(b, gradient[layer->inputs[i]], written[layer->inputs[i]], true);
            written[layer->inputs[i]] = true;
        }
        if (!layer->weights)
            continue;
        snprintf(name, sizeof name, "%d backward_weights", l);
        work[bed_task(b, name, 2 * l + 1)] = layer->ms;
        for (int i = 0; i < layer->input_count; i++)
            bed_read(b, layer->inputs[i] < 0 ? activation[net->count] : activation[layer->inputs[i]]);
        bed_read(b, gradient[l]);
        if (net->separate_updates)
            bed_write(b, of_weight[l]);
        else
            bed_use(b, weight[l], true, true);
        if (net->clips && net->separate_updates) {
            snprintf(name, sizeof name, "%d grad_square", l);
            work[bed_task(b, name, -1)] = 0.02;
            bed_read(b, of_weight[l]);
            bed_use(b, norm, !first_norm, true);
            first_norm = false;
        }
    }
    for (int l = 0; l < net->count && net->separate_updates; l++) {
        if (!net->layers[l].weights)
            continue;
        snprintf(name, sizeof name, "%d update", l);
        work[bed_task(b, name, -1)] = 0.05;
        bed_read(b, of_weight[l]);
        bed_use(b, weight[l], true, true);
        if (net->clips)
            bed_read(b, norm);
    }
    bed_finish(b);
}

static inline void add_layer(mock_network *net, int a, int b, bool weights)
{
    mock_layer *layer = &net->layers[net->count++];
    *layer = (mock_layer){.inputs = {a, b}, .input_count = b < -1 ? 1 : 2, .weights = weights, .ms = 1};
}

enum { NONE = -2 };

/* conv, batch norm and, but for the shortcut, relu. */
static inline int add_conv(mock_network *net, int input, double ms, size_t activation, size_t weights, bool relu)
{
    for (int i = 0; i < (relu ? 3 : 2); i++) {
        add_layer(net, i == 0 ? input : net->count - 1, NONE, i < 2);
        mock_layer *layer = &net->layers[net->count - 1];
        layer->ms = i == 0 ? ms : 0.05 * ms;
        layer->activation_bytes = activation;
        layer->weight_bytes = i == 0 ? weights : 4096;
    }
    return net->count - 1;
}

/* ResNet-18 for images of 32 x 32 at batch 8, clipped by its norm: about 300 tasks. */
static inline void draw_resnet18(mock_network *net)
{
    *net = (mock_network){.separate_updates = true, .clips = true};
    size_t activation = (size_t)8 * 32 * 32 * 64 * 4, weights = (size_t)64 * 64 * 9 * 4;
    int at = add_conv(net, -1, 0.4, activation, weights / 16, true);
    for (int stage = 0; stage < 4; stage++)
        for (int block = 0; block < 2; block++) {
            bool shrinks = stage > 0 && block == 0;
            activation = shrinks ? activation / 2 : activation;
            weights = shrinks ? weights * 4 : weights;
            int shortcut = shrinks ? add_conv(net, at, 0.2, activation, weights / 18, false) : at;
            int inner = add_conv(net, at, shrinks ? 1 : 2, activation, weights, true);
            inner = add_conv(net, inner, 2, activation, weights, false);
            add_layer(net, inner, shortcut, false);
            at = net->count - 1;
            net->layers[at].activation_bytes = activation;
            net->layers[at].ms = 0.1;
            add_layer(net, at, NONE, false);
            net->layers[++at].activation_bytes = activation;
            net->layers[at].ms = 0.1;
        }
    add_layer(net, at, NONE, false); /* pool, fc */
    add_layer(net, at + 1, NONE, true);
    for (int l = at + 1; l < net->count; l++) {
        net->layers[l].activation_bytes = 16384;
        net->layers[l].weight_bytes = 20480;
        net->layers[l].ms = 0.05;
    }
}

/* Its training step on processors of nearly the same speed, of which every second works in the domain. */
static inline bed *bed_resnet18(pinion_context *ctx, int processors)
{
    bed *b = bed_create(ctx, 18, processors);
    mock_network net;
    double work[MAX_TASKS];
    draw_resnet18(&net);
    bed_train(b, &net, work);
    for (int p = 0; p < processors; p++)
        b->device[p] = p % 2 == 1;
    for (int t = 0; t < b->problem.task_count; t++)
        for (int p = 0; p < processors; p++)
            b->ms[t * processors + p] = 8 * work[t] * bed_uniform(b, 0.6, 1.7);
    bed_board(b, false);
    return b;
}

#endif
