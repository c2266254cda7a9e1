/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints: one safetensors file. Tensors: the network's weights as in a weights file (so it can be used as one),
 * and the optimiser's moments as "pinion.moment0.NAME" and "pinion.moment1.NAME", laid out like NAME, the best weights
 * of a stage that another follows as "pinion.best.NAME", and the samples held back. Metadata: that of a weights file,
 * and the keys below; docs/training.md lists them.
 */
#ifndef PINION_LEARN_CHECKPOINT_H
#define PINION_LEARN_CHECKPOINT_H

#include "learn/options.h"
#include "learn/trainer.h"

#define PINION__KEY_STEP "pinion.train.step"
#define PINION__KEY_EPOCH "pinion.train.epoch"
#define PINION__KEY_BATCH "pinion.train.epoch-step"
#define PINION__KEY_LOSS_SUM "pinion.train.loss-sum"
#define PINION__KEY_EPOCH_LOSS "pinion.train.epoch-loss"
#define PINION__KEY_BEST "pinion.train.best-top1"
#define PINION__KEY_STAGE "pinion.train.stage-index"   /* this and the next: only of a training in stages */
#define PINION__KEY_BEFORE "pinion.train.steps-before" /* in the stages before */
#define PINION__KEY_LOG "pinion.train.log-bytes"
#define PINION__KEY_DATA "pinion.train.data"
#define PINION__KEY_DATA_HASH "pinion.train.data-hash"
#define PINION__KEY_CLASSES "pinion.class_count" /* this and the next two: of every weights file */
#define PINION__KEY_INPUT "pinion.input"
#define PINION__KEY_MODEL "pinion.model"
#define PINION__KEY_NETWORK "pinion.train.network"
#define PINION__KEY_ISA "pinion.plan.isa"
#define PINION__KEY_PLAN "pinion.plan.tasks"
#define PINION__KEY_PARTS "pinion.plan.micro-batches"
#define PINION__KEY_EVALUATION "pinion.plan.evaluation" /* absent where nothing is evaluated */

/* I64 tensor: samples held back, ascending; only where they were given, not drawn by the seed. */
#define PINION__VALIDATION_TENSOR "pinion.validation"

struct pinion_checkpoint {
    pinion_context *ctx;
    pinion__st_file *file;
    int64_t *validation; /* the tensor's values; NULL: there is none */
    pinion__progress progress;
    int stage_index;
    int width;        /* groups that have weights in it */
    int known_widths; /* as in the trainer */
    double top1_per_width[PINION_MAX_GROUPS];
    enum pinion__isa isa;        /* of its kernels */
    int micro_batches;           /* a divisor of the batch */
    const char *plan;            /* pinion__plan_kernels; borrowed from the file */
    const char *evaluation;      /* the same of the evaluation's plan; NULL: there is none */
    pinion_checkpoint_info info; /* strings are borrowed from the file */
};

/* "W.safetensors" gives "W.SUFFIX.safetensors"; a name without that ending gets it. The caller owns *out. */
int pinion__checkpoint_path(pinion_context *ctx, const char *path, const char *suffix, char **out);

/* What of a parameter a tensor holds: one of its moments, 0 or 1, or: */
enum { PINION__TENSOR_BEST = -1, PINION__TENSOR_WEIGHTS = -2 };

/* Name of such a tensor in a checkpoint. The caller owns *out. */
int pinion__checkpoint_tensor_name(pinion_context *ctx, const char *param, int what, char **out);

/* A fingerprint of data as a checkpoint shows it. */
typedef struct pinion__hash_text {
    char text[20];
} pinion__hash_text;

pinion__hash_text pinion__checkpoint_hash_text(uint64_t hash);

/* The JSON description of a network (*network) and what it can be opened with again: a zoo name where that gives the
 * same network, else the description (*model). The caller owns both. */
int pinion__checkpoint_model(const pinion_network *network, char **model, char **description);

/* Writes W.state.safetensors, then W.safetensors; nothing where the trainer has no `out`. On failure the last
 * checkpoint stays. */
int pinion__checkpoint_save(pinion_trainer *trainer);

/* Writes W.state.safetensors alone. */
int pinion__checkpoint_save_state(pinion_trainer *trainer);

/* Writes the weights alone, with what a weights file says of model, data and normalisation. */
int pinion__checkpoint_export(const pinion_trainer *trainer, const char *path);

#endif
