/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks: directed acyclic graphs of layers, built layer by layer, read from a JSON description, or taken
 * from the zoo. A network owns its weights (parameters and batch-norm statistics) in one block.
 *
 * Layers are added in an order in which every input already exists, so a graph built here has no cycle. The
 * last layer added is the output; a classifier ends in a layer of shape 1 x 1 x classes, the logits. Shapes are
 * those of one sample (rows, columns, channels); the batch is chosen when a network is run.
 *
 * Every add function: `name` is unique in the network and becomes the prefix of the layer's weight names
 * ("conv1" gives "conv1.weight"); `input` is a layer returned before, or PINION_INPUT; *out (may be NULL)
 * receives the new layer. Names and attributes are copied. PINION_EINVAL: the sentence names the layer, what it
 * got and what it wants. A failed add leaves the network as it was. Not thread-safe while building. The first
 * plan of a network, or initialising or loading its weights, allocates them and ends the building: later adds fail.
 */
#ifndef PINION_NETWORK_H
#define PINION_NETWORK_H

#include <pinion/context.h>
#include <pinion/shape.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_network pinion_network;
typedef int pinion_layer;
enum { PINION_INPUT = -1 };

/* Two-dimensional convolution; output channels k, filter r x s, bias or none. Output rows:
 * (h + 2*pad_h - r) / stride_h + 1, columns alike. Weights are He-initialised (fan-out, as torchvision). */
typedef struct pinion_conv2d {
    int k, r, s;
    int stride_h, stride_w; /* 0 counts as 1 */
    int pad_h, pad_w;
    int bias; /* 0 or 1 */
} pinion_conv2d;

/* Depthwise convolution: output channel c reads input channel c only; k must equal the input's channels, or be 0. */
typedef pinion_conv2d pinion_depthwise_conv2d;

/* Batch normalisation over n, h and w (Ioffe and Szegedy 2015). Training normalises by the batch's own mean
 * and biased variance and moves the running statistics by `momentum` (unbiased variance), as PyTorch does. */
typedef struct pinion_batchnorm {
    float epsilon;  /* 0 counts as 1e-5 */
    float momentum; /* 0 counts as 0.1 */
} pinion_batchnorm;

/* Pooling window r x s. Average pooling counts padding (PyTorch's default); max pooling ignores it. */
typedef struct pinion_pool {
    int r, s;
    int stride_h, stride_w; /* 0: the window */
    int pad_h, pad_w;       /* at most half the window */
} pinion_pool;

/* Fully connected layer on a 1 x 1 x c input. */
typedef struct pinion_linear {
    int k;
    int bias; /* 0 or 1 */
} pinion_linear;

/* Zeroes each element with probability `rate` in training and scales the rest by 1/(1-rate); nothing otherwise. */
typedef struct pinion_dropout {
    float rate; /* 0 <= rate < 1 */
} pinion_dropout;

/* An empty network for inputs of the given shape. The caller owns *out. */
int pinion_network_create(pinion_context *ctx, const char *name, pinion_shape input, pinion_network **out);
void pinion_network_destroy(pinion_network *network);

int pinion_network_add_conv2d(pinion_network *network, const char *name, pinion_layer input,
                              const pinion_conv2d *attributes, pinion_layer *out);
int pinion_network_add_depthwise_conv2d(pinion_network *network, const char *name, pinion_layer input,
                                        const pinion_depthwise_conv2d *attributes, pinion_layer *out);
int pinion_network_add_batchnorm(pinion_network *network, const char *name, pinion_layer input,
                                 const pinion_batchnorm *attributes /* NULL: defaults */, pinion_layer *out);
int pinion_network_add_relu(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out);
int pinion_network_add_relu6(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out);
int pinion_network_add_add(pinion_network *network, const char *name, pinion_layer a, pinion_layer b,
                           pinion_layer *out);
int pinion_network_add_maxpool(pinion_network *network, const char *name, pinion_layer input,
                               const pinion_pool *attributes, pinion_layer *out);
int pinion_network_add_avgpool(pinion_network *network, const char *name, pinion_layer input,
                               const pinion_pool *attributes, pinion_layer *out);
int pinion_network_add_global_avgpool(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out);
int pinion_network_add_linear(pinion_network *network, const char *name, pinion_layer input,
                              const pinion_linear *attributes, pinion_layer *out);
int pinion_network_add_flatten(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out);
int pinion_network_add_dropout(pinion_network *network, const char *name, pinion_layer input,
                               const pinion_dropout *attributes, pinion_layer *out);

/* The channels of a before those of b; rows and columns of both must be the same. */
int pinion_network_add_concat(pinion_network *network, const char *name, pinion_layer a, pinion_layer b,
                              pinion_layer *out);

/* How the groups of a dynamic network are connected (docs/dynamic.md). Earlier groups never read later ones, so they
 * do not change when later ones come or go. */
enum pinion_connect {
    PINION_TOWERS, /* a group reads its own channels only */
    PINION_NESTED  /* it also reads those of the groups before it */
};
enum { PINION_MAX_GROUPS = 8 };

/* What may be changed in a description when it is opened. Zero keeps what the description says. */
typedef struct pinion_network_options {
    pinion_shape input; /* each of h, w, c on its own */
    int classes;        /* outputs of the last linear layer */

    /* 1 … PINION_MAX_GROUPS: the channels of every layer are cut into so many groups, as evenly as possible; the logits
     * of width j are the sum of what the classifiers of groups 1 … j give. Layers and weights of group j are called
     * NAME.gJ; layers stand group by group. 0: the network is not cut. */
    int groups;
    enum pinion_connect connect;
    /* 1 … groups: the network is not cut, but its channels are all scaled by one factor, so that it has as many
     * multiply-adds as the cut one has at this width (within 3 %, else PINION_EINVAL). A baseline. 0: no. */
    int like_width;
} pinion_network_options;

/* Opens `model`: a zoo name ("resnet18", "resnet18-cifar", "mobilenetv2-cifar", "alexnet-cifar") or the path of a
 * JSON description (anything that ends in ".json"); docs/network-json.md gives the format. options may be NULL.
 * PINION_EINVAL: unknown model, an impossible override; PINION_EFORMAT: a damaged or impossible description. */
int pinion_network_open(pinion_context *ctx, const char *model, const pinion_network_options *options,
                        pinion_network **out);

/* The same from JSON text in memory; `origin` names it in messages. */
int pinion_network_parse(pinion_context *ctx, const char *json, size_t length, const char *origin,
                         const pinion_network_options *options, pinion_network **out);

/* Names of the zoo's models: NULL past the last. */
const char *pinion_network_zoo_name(int index);

typedef struct pinion_network_info {
    const char *name; /* borrowed from the network */
    pinion_shape input, output;
    int layers;
    int64_t parameters;   /* trainable values; running statistics are not counted */
    int64_t weight_bytes; /* parameters and running statistics */
    int64_t macs;         /* multiply-adds of one sample's forward pass through convolutions and linear layers */
    int groups;           /* 0: it is not cut */
    enum pinion_connect connect;
    int width; /* so many groups have weights, from the first on: initialised or loaded, and not released at the moment;
                  0: none, or it is not cut */
} pinion_network_info;

pinion_network_info pinion_network_get_info(const pinion_network *network);

/* Groups 1 … width together. */
typedef struct pinion_width_info {
    int64_t parameters, weight_bytes, macs;
} pinion_width_info;

/* PINION_EINVAL: the network is not cut, or has no such width. */
int pinion_network_get_width(const pinion_network *network, int width, pinion_width_info *out);

typedef struct pinion_layer_info {
    const char *name; /* borrowed from the network */
    const char *op;   /* "conv2d" */
    pinion_shape output;
    int64_t parameters;
    int64_t macs;
    int inputs[2]; /* PINION_INPUT or a layer; as many as the op has */
    int input_count;
    int group; /* 1 … groups; 0: the network is not cut */
} pinion_layer_info;

/* PINION_EINVAL: no such layer. */
int pinion_network_get_layer(const pinion_network *network, pinion_layer layer, pinion_layer_info *out);

/* Fills all weights with their initial values: He normal, fan-out (convolutions); uniform in +-1/sqrt(fan-in) (linear
 * layers and their biases, PyTorch's default); 1 and 0 (batch norm); 0 (convolution biases). A function of the seed.
 * Called by nobody else: a network that is neither initialised nor loaded has zero weights. */
int pinion_network_init_weights(pinion_network *network, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
