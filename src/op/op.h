/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of layer. An op is one const pinion__op in one file of this folder: its name, attributes as they stand in
 * JSON, shape inference, parameters, costs, and for each pass the list of its operands. Everything above (planner,
 * executor, kernel checker, bench) works from these lists and knows no op by name. All ops stand once in ops.def.
 */
#ifndef PINION_OP_OP_H
#define PINION_OP_OP_H

#include "base/context.h"
#include "tensor/view.h"
#include <pinion/network.h>

enum pinion__op_id {
#define PINION__OP(name) PINION__OP_##name,
#include "op/ops.def"
#undef PINION__OP
    PINION__OP_COUNT
};

enum pinion__pass {
    PINION__FORWARD,
    PINION__BACKWARD_DATA,
    PINION__BACKWARD_WEIGHTS,
    PINION__UPDATE,
    PINION__PASS_COUNT
};

const char *pinion__pass_name(enum pinion__pass pass);

enum {
    PINION__MAX_INPUTS = 2,
    PINION__MAX_PARAMS = 2,
    PINION__MAX_STATES = 2,
    PINION__MAX_SAVED = 2,
    PINION__MAX_OPERANDS = 12
};

/* What an operand of a pass is, seen from its layer. */
enum pinion__role {
    PINION__INPUT,    /* activation read by the layer; index: which input */
    PINION__OUTPUT,   /* activation written by the layer */
    PINION__D_INPUT,  /* gradient of an input; a pass with D_INPUT is one task per input that wants a gradient */
    PINION__D_OUTPUT, /* gradient of the output */
    PINION__PARAM,    /* parameter */
    PINION__D_PARAM,  /* gradient of a parameter */
    PINION__STATE,    /* running statistics */
    PINION__SAVED,    /* kept from forward for backward; absent (data NULL) where there is no backward */
    PINION__LABELS,   /* int32 (n,1,1,1) */
    PINION__MOMENT,   /* optimiser state of a parameter */
    PINION__SCALE,    /* one float: factor on gradients from global-norm clipping; may be absent */
    PINION__SQUARES,  /* doubles: sums of squares of gradients, a slot a parameter (global-norm clipping) */
    PINION__ADDEND,   /* activation of the output's shape, added before the activation function */
    PINION__D_ADDEND, /* gradient of what the activation function was applied to; may be the bytes of D_OUTPUT */
    PINION__STATS,    /* partial statistics of the output: see op/stats.h */
    PINION__TARGETS   /* probabilities of another's logits, which a loss compares its own with: (n,1,1,classes) */
};

/* FUSED: the operand is absent unless the planner's fusion (plan/fuse.c) puts a tensor there. */
enum pinion__access { PINION__READ = 1, PINION__WRITE = 2, PINION__READ_WRITE = 3, PINION__FUSED = 4 };

/* A function that a task applies to each element of its output before it is stored; backward passes of such a task
 * take the gradient behind it. ReLU passes the gradient where its output is above 0, ReLU6 where it is also below 6. */
enum pinion__activation { PINION__ACTIVATION_NONE, PINION__ACTIVATION_RELU, PINION__ACTIVATION_RELU6 };

typedef struct pinion__operand {
    unsigned char role, index, access;
} pinion__operand;

typedef struct pinion__operands {
    int count;
    pinion__operand at[PINION__MAX_OPERANDS];
} pinion__operands;

enum pinion__init { PINION__INIT_ZERO, PINION__INIT_ONE, PINION__INIT_HE_FAN_OUT, PINION__INIT_UNIFORM_FAN_IN };

/* How the bytes of a parameter in memory map to its tensor in a file. */
enum pinion__param_layout {
    PINION__LAYOUT_VECTOR, /* [c] */
    PINION__LAYOUT_KRSC,   /* memory (k,r,s,c), file [k,c,r,s] */
    PINION__LAYOUT_RSC,    /* depthwise: memory (1,r,s,c), file [c,1,r,s] */
    PINION__LAYOUT_KC /* linear: memory (k,1,1,c), file [k,c]; behind a flatten c = (h,w,c) in memory, (c,h,w) in the
                         file */
};

typedef struct pinion__param_spec {
    const char *suffix; /* "weight" */
    int n, h, w, c;     /* view shape in memory, dense */
    enum pinion__param_layout layout;
    enum pinion__init init;
    int fan;    /* for init */
    bool decay; /* weight decay applies */
} pinion__param_spec;

typedef struct pinion__saved_spec {
    int h, w, c;       /* per sample when per_sample, else one (1,h,w,c) tensor for the whole batch */
    int element_bytes; /* 4, or 1 for indices */
    bool per_sample;
} pinion__saved_spec;

enum pinion__attr_type { PINION__ATTR_INT, PINION__ATTR_PAIR, PINION__ATTR_FLOAT, PINION__ATTR_BOOL };

/* One attribute as it stands in JSON: the JSON reader and writer and the add functions share these rows. A PAIR is two
 * ints, h then w, given as one number or [h, w]. Range is inclusive. */
typedef struct pinion__attr_field {
    const char *key;
    enum pinion__attr_type type;
    size_t offset; /* in the attributes; a PAIR's second int follows at offset2 */
    size_t offset2;
    double fallback, min, max;
    bool required;
} pinion__attr_field;

enum pinion__op_flags {
    PINION__OP_VIEW = 1,     /* output is the input's bytes under another shape: no task */
    PINION__OP_INTERNAL = 2, /* not in descriptions: loss, optimisers, stored-statistics variants */
    PINION__OP_LOSS = 4,
    PINION__OP_OPTIMIZER = 8,
    PINION__OP_WHOLE_BATCH = 16, /* forward mixes samples: cannot be cut along n without combining */
    PINION__OP_SAME_GRADIENT =
        32, /* add: every input's gradient equals the output's, so the planner may let them share bytes */
    PINION__OP_SIDE_BY_SIDE = 64 /* concat: the output is the inputs' channels one behind the other: no task where the
                                    inputs are written there, and an input's gradient is a slice of the output's */
};

typedef struct pinion__op {
    const char *name;
    enum pinion__op_id id;
    unsigned flags;
    int inputs;
    size_t attributes_bytes; /* 0: none */
    const pinion__attr_field *fields;
    int field_count;

    /* The op that stands in where there is no training of this layer (inference, frozen): batchnorm → batchnorm_stored,
     * dropout → identity. PINION__OP_COUNT: itself. Same attributes, parameters and states. */
    enum pinion__op_id stored;

    /* Shape of the output, or PINION_EINVAL with the sentence "layer 'NAME' (OP): …". May adjust attributes (defaults).
     */
    int (*infer)(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output);
    /* Fill specs, return their number. NULL: none. */
    int (*params)(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                  pinion__param_spec specs[PINION__MAX_PARAMS]);
    int (*states)(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                  pinion__param_spec specs[PINION__MAX_STATES]);
    int (*saved)(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                 pinion__saved_spec specs[PINION__MAX_SAVED]);
    /* Multiply-adds of one sample in one pass (for the reports and for estimates); NULL: none worth counting. */
    int64_t (*macs)(const void *attributes, const pinion_shape *inputs, const pinion_shape *output);

    pinion__operands pass[PINION__PASS_COUNT]; /* count 0: the op has no such pass */
} pinion__op;

const pinion__op *pinion__op_get(enum pinion__op_id id);
/* NULL: no op of that name for descriptions. */
const pinion__op *pinion__op_find(const char *name);

/* Attributes of ops that only the library makes. */
typedef struct pinion__softmax_cross_entropy {
    float label_smoothing; /* 0 <= e < 1; target = (1-e)*onehot + e/classes */
} pinion__softmax_cross_entropy;

typedef struct pinion__distillation {
    float weight; /* of its loss beside that of the full width */
} pinion__distillation;

typedef struct pinion__sgd {
    float momentum, weight_decay; /* per parameter: 0 decay for batch norm and biases */
    bool nesterov;
} pinion__sgd;

typedef struct pinion__adamw {
    float beta1, beta2, epsilon, weight_decay;
} pinion__adamw;

/* Slices of a batch, whose partial statistics are put together: samples of each, 0 past the last, and their size. */
enum { PINION__MAX_SLICES = 4 };
typedef struct pinion__batchnorm_statistics {
    int n[PINION__MAX_SLICES], h, w;
    float epsilon, momentum;
} pinion__batchnorm_statistics;

typedef struct pinion__attributes {
    union {
        pinion_conv2d conv2d;
        pinion_batchnorm batchnorm;
        pinion_pool pool;
        pinion_linear linear;
        pinion_dropout dropout;
        pinion__softmax_cross_entropy loss;
        pinion__distillation distillation;
        pinion__sgd sgd;
        pinion__adamw adamw;
        pinion__batchnorm_statistics batchnorm_statistics;
    } as;
} pinion__attributes;

#endif
