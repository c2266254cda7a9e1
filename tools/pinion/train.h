/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of pinion train: train.c drives, train_options.c turns options into those of the library, train_stages.c says
 * which groups of a dynamic network are trained when.
 */
#ifndef PINION_TOOL_TRAIN_H
#define PINION_TOOL_TRAIN_H

#include "json.h"
#include "progress.h"

/* Everything a training holds; released in one place. */
typedef struct job {
    const options *given;
    pinion_context *ctx;
    pinion_checkpoint *checkpoint;
    pinion_network *network;
    pinion_dataset *dataset;
    pinion_trainer *trainer;
    pinion_weights_file *start; /* --weights */
    const char *model, *data;
    pinion_network_options network_chosen; /* groups and their connections */
    pinion_train_options chosen;
    char *out;
    int64_t *held_back;
    progress shown;
    measuring measured;
    struct {
        pinion_stage_report report;
        pinion_train_result result;
    } ended[PINION_MAX_STAGES]; /* stages that ended in this run */
    int ended_count;
} job;

/* Options that contradict each other, or a checkpoint. Print and return an exit code. */
int train_check_usage(const options *given);
int train_check_stages(const options *given);

/* Copies what was given on the command line over the defaults, or over what the checkpoint says. */
int train_apply_options(job *work);

/* --out, else the name that was resumed, else pinion-MODEL.safetensors with the model's name or its file's. */
int train_choose_out(job *work);

/* How the network is cut: as the options, the file of --weights or the checkpoint say. */
int train_choose_groups(job *work);

/* Which groups are trained when. */
int train_choose_stages(job *work);

/* Says on standard error that a stage of a dynamic network begins. */
void train_say_stage(const pinion_stage_report *stage);

/* The results of the stages that ended in this run. */
void train_print_stages(const job *work);
json_t *train_stages_json(const job *work);

/* Percentages of widths; NULL where the network is not cut. */
json_t *train_widths_json(int widths, const double *top1);

#endif
