/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of a network. Layers stand in an order in which inputs come first. All weights (parameters, then running
 * statistics, in layer order) lie in one block, each at a multiple of PINION__SHARED_ALIGNMENT bytes, so that each can
 * be passed to a device by itself (net/shared.h); `offset` is where. In a dynamic network (net/groups.h) that holds of
 * each group, one behind the other, each at the begin of a page.
 */
#ifndef PINION_NET_NETWORK_H
#define PINION_NET_NETWORK_H

#include "net/channels.h"
#include "op/op.h"

typedef struct pinion__param {
    char *name; /* "layer1.0.conv1.weight" */
    int layer;
    int index; /* which parameter or state of the layer */
    bool state;
    pinion__param_spec spec;
    pinion__channels channels; /* the order of spec.c in a file */
    size_t offset;             /* bytes into the block */
    size_t bytes;
} pinion__param;

typedef struct pinion__layer {
    char *name;
    const pinion__op *op;
    pinion__attributes attributes;
    int inputs[PINION__MAX_INPUTS]; /* PINION_INPUT or an earlier layer */
    pinion_shape input_shapes[PINION__MAX_INPUTS];
    pinion_shape output;
    pinion__channels channels;      /* the order of the output's channels in a file */
    int params[PINION__MAX_PARAMS]; /* indices into network->params, -1: none */
    int states[PINION__MAX_STATES];
    int group; /* 1 … groups, never less than that of a layer before it; 0: the network is not cut */
} pinion__layer;

struct pinion_network {
    pinion_context *ctx;
    char *name;
    pinion_shape input;
    pinion__layer *layers;
    size_t layer_count, layer_capacity;
    pinion__param *params;
    size_t param_count, param_capacity;
    unsigned char *block; /* weights; NULL until pinion__network_allocate. It moves when weights become shared */
    size_t block_bytes;
    struct pinion__shared_weights *shared; /* net/shared.h; NULL: the host's own memory */
    uint64_t version; /* moves on whenever weights change: what was prepared from them must be prepared anew */
    int groups;       /* 0: it is not cut (net/groups.h) */
    enum pinion_connect connect;
    int width_output[PINION_MAX_GROUPS]; /* the layer that gives the logits of width j+1: the last of group j+1 */
    atomic_int width;                    /* so many groups have weights in memory, from the first on */
    pinion_network *base;                /* what was cut, without weights; NULL: nothing */
    size_t group_offset[PINION_MAX_GROUPS + 1]; /* bytes into the block where group j+1 begins, and the end */
    struct pinion__residence *residence;        /* net/residence.h; NULL: the weights are not those of a file */
};

enum { PINION__MAX_LAYERS = 10000, PINION__MAX_NAME = 255 };

/* No device known wants buffers that begin within another to be aligned to more (OpenCL: 4096 bits). */
enum { PINION__SHARED_ALIGNMENT = 512 };

/* Adds a layer of any op but the internal ones; the public add functions and the JSON reader end here. attributes may
 * be NULL. */
int pinion__network_add(pinion_network *network, const pinion__op *op, const char *name, const pinion_layer *inputs,
                        const void *attributes, pinion_layer *out);

/* Lays out and zeroes the weights block once; later adds are refused. Called by init, load, plan. Idempotent.
 * PINION_EINVAL: no layers, or a layer besides the last that no layer reads. */
int pinion__network_allocate(pinion_network *network);

/* What the block begins at a multiple of. */
size_t pinion__network_alignment(const pinion_network *network);

/* Where a parameter's values lie (network->block + offset), once they are settled (net/shared.h). */
static inline float *pinion__param_data(const pinion_network *network, int param)
{
    return (float *)(void *)(network->block + network->params[param].offset);
}

/* To be called after weights were written: those who hold a plan of the network see it through a const pointer. */
static inline void pinion__network_changed(const pinion_network *network)
{
    ((pinion_network *)network)->version++;
}

/* May a layer or a network (space allowed) be called so? Letters, digits and _ . - / : only, so that names need no
 * quoting anywhere. */
bool pinion__name_valid(const char *name, bool space);

/* PINION_EINVAL: no layers, or a layer besides the last that no layer reads. */
int pinion__network_check_complete(const pinion_network *network);

/* The zoo's model of that name and its overrides' result is this very network, or what was cut to make it: its name;
 * else NULL. Builds the zoo's model to compare. */
int pinion__network_zoo_model(const pinion_network *network, const char **out);

/* JSON description of any complete network, release with pinion__release. Parsing it gives the same network; of a
 * dynamic network, what was cut to make it. */
int pinion__network_describe(const pinion_network *network, char **out);

/* Marks layers whose name matches a comma-separated list of patterns: a name, a prefix up to a dot ("layer1" matches
 * "layer1.0.conv1"), or with '*' as wildcard. frozen has layer_count entries. PINION_EINVAL: a pattern that matches no
 * layer with parameters. */
int pinion__network_match(const pinion_network *network, const char *patterns, bool *frozen);

#endif
