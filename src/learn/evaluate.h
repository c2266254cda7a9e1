/* SPDX-License-Identifier: Apache-2.0
 *
 * An evaluator: an inference plan and runner on a network's live weights, made once and used at every end of an epoch.
 */
#ifndef PINION_LEARN_EVALUATE_H
#define PINION_LEARN_EVALUATE_H

#include "device/device.h"
#include "plan/plan.h"
#include <pinion/train.h>

typedef struct pinion__evaluator pinion__evaluator;

/* network and processors are borrowed and must outlive it. `like`: its batch, patience, width (a stage's, where there
 * is one), and where tasks are placed; a place that is a file counts as none: it is of another plan. `kernels`: as in
 * pinion__plan_tuning. Where there is a `trainer`'s runner (else NULL), evaluation takes its arena where it can, and
 * with a memory limit it is planned so that it can: then training and evaluation together stay within the limit. */
int pinion__evaluator_create(const pinion_network *network, const pinion__processors *processors,
                             const pinion_plan_options *like, const char *kernels, const pinion_runner *trainer,
                             pinion__evaluator **out);
const pinion_plan *pinion__evaluator_plan(const pinion__evaluator *evaluator);
void pinion__evaluator_destroy(pinion__evaluator *evaluator);

/* Top-1 and mean loss over a part of a data set, or over `count` samples of it (subset NULL: all), of a dynamic network
 * at every width that is planned. Every sample counts once, whatever the batch. PINION_ENONFINITE: the network gave a
 * sample a value that is not finite. */
int pinion__evaluator_run(pinion__evaluator *evaluator, pinion_dataset *dataset, enum pinion_part part,
                          const uint32_t *subset, int64_t count, pinion_eval_result *out);

/* The logits of all samples of a part, (samples, classes), at a width of a dynamic network that the evaluator plans. */
int pinion__evaluator_logits(pinion__evaluator *evaluator, pinion_dataset *dataset, enum pinion_part part, int width,
                             float *out);

/* Adds one sample to running totals: logits of one row, its label. Top-1 is the first maximum; loss in double. */
void pinion__evaluate_row(const float *logits, int classes, int label, int64_t *hits, double *loss);

#endif
