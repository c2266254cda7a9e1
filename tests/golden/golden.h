/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests against PyTorch's float64 share. README.md of this folder defines weights, batches and the random
 * projections by which errors are known without storing tensors.
 */
#ifndef TESTS_GOLDEN_GOLDEN_H
#define TESTS_GOLDEN_GOLDEN_H

#include <jansson.h>
#include <pinion/pinion.h>

typedef struct golden {
    json_t *root;
    json_t *tensors; /* of the step */
    uint64_t seed;
    int batch, classes;
    pinion_context *ctx; /* borrowed */
    pinion_network *network;
    pinion_plan *plan;     /* NULL until the test makes one, which close destroys; as the next */
    pinion_runner *runner; /* of training */
    float *values;         /* as many as the largest tensor has */
    float *images;
    int32_t *labels;
} golden;

/* A model's values and network; its weights are not filled. */
void golden_open(golden *g, pinion_context *ctx, const char *model);
void golden_close(golden *g);
void golden_fill_weights(golden *g);

/* Training as the values were made with; gradients are kept. */
pinion_plan_options golden_options(const golden *g);

/* A step of the run, from 0; its loss. */
float golden_step(golden *g, int step);

/* After the first step: the loss; gradients, weights and running statistics; logits of the batch in evaluation mode.
 * Each within what README.md allows. */
void golden_check_loss(golden *g, float loss);
void golden_check_tensors(golden *g);
void golden_check_logits(golden *g, pinion_runner *runner);

/* After a step of the run: the distance of all parameters over PyTorch float32's own. */
double golden_compare_run(golden *g, int step);

/* The largest error of a kind, and where it is. */
typedef struct golden_worst {
    const char *kind;
    double error;
    char name[64];
} golden_worst;

void golden_note(golden_worst *at, double error, const char *name);
void golden_check(const golden_worst *at, double limit);

double golden_number(const json_t *object, const char *key);
double golden_element(const json_t *array, size_t index);

#endif
