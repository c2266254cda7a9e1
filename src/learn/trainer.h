/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of a trainer. What a checkpoint must hold so that a resumed training gives the bits of an uninterrupted one:
 * the weights, the moments, pinion__progress, the options, and which kernels run. All else (order of samples,
 * augmentation, dropout, learning rate) is a function of those.
 */
#ifndef PINION_LEARN_TRAINER_H
#define PINION_LEARN_TRAINER_H

#include "data/dataset.h"
#include "device/device.h"
#include "learn/evaluate.h"
#include "learn/stages.h"
#include "net/network.h"
#include "run/runner.h"
#include <pinion/train.h>

/* Where a stage of a training stands between two steps. An epoch whose steps are done but whose end (evaluation,
 * reports, saving) is not is possible here: an interrupted training ends so, and goes on with it. */
typedef struct pinion__progress {
    int64_t step;      /* steps done */
    int64_t epoch;     /* epochs ended */
    int64_t batch;     /* steps done since */
    double loss_sum;   /* of these steps */
    double epoch_loss; /* mean of the last ended epoch; NaN: none yet */
    double best_top1;  /* on the validation samples; NaN: none yet */
} pinion__progress;

/* The logits of frozen groups (prior.h). */
typedef struct pinion__prior {
    float *logits; /* (samples of the training part, classes); NULL: there are none */
    float *batch;  /* (batch, classes): those of a step */
    size_t classes;
} pinion__prior;

/* Of the runner, in which batches are prepared where devices read them. */
enum { PINION__TRAINER_SLOTS = 4 };

struct pinion_trainer {
    pinion_context *ctx;
    pinion_network *network;      /* borrowed */
    pinion_dataset *dataset;      /* borrowed */
    pinion_train_options options; /* checked; strings are the copies below; validation_indices is not kept */
    char *freeze, *out, *list, *place, *trace;
    char *state_path, *best_path; /* NULL without `out` */
    char *model, *description;    /* pinion__checkpoint_model */

    uint64_t data_hash;                         /* pinion__data_fingerprint */
    uint32_t *train_subset, *validation_subset; /* ascending; NULL: nothing is held back */
    bool validation_given;                      /* by validation_indices */
    int64_t train_count;
    int64_t batches; /* in an epoch */

    int stage_index; /* the present stage: this and the following are pinion__trainer_set_stage's */
    pinion__stage stage;
    int64_t steps, epochs;
    int64_t steps_before; /* in the stages before */
    uint64_t seed;        /* of order, augmentation, dropout */
    unsigned char *best;  /* best.h; NULL: there is no copy */
    pinion__prior prior;

    pinion__processors processors;
    pinion_plan *plan;
    pinion_runner *runner;
    pinion__evaluator *evaluator; /* NULL: there is nothing to evaluate */

    bool anew; /* the next plan is made from new times */

    pinion__progress progress;
    int known_widths; /* dynamic networks: the accuracy of the present weights on the test part, where it is known */
    double top1_per_width[PINION_MAX_GROUPS];
    int64_t saved_step; /* of the last checkpoint written or resumed from; -1: none */
    int64_t (*log_bytes)(void *user);
    void *log_user;
};

/* Kernels that plans must use, as pinion__plan_kernels writes them; NULL: the plan chooses. And into how many parts the
 * training's batch is cut; 0: as many as the memory limit asks for. */
typedef struct pinion__given_kernels {
    const char *training, *evaluation;
    int micro_batches;
} pinion__given_kernels;

/* The plan of the steps of a stage. */
pinion_plan_options pinion__trainer_plan_options(const pinion_trainer *trainer, pinion__stage stage);

/* Destroys plan, runner and evaluator. */
void pinion__trainer_clear(pinion_trainer *trainer);

/* Do devices with memory of their own kind take part? */
bool pinion__trainer_has_device(const pinion_trainer *trainer);

/* (Re)builds plan, runner and evaluator of the present stage for kernels of an instruction set that this context may
 * use. */
int pinion__trainer_build(pinion_trainer *trainer, enum pinion__isa isa, pinion__given_kernels given);

/* Goes on from a checkpoint of this very training on whatever plan there is. */
int pinion__trainer_restore(pinion_trainer *trainer, const char *path, int64_t *log_bytes);

/* After PINION_EDEVICE: leaves the failed processors out, plans on the others and restores the last checkpoint. The
 * report's strings live in `text`. Where there is nothing to go on from, the failure is returned. */
typedef struct pinion__change_text {
    char failed[32];
    char cause[PINION__SENTENCE_MAX];
} pinion__change_text;

int pinion__trainer_recover(pinion_trainer *trainer, pinion__change_text *text, pinion_change_report *report);

/* Times everything once more and plans anew; weights and moments stay. */
int pinion__trainer_replan(pinion_trainer *trainer, pinion_change_report *report);

/* Parameters and running statistics of the groups that the present stage runs: the network's first so many. */
int pinion__trainer_params(const pinion_trainer *trainer);

/* PINION_ENONFINITE names the first weight with a value that is not finite. */
int pinion__trainer_check_weights(const pinion_trainer *trainer);

/* The same for the optimiser's moments. */
int pinion__trainer_check_moments(const pinion_trainer *trainer);

#endif
