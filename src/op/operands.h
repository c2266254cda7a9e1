/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions of operands in each (op, pass): the contract between op files, kernels and their checker. The op files list
 * the operands in exactly this order. x input, y output, w weights, b bias, d* gradients; the formula of each pass
 * stands in kernel/ref.
 *
 * `accumulate` in the arguments of a backward pass: outputs D_INPUT or D_PARAM are added to instead of overwritten.
 * Every kernel honours it.
 *
 * Operands behind the comment "fused" are absent (data NULL) in a plan that fuses nothing. `activation` in the
 * arguments belongs to the forward passes of conv2d, depthwise_conv2d, linear, batchnorm, batchnorm_stored, normalise
 * and add, and to batchnorm's backward passes. A kernel that cannot do what its arguments ask for is not applicable to
 * them.
 */
#ifndef PINION_OP_OPERANDS_H
#define PINION_OP_OPERANDS_H

/* conv2d, depthwise_conv2d, linear (w as their layouts; b may be absent) */
enum {
    PINION__CONV_FORWARD_X,
    PINION__CONV_FORWARD_W,
    PINION__CONV_FORWARD_B,
    PINION__CONV_FORWARD_Y,
    /* fused: y = activation(conv(x) + addend); y may be the addend's bytes. stats: of y (only without activation) */
    PINION__CONV_FORWARD_ADDEND,
    PINION__CONV_FORWARD_STATS
};
/* w of conv2d and linear may have ld > c: weights of some of the input channels, to whose gradients dx is cut. */
enum { PINION__CONV_BACKWARD_DATA_DY, PINION__CONV_BACKWARD_DATA_W, PINION__CONV_BACKWARD_DATA_DX };
enum {
    PINION__CONV_BACKWARD_WEIGHTS_X,
    PINION__CONV_BACKWARD_WEIGHTS_DY,
    PINION__CONV_BACKWARD_WEIGHTS_DW,
    PINION__CONV_BACKWARD_WEIGHTS_DB,
    /* fused: dw is absent; each of its elements updates w and its moments as args->update says, once it is complete */
    PINION__CONV_BACKWARD_WEIGHTS_W,
    PINION__CONV_BACKWARD_WEIGHTS_MOMENT_0, /* sgd: velocity; adamw: m */
    PINION__CONV_BACKWARD_WEIGHTS_MOMENT_1  /* adamw: v */
};

/* batchnorm: saved constants are three rows (1,3,1,c): the batch's mean, the scale gamma*invstd and the shift, such
 * that normalised = (x - mean)*scale + shift is what forward computed, bit by bit; the inverse standard deviation is
 * (1,1,1,c). backward_weights gives dgamma, dbeta, which backward_data reads. With an activation and no addend its
 * derivative is taken at the normalised x; with an addend at the stored output y. */
enum {
    PINION__BATCHNORM_FORWARD_X,
    PINION__BATCHNORM_FORWARD_GAMMA,
    PINION__BATCHNORM_FORWARD_BETA,
    PINION__BATCHNORM_FORWARD_RUNNING_MEAN, /* read-write */
    PINION__BATCHNORM_FORWARD_RUNNING_VAR,  /* read-write */
    PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS,
    PINION__BATCHNORM_FORWARD_SAVED_INVSTD,
    PINION__BATCHNORM_FORWARD_Y,
    /* fused: y = activation(normalised + addend); y may be the addend's bytes. stats: of x, left by its producer */
    PINION__BATCHNORM_FORWARD_ADDEND,
    PINION__BATCHNORM_FORWARD_STATS
};
enum {
    PINION__BATCHNORM_BACKWARD_DATA_X,
    PINION__BATCHNORM_BACKWARD_DATA_DY,
    PINION__BATCHNORM_BACKWARD_DATA_GAMMA,
    PINION__BATCHNORM_BACKWARD_DATA_SAVED_CONSTANTS,
    PINION__BATCHNORM_BACKWARD_DATA_SAVED_INVSTD,
    PINION__BATCHNORM_BACKWARD_DATA_DGAMMA,
    PINION__BATCHNORM_BACKWARD_DATA_DBETA,
    PINION__BATCHNORM_BACKWARD_DATA_DX
};
enum {
    PINION__BATCHNORM_BACKWARD_WEIGHTS_X,
    PINION__BATCHNORM_BACKWARD_WEIGHTS_DY,
    PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_CONSTANTS,
    PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_INVSTD,
    PINION__BATCHNORM_BACKWARD_WEIGHTS_DGAMMA,
    PINION__BATCHNORM_BACKWARD_WEIGHTS_DBETA,
    /* fused, both or none: ds = dy where the activation at y passes it, else 0; ds may be dy's bytes. backward_data
     * then reads ds for dy and has no activation. */
    PINION__BATCHNORM_BACKWARD_WEIGHTS_Y,
    PINION__BATCHNORM_BACKWARD_WEIGHTS_DS
};

/* batchnorm_stored: y = gamma*(x-mean)/sqrt(var+eps)+beta with the running statistics; no parameter gradients. */
enum {
    PINION__BATCHNORM_STORED_FORWARD_X,
    PINION__BATCHNORM_STORED_FORWARD_GAMMA,
    PINION__BATCHNORM_STORED_FORWARD_BETA,
    PINION__BATCHNORM_STORED_FORWARD_RUNNING_MEAN, /* read */
    PINION__BATCHNORM_STORED_FORWARD_RUNNING_VAR,  /* read */
    PINION__BATCHNORM_STORED_FORWARD_Y,
    PINION__BATCHNORM_STORED_FORWARD_ADDEND /* fused: as in batchnorm */
};
enum {
    PINION__BATCHNORM_STORED_BACKWARD_DATA_DY,
    PINION__BATCHNORM_STORED_BACKWARD_DATA_GAMMA,
    PINION__BATCHNORM_STORED_BACKWARD_DATA_RUNNING_VAR,
    PINION__BATCHNORM_STORED_BACKWARD_DATA_DX
};

/* normalise (internal): y = activation((x - mean)*scale + shift + addend), constants as batchnorm saves them. What
 * recomputes the output of a batchnorm in the backward pass. */
enum {
    PINION__NORMALISE_FORWARD_X,
    PINION__NORMALISE_FORWARD_CONSTANTS,
    PINION__NORMALISE_FORWARD_Y,
    PINION__NORMALISE_FORWARD_ADDEND /* fused */
};

/* statistics (internal): stats of x (op/stats.h), where its producer leaves none. */
enum { PINION__STATISTICS_FORWARD_X, PINION__STATISTICS_FORWARD_STATS };

/* batchnorm_statistics (internal): of the n[i] samples of slice i, h x w pixels each, stats i are the blocks; all
 * blocks of all slices in order are those of the batch. Constants, invstd and running statistics become what
 * batchnorm's forward pass makes of them. */
enum {
    PINION__BATCHNORM_STATISTICS_FORWARD_STATS, /* of the first slice; the further ones follow, absent past the last */
    PINION__BATCHNORM_STATISTICS_FORWARD_GAMMA = PINION__BATCHNORM_STATISTICS_FORWARD_STATS + 4,
    PINION__BATCHNORM_STATISTICS_FORWARD_BETA,
    PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_MEAN, /* read-write */
    PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_VAR,  /* read-write */
    PINION__BATCHNORM_STATISTICS_FORWARD_CONSTANTS,
    PINION__BATCHNORM_STATISTICS_FORWARD_INVSTD /* may be absent */
};

/* fold_batchnorm (internal): weights and bias of a convolution that does the work of the stored batch norm behind it:
 * folded_w[k] = w[k]*gamma[k]/sqrt(var[k]+eps), folded_b[k] = (b[k]-mean[k])*gamma[k]/sqrt(var[k]+eps) + beta[k]; b may
 * be absent. w's n (dense, linear) or, where n is 1, its channels (depthwise) are the output's channels. */
enum {
    PINION__FOLD_FORWARD_W,
    PINION__FOLD_FORWARD_B,
    PINION__FOLD_FORWARD_GAMMA,
    PINION__FOLD_FORWARD_BETA,
    PINION__FOLD_FORWARD_MEAN,
    PINION__FOLD_FORWARD_VAR,
    PINION__FOLD_FORWARD_FOLDED_W,
    PINION__FOLD_FORWARD_FOLDED_B
};

/* relu, relu6: backward from the saved output; relu6 passes the gradient where 0 < y < 6. */
enum { PINION__RELU_FORWARD_X, PINION__RELU_FORWARD_Y };
enum { PINION__RELU_BACKWARD_DATA_Y, PINION__RELU_BACKWARD_DATA_DY, PINION__RELU_BACKWARD_DATA_DX };

/* add: dx of either input is dy (the planner usually shares the bytes instead). */
enum { PINION__ADD_FORWARD_A, PINION__ADD_FORWARD_B, PINION__ADD_FORWARD_Y };
enum { PINION__ADD_BACKWARD_DATA_DY, PINION__ADD_BACKWARD_DATA_DX };

/* maxpool: saved index = row*s + column in the window of the first maximum, uint8 (window <= 255), shape of y. */
enum { PINION__MAXPOOL_FORWARD_X, PINION__MAXPOOL_FORWARD_Y, PINION__MAXPOOL_FORWARD_INDEX };
enum { PINION__MAXPOOL_BACKWARD_DATA_DY, PINION__MAXPOOL_BACKWARD_DATA_INDEX, PINION__MAXPOOL_BACKWARD_DATA_DX };

/* avgpool, global_avgpool */
enum { PINION__AVGPOOL_FORWARD_X, PINION__AVGPOOL_FORWARD_Y };
enum { PINION__AVGPOOL_BACKWARD_DATA_DY, PINION__AVGPOOL_BACKWARD_DATA_DX };

/* dropout: the mask is drawn again in backward from (seed, layer, step, element); element = ((n*h + y)*w + x)*c +
 * channel with n counted from `first_sample`. */
enum { PINION__DROPOUT_FORWARD_X, PINION__DROPOUT_FORWARD_Y };
enum { PINION__DROPOUT_BACKWARD_DATA_DY, PINION__DROPOUT_BACKWARD_DATA_DX };

/* softmax_cross_entropy: y is the loss of each sample (n,1,1,1); saved: softmax(x). dx = (softmax - target)/batch,
 * batch = step->loss_batch. */
enum {
    PINION__LOSS_FORWARD_X,
    PINION__LOSS_FORWARD_LABELS,
    PINION__LOSS_FORWARD_PROBABILITIES,
    PINION__LOSS_FORWARD_Y
};
enum { PINION__LOSS_BACKWARD_DATA_PROBABILITIES, PINION__LOSS_BACKWARD_DATA_LABELS, PINION__LOSS_BACKWARD_DATA_DX };

/* distillation (internal): the same with given probabilities t (targets) in the place of labels, at the same positions:
 * y = - sum t log softmax(x) of each sample, dx = (softmax - t)/batch. t has no gradient. */
enum { PINION__DISTILLATION_FORWARD_TARGETS = PINION__LOSS_FORWARD_LABELS };
enum { PINION__DISTILLATION_BACKWARD_DATA_TARGETS = PINION__LOSS_BACKWARD_DATA_LABELS };

/* sgd (moment 0: velocity), adamw (moments 0, 1): one parameter a task; learning rate and step number from `step`.
 * SCALE may be absent (1). */
enum {
    PINION__SGD_UPDATE_W,
    PINION__SGD_UPDATE_DW,
    PINION__SGD_UPDATE_SCALE,
    PINION__SGD_UPDATE_VELOCITY,
    /* fused: gradients of further slices of the batch; the gradient is ((dw + first) + second) + third */
    PINION__SGD_UPDATE_FURTHER_0,
    PINION__SGD_UPDATE_FURTHER_1,
    PINION__SGD_UPDATE_FURTHER_2
};
enum {
    PINION__ADAMW_UPDATE_W,
    PINION__ADAMW_UPDATE_DW,
    PINION__ADAMW_UPDATE_SCALE,
    PINION__ADAMW_UPDATE_M,
    PINION__ADAMW_UPDATE_V,
    PINION__ADAMW_UPDATE_FURTHER_0, /* fused: as sgd's */
    PINION__ADAMW_UPDATE_FURTHER_1,
    PINION__ADAMW_UPDATE_FURTHER_2
};

/* Global-norm clipping: grad_square writes the sum of squares of one gradient as a double into one slot; clip_scale
 * reads all slots (double, (1,1,1,count)), in order, and writes scale = min(1, step->clip_norm / (norm + 1e-6)) as one
 * float. */
enum { PINION__GRAD_SQUARE_UPDATE_DW, PINION__GRAD_SQUARE_UPDATE_SLOT };
enum { PINION__CLIP_SCALE_UPDATE_SLOTS, PINION__CLIP_SCALE_UPDATE_SCALE };

#endif
