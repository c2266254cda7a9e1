/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages of a training: which groups of a dynamic network learn when, for how long, and from what. A training without
 * stages is one. docs/dynamic.md has the formulas.
 */
#ifndef PINION_LEARN_STAGES_H
#define PINION_LEARN_STAGES_H

#include "net/network.h"
#include <pinion/train.h>

/* One stage with all that the options leave to defaults. */
typedef struct pinion__stage {
    int group; /* that is trained; 0: all */
    bool joint;
    int epochs;
    int64_t steps; /* 0: whole epochs */
    float learning_rate;
} pinion__stage;

/* Number of stages of checked options: at least one. */
int pinion__stage_count(const pinion_train_options *options);
pinion__stage pinion__stage_at(const pinion_train_options *options, int index);

/* Steps of a stage, with so many batches in an epoch. */
int64_t pinion__stage_steps(pinion__stage stage, int64_t batches);

/* What order of samples, augmentation and dropout are drawn from: the training's seed for the first group and for
 * networks that are not cut, one derived from it for each later group and for joint training. A function of seed and
 * stage, so a stage gives the same bits alone and behind others. */
uint64_t pinion__stage_seed(const pinion_network *network, pinion__stage stage, uint64_t seed);

/* Groups that run and are saved; 0: the network is not cut. */
int pinion__stage_width(const pinion_network *network, pinion__stage stage);

/* PINION_EINVAL: the network is not cut or has fewer groups than the stages want, or the groups before the first stage
 * have no weights. */
int pinion__stages_check(const pinion_network *network, const pinion_train_options *options);

/* Sets the trainer's counts for stage `index`. */
void pinion__trainer_set_stage(pinion_trainer *trainer, int index);

/* Prepares the network for the present stage: initialises a group that has no weights, gives up later ones. */
int pinion__trainer_enter_stage(pinion_trainer *trainer);

/* With a memory limit: PINION_ENOMEM where one of the later stages does not fit. Nobody wants to hear it hours later.
 */
int pinion__trainer_check_later_stages(const pinion_trainer *trainer);

/* Goes on to the next stage: the best weights of the one that ended, then a new plan; a checkpoint is written. */
int pinion__trainer_next_stage(pinion_trainer *trainer);

/* What a report says of the present stage. */
pinion_stage_report pinion__trainer_stage_report(const pinion_trainer *trainer);

#endif
