/* SPDX-License-Identifier: Apache-2.0
 *
 * Training: a trainer drives a network over a data set epoch by epoch, saves and resumes.
 */
#ifndef PINION_TRAIN_H
#define PINION_TRAIN_H

#include <pinion/data.h>
#include <pinion/plan.h>
#include <pinion/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_trainer pinion_trainer;

enum pinion_schedule {
    PINION_SCHEDULE_CONSTANT,
    PINION_SCHEDULE_STEP,
    PINION_SCHEDULE_COSINE,
    PINION_SCHEDULE_ONECYCLE
};

/* One of several trainings of a dynamic network, one after the other (docs/dynamic.md). */
typedef struct pinion_train_stage {
    int group;           /* this group is trained, behind those before it, which stay as they are, bit for bit. 0: all
                            groups for all widths at once (`joint` below), which changes them all */
    int epochs;          /* 0: the options' */
    int64_t steps;       /* 0: the options' */
    float learning_rate; /* 0: the options' */
} pinion_train_stage;

enum { PINION_MAX_STAGES = PINION_MAX_GROUPS + 1 };

typedef struct pinion_train_options {
    int batch;                     /* default 64 */
    enum pinion_patience patience; /* of the plans of steps and of evaluation; default ESTIMATE. A training that is
                                      resumed uses the kernels of its checkpoint; only for plans of later stages the
                                      checkpoint has it */
    int epochs;                    /* default 10 */
    int64_t steps;                 /* 0: epochs * batches in an epoch; else training ends after so many steps */
    enum pinion_optimizer optimizer;
    float learning_rate; /* 0: 0.1 for sgd, 1e-3 for adamw */
    float momentum, weight_decay;
    enum pinion_schedule
        schedule;    /* step: x0.1 at 1/2 and 3/4 of the steps; cosine: to 0; onecycle: see docs/training.md */
    float clip_norm; /* 0: none */
    float label_smoothing;
    int augment;                       /* -1: the data set's own */
    const char *freeze;                /* NULL: none */
    uint64_t seed;                     /* default 1 */
    int unfused;                       /* 1: steps without fusion, see pinion_plan_options */
    int64_t validation;                /* training samples held back, 0: none */
    const int64_t *validation_indices; /* which samples those are (`validation` of them, distinct; borrowed); NULL:
                                          drawn by seed */
    size_t memory_limit;   /* of the plans of steps and of evaluation together: see pinion_plan_options; 0: none */
    float recompute_share; /* as in pinion_plan_options; default 0. It changes no bit, so a resumed training may have
                              another one */
    const char *processors, *place; /* as in pinion_plan_options; evaluation is placed in the same way, or, where
                                       `place` is a file, as with "auto" */
    int replan; /* 1: where steps take much longer or shorter than planned for several steps in a row, everything is
                   timed once more and the plan is made anew between two steps; moments and weights stay. The bits
                   are then no longer those of the first plan */
    /* Dynamic networks: `stage` and `joint` as in pinion_plan_options; evaluation is at width `stage`. A stage needs
     * the weights of the groups before it. Where there are none of its own group they are initialised by `seed`, with
     * the values that pinion_network_init_weights gives them; those of later groups are given up, and what is saved has
     * `stage` groups. Neither stage nor joint: all groups are trained for the full width. */
    int stage;
    int joint;
    float distillation_weight; /* as in pinion_plan_options; default 0.3 */
    /* Several such trainings, each with an optimiser and a schedule of its own, instead of `stage` and `joint`: groups
     * k, k+1, … one after another, and last, if wanted, all jointly. With samples held back the next stage begins from
     * the best weights on them of the one before. One pinion_trainer_run does them all, and a checkpoint of any of them
     * is resumed as one of a single training. Each stage alone, begun from what the one before left, gives the same
     * bits. 0 stages: one training. */
    pinion_train_stage stages[PINION_MAX_STAGES];
    int stage_count;
    const char *trace; /* a trace of the steps of this run: see pinion_runner_set_trace; NULL: none */
    void (*measuring)(void *user, int done, int count); /* as in pinion_plan_options */
    void *measuring_user;
    const char *out;    /* "W.safetensors"; NULL: nothing is saved */
    int64_t save_every; /* steps between checkpoints besides the ends of epochs; 0: none */
} pinion_train_options;

pinion_train_options pinion_train_options_default(void);

/* What happened in one step. */
typedef struct pinion_step_report {
    int64_t step, steps;   /* of the stage; step counts from 1 */
    int64_t done;          /* steps done in this and earlier stages */
    int stage, stages;     /* stage counts from 1; 1 of 1: options.stage_count is 0 */
    int64_t epoch, epochs; /* epoch counts from 1 */
    float loss, learning_rate;
    double step_ms, wait_ms; /* the whole step, and the share of it spent waiting for the loader */
    double images_per_s;     /* of this step */
} pinion_step_report;

typedef struct pinion_epoch_report {
    int64_t epoch, epochs;
    double loss;            /* mean over the epoch's steps */
    double top1;            /* on the validation samples, else the test part; percent; NaN: there is neither */
    double validation_top1; /* NaN: none held back */
    double seconds;
    double wait_share; /* of the time in the epoch's steps of this run, spent waiting for the loader; 0..1 */
    int stage, stages; /* as in pinion_step_report */
    int widths; /* dynamic networks: top1 was taken at so many widths, and is that of the last; 0: the network is not
                   cut, or nothing was evaluated */
    double top1_per_width[PINION_MAX_GROUPS];
} pinion_epoch_report;

/* The plan changed between two steps. */
typedef struct pinion_change_report {
    const char *failed;  /* the processor that failed and is left out; NULL: re-planned (options.replan) */
    const char *cause;   /* a sentence */
    int64_t step;        /* steps done, from where it goes on: after a failure those of the last checkpoint */
    int64_t repeated;    /* steps that are done once more */
    int64_t log_bytes;   /* of the checkpoint, after a failure; else -1 */
    double predicted_ms; /* of a step with the new plan; NaN: not known */
} pinion_change_report;

typedef struct pinion_stage_report pinion_stage_report;

typedef struct pinion_train_callbacks {
    void (*step)(void *user, const pinion_step_report *report);      /* after each step; may be NULL */
    void (*epoch)(void *user, const pinion_epoch_report *report);    /* after each epoch; may be NULL */
    void (*changed)(void *user, const pinion_change_report *report); /* may be NULL */
    /* When a stage begins or goes on, and when it ends; a training without stages is one. May be NULL. */
    void (*stage)(void *user, const pinion_stage_report *report);
    /* Asked after each step, each end of an epoch that leaves something to do, and before each stage but the first;
     * non-zero: save and return PINION_EINTERRUPTED. May be NULL. */
    int (*stop)(void *user);
    void *user;
} pinion_train_callbacks;

/* Of several stages: of the last one. */
typedef struct pinion_train_result {
    int64_t steps;
    double loss; /* mean of the last epoch */
    double top1; /* last weights on the test part, percent; NaN: no test part */
    int widths;  /* dynamic networks: as in pinion_epoch_report, on the test part */
    double top1_per_width[PINION_MAX_GROUPS];
    double best_top1;    /* best on the validation samples; NaN: none */
    double images_per_s; /* over all steps of this run */
    double step_ms;      /* median */
    double wait_share;   /* of the time in steps, 0..1 */
    double seconds;
    size_t arena_bytes, total_bytes; /* of the plan: see pinion_plan_info, as the next two */
    int recomputed, micro_batches;
} pinion_train_result;

struct pinion_stage_report {
    int stage, stages; /* as in pinion_step_report */
    int group;         /* that is trained; 0: all */
    int joint;         /* 1: all groups, for all widths at once */
    int width;         /* groups that run; 0: the network is not cut */
    int cached;        /* 1: the logits of the groups that are not trained are computed once, before the first step */
    const pinion_train_result *result; /* NULL: the stage begins, or goes on after pinion_trainer_resume */
};

/* Prepares training of `network` (borrowed; its weights are the start) on the training part of `dataset` (borrowed).
 * The output folder is checked here. PINION_EINVAL: an option out of range, a data set smaller than a batch, shapes or
 * classes that do not fit, a stage whose earlier groups have no weights. PINION_ENOMEM: the memory limit is too small;
 * the sentence says which one works. */
int pinion_trainer_create(pinion_network *network, pinion_dataset *dataset, const pinion_train_options *options,
                          pinion_trainer **out);
void pinion_trainer_destroy(pinion_trainer *trainer);

/* The plan of its steps, in the present stage: what its memory limit led to. NULL: zeros. */
pinion_plan_info pinion_trainer_get_plan(const pinion_trainer *trainer);

/* Continues from a checkpoint ("W.safetensors" or "W.state.safetensors": the state is read). The options of the trainer
 * must be those of the interrupted run, except `out` and `save_every`; a difference is PINION_EINVAL and named. Call
 * before run. */
int pinion_trainer_resume(pinion_trainer *trainer, const char *path);

/* Asks `position` (NULL: nobody) before each save how long the caller's log is; the answer becomes log_bytes of the
 * checkpoint, so that a program that resumes can cut its log back to the moment of the checkpoint. The callbacks of a
 * step or epoch are called before the save that follows it. */
void pinion_trainer_set_log_bytes(pinion_trainer *trainer, int64_t (*position)(void *user), void *user);

/* Trains to the end. Where a device fails, training goes on on the other processors (on the CPU where there is none)
 * from the last checkpoint, which is also written before the first step where devices take part; without `out` the
 * failure is returned, PINION_EDEVICE. PINION_EINTERRUPTED: stopped by the callback, state saved. PINION_ENONFINITE:
 * the loss is not finite; the last checkpoint stays. Where a sample cannot be read, the state is saved before the
 * failure is returned.
 */
int pinion_trainer_run(pinion_trainer *trainer, const pinion_train_callbacks *callbacks, pinion_train_result *result);

/* Top-1 accuracy and mean loss of a network on a part of a data set (batch: 0 chooses). mean and std (3 floats each,
 * NULL: the data set's) normalise. PINION_ENONFINITE: the network gives a sample a value that is not finite. */
typedef struct pinion_eval_result {
    double top1; /* percent */
    double loss;
    int64_t count;
    int widths; /* a dynamic network: so many widths were evaluated, `top1` and `loss` are those of the last; else 0 */
    double top1_per_width[PINION_MAX_GROUPS];
    double loss_per_width[PINION_MAX_GROUPS];
    double confidence_per_width[PINION_MAX_GROUPS]; /* the sum over the samples of the right class' probability */
} pinion_eval_result;

int pinion_evaluate(const pinion_network *network, pinion_dataset *dataset, enum pinion_part part, int batch,
                    const float *mean, const float *std, pinion_eval_result *out);

/* What a checkpoint was made with, so that a program can rebuild network and options before resuming. Strings are owned
 * by the object. */
typedef struct pinion_checkpoint pinion_checkpoint;
typedef struct pinion_checkpoint_info {
    const char *model; /* zoo name or JSON description */
    const char *data;  /* SPEC */
    pinion_shape input;
    int classes;
    int groups; /* how `model` was cut; 0: it was not */
    enum pinion_connect connect;
    pinion_train_options options; /* out is NULL; freeze and validation_indices borrowed from the object */
    int64_t step;                 /* steps done, in all stages */
    int64_t log_bytes;            /* length of the log at the checkpoint; -1: none */
} pinion_checkpoint_info;

int pinion_checkpoint_open(pinion_context *ctx, const char *path, pinion_checkpoint **out);
void pinion_checkpoint_close(pinion_checkpoint *checkpoint);
const pinion_checkpoint_info *pinion_checkpoint_get_info(const pinion_checkpoint *checkpoint);

#ifdef __cplusplus
}
#endif
#endif
