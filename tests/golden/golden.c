/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the golden values, making weights and batches, estimating errors: see README.md of this folder.
 */
#include "golden/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "net/weights.h"
#include "run/runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHTS = 1001, INPUTS, LABELS, POSITIONS, SIGNS };
enum { MAX_PROJECTIONS = 32, SIDE = 32, CHANNELS = 3 };

/* What README.md of this folder allows. */
static const double loss_limit = 1e-6, gradient_limit = 1e-4, after_limit = 2e-6, logits_limit = 1e-5;

double golden_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        fail_msg("no number '%s'", key);
    return json_number_value(value);
}

double golden_element(const json_t *array, size_t index)
{
    const json_t *value = json_array_get(array, index);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Element e of the normal draws of (seed, purpose, stream), in double. */
static void draw_normals(uint64_t seed, uint32_t purpose, uint32_t stream, uint64_t index, double out[4])
{
    uint32_t word[4];
    pinion__random4(seed, purpose, stream, index, word);
    for (int pair = 0; pair < 4; pair += 2) {
        double radius = sqrt(-2 * log(((word[pair] >> 8) + 0.5) * 0x1p-24));
        double angle = 2 * 3.14159265358979323846 * ((word[pair + 1] >> 8) * 0x1p-24);
        out[pair] = radius * cos(angle);
        out[pair + 1] = radius * sin(angle);
    }
}

static void draw_uniforms(uint64_t seed, uint32_t purpose, uint32_t stream, uint64_t index, double out[4])
{
    uint32_t word[4];
    pinion__random4(seed, purpose, stream, index, word);
    for (int lane = 0; lane < 4; lane++)
        out[lane] = (word[lane] >> 8) * 0x1p-24;
}

static void fill(bool normal, uint64_t seed, uint32_t purpose, uint32_t stream, double base, double scale, size_t count,
                 float *out)
{
    double draws[4];
    for (size_t e = 0; e < count; e++) {
        if (e % 4 == 0)
            (normal ? draw_normals : draw_uniforms)(seed, purpose, stream, e / 4, draws);
        out[e] = (float)(base + scale * draws[e % 4]);
    }
}

/* sums[j] = the scalar product of the values with the j-th vector of signs. Values are added up by what their word has
 * in each of its bytes; each sum then needs the 4 x 256 results only. */
static void project(uint64_t seed, uint32_t stream, const float *values, size_t count, int projections, double *sums)
{
    double by_byte[4][256] = {{0}};
    uint32_t word[4] = {0};
    for (size_t e = 0; e < count; e++) {
        if (e % 4 == 0)
            pinion__random4(seed, SIGNS, stream, e / 4, word);
        for (int byte = 0; byte < 4; byte++)
            by_byte[byte][word[e % 4] >> (8 * byte) & 255] += (double)values[e];
    }
    for (int j = 0; j < projections; j++) {
        sums[j] = 0;
        for (int bits = 0; bits < 256; bits++)
            sums[j] += (bits >> (j % 8) & 1) ? -by_byte[j / 8][bits] : by_byte[j / 8][bits];
    }
}

/* The estimate of the norm of the difference of two tensors from their projections. */
static double estimate_distance(const double *sums, const json_t *expected)
{
    double squares = 0;
    size_t count = json_array_size(expected);
    for (size_t j = 0; j < count; j++)
        squares += (sums[j] - golden_element(expected, j)) * (sums[j] - golden_element(expected, j));
    return sqrt(squares / (double)count);
}

static int find_param(const pinion_network *network, const char *name)
{
    for (int p = 0; p < (int)network->param_count; p++)
        if (strcmp(network->params[p].name, name) == 0)
            return p;
    fail_msg("the network has no '%s'", name);
    return -1;
}

static size_t count_values(const pinion__param *param)
{
    return param->bytes / sizeof(float);
}

void golden_fill_weights(golden *g)
{
    size_t index;
    json_t *tensor;
    assert_int_equal(json_array_size(g->tensors), g->network->param_count);
    json_array_foreach(g->tensors, index, tensor)
    {
        int p = find_param(g->network, json_string_value(json_object_get(tensor, "name")));
        const pinion__param *param = &g->network->params[p];
        const json_t *initial = json_object_get(tensor, "initial");
        const json_t *shape = json_object_get(tensor, "shape");
        size_t count = 1;
        for (size_t i = 0; i < json_array_size(shape); i++)
            count *= (size_t)golden_element(shape, i);
        assert_int_equal(count, count_values(param));
        bool normal = strcmp(json_string_value(json_object_get(initial, "random")), "normal") == 0;
        fill(normal, g->seed, WEIGHTS, (uint32_t)index, golden_number(initial, "base"), golden_number(initial, "scale"),
             count, g->values);
        pinion__param_from_file(param, g->values, pinion__param_data(g->network, p));
    }
}

static void fill_batch(golden *g, int step)
{
    uint32_t stream = (uint32_t)golden_element(json_object_get(g->root, "streams"), (size_t)step);
    fill(true, g->seed, INPUTS, stream, 0, 1, (size_t)(g->batch * SIDE * SIDE * CHANNELS), g->images);
    double draws[4];
    for (int i = 0; i < g->batch; i++) {
        draw_uniforms(g->seed, LABELS, stream, (uint64_t)i / 4, draws);
        g->labels[i] = (int32_t)(draws[i % 4] * g->classes);
    }
}

float golden_step(golden *g, int step)
{
    pinion_runner_step_options options = {
        .learning_rate = (float)golden_number(g->root, "lr"), .clip_norm = 1e30f, .number = (uint64_t)step};
    float loss;
    fill_batch(g, step);
    if (pinion_runner_train(g->runner, g->images, g->labels, &options, &loss) < 0)
        fail_msg("%s", pinion_context_error(g->ctx));
    return loss;
}

void golden_note(golden_worst *at, double error, const char *name)
{
    if (error > at->error || !(error == error)) {
        at->error = error == error ? error : HUGE_VAL;
        snprintf(at->name, sizeof at->name, "%s", name);
    }
}

void golden_check(const golden_worst *at, double limit)
{
    print_message("  %s: %.3g (%s), limit %g\n", at->kind, at->error, at->name, limit);
    if (!(at->error <= limit))
        fail_msg("%s: the error of %s is %g; expected at most %g", at->kind, at->name, at->error, limit);
}

static double tensor_error(golden *g, size_t index, const pinion__param *param, const float *memory,
                           const json_t *expected, const char *unit)
{
    double sums[MAX_PROJECTIONS];
    size_t count = count_values(param);
    const json_t *projections = json_object_get(expected, "projections"),
                 *samples = json_object_get(expected, "samples");
    pinion__param_to_file(param, memory, 0, count, g->values);
    project(g->seed, (uint32_t)index, g->values, count, (int)json_array_size(projections), sums);
    double error = estimate_distance(sums, projections);
    uint32_t word[4] = {0};
    for (size_t i = 0; i < json_array_size(samples); i++) {
        pinion__random4(g->seed, POSITIONS, (uint32_t)index, i / 4, word);
        size_t place = (size_t)(((uint64_t)word[i % 4] * count) >> 32);
        error = fmax(error, fabs((double)g->values[place] - golden_element(samples, i)));
    }
    return error / golden_number(expected, unit);
}

void golden_check_tensors(golden *g)
{
    golden_worst gradients = {.kind = "gradients"}, after = {.kind = "weights and running statistics after the step"};
    size_t index;
    json_t *tensor;
    json_array_foreach(g->tensors, index, tensor)
    {
        const char *name = json_string_value(json_object_get(tensor, "name"));
        int p = find_param(g->network, name);
        const pinion__param *param = &g->network->params[p];
        const json_t *gradient = json_object_get(tensor, "gradient");
        assert_int_equal(gradient != NULL, !param->state);
        if (gradient) {
            const float *values = pinion__runner_gradient(g->runner, p);
            assert_non_null(values);
            golden_note(&gradients, tensor_error(g, index, param, values, gradient, "scale"), name);
        }
        const json_t *expected = json_object_get(tensor, "after");
        golden_note(&after, tensor_error(g, index, param, pinion__param_data(g->network, p), expected, "norm"), name);
    }
    golden_check(&gradients, gradient_limit);
    golden_check(&after, after_limit);
}

void golden_check_loss(golden *g, float loss)
{
    double expected = golden_element(json_object_get(json_object_get(g->root, "run"), "losses"), 0);
    golden_worst at = {.kind = "loss", .error = fabs((double)loss / expected - 1), .name = "step 1"};
    golden_check(&at, loss_limit);
}

void golden_check_logits(golden *g, pinion_runner *runner)
{
    float *logits = malloc(sizeof(float) * (size_t)(g->batch * g->classes));
    assert_non_null(logits);
    if (pinion_runner_infer(runner, g->images, g->batch, logits) < 0)
        fail_msg("%s", pinion_context_error(g->ctx));
    const json_t *rows = json_object_get(json_object_get(g->root, "step"), "logits");
    double squares = 0, norm = 0;
    for (int i = 0; i < g->batch; i++)
        for (int k = 0; k < g->classes; k++) {
            double expected = golden_element(json_array_get(rows, (size_t)i), (size_t)k);
            double difference = (double)logits[i * g->classes + k] - expected;
            squares += difference * difference;
            norm += expected * expected;
        }
    golden_worst at = {.kind = "logits", .error = sqrt(squares / norm), .name = "evaluation"};
    golden_check(&at, logits_limit);
    free(logits);
}

/* After a step of the run: the distance of all parameters over PyTorch float32's own. */
double golden_compare_run(golden *g, int step)
{
    double total[MAX_PROJECTIONS] = {0}, sums[MAX_PROJECTIONS];
    const json_t *run = json_object_get(g->root, "run");
    const json_t *expected = json_array_get(json_object_get(run, "projections"), (size_t)step);
    int projections = (int)json_array_size(expected);
    assert_true(projections > 0 && projections <= MAX_PROJECTIONS);
    size_t index;
    json_t *tensor;
    json_array_foreach(g->tensors, index, tensor)
    {
        int p = find_param(g->network, json_string_value(json_object_get(tensor, "name")));
        const pinion__param *param = &g->network->params[p];
        if (param->state)
            continue;
        pinion__param_to_file(param, pinion__param_data(g->network, p), 0, count_values(param), g->values);
        project(g->seed, (uint32_t)index, g->values, count_values(param), projections, sums);
        for (int j = 0; j < projections; j++)
            total[j] += sums[j];
    }
    double distance = estimate_distance(total, expected) / golden_element(json_object_get(run, "norms"), (size_t)step);
    double torch = 0;
    const char *key;
    json_t *format;
    json_object_foreach(json_object_get(run, "float32"), key, format) torch =
        fmax(torch, golden_element(json_object_get(format, "estimates"), (size_t)step));
    assert_true(torch > 0);
    return distance / torch;
}

void golden_open(golden *g, pinion_context *ctx, const char *model)
{
    char path[4096];
    *g = (golden){.ctx = ctx};
    const char *source = getenv("PINION_SOURCE");
    json_error_t error;
    snprintf(path, sizeof path, "%s/tests/golden/%s.json", source ? source : ".", model);
    g->root = json_load_file(path, 0, &error);
    if (!g->root)
        fail_msg("%s: %s", path, error.text);
    g->tensors = json_object_get(json_object_get(g->root, "step"), "tensors");
    g->seed = (uint64_t)golden_number(g->root, "seed");
    g->batch = (int)golden_number(g->root, "batch");
    g->classes = (int)golden_number(g->root, "classes");
    pinion_network_options options = {.classes = g->classes};
    assert_int_equal(pinion_network_open(ctx, model, &options, &g->network), PINION_OK);
    for (size_t i = 0; i < g->network->layer_count; i++)
        if (g->network->layers[i].op->id == PINION__OP_dropout)
            g->network->layers[i].attributes.as.dropout.rate = 0.0f;
    assert_int_equal(pinion__network_allocate(g->network), PINION_OK);
    g->values = malloc(g->network->block_bytes);
    g->images = malloc(sizeof(float) * (size_t)(g->batch * SIDE * SIDE * CHANNELS));
    g->labels = malloc(sizeof(int32_t) * (size_t)g->batch);
    assert_true(g->values && g->images && g->labels);
}

void golden_close(golden *g)
{
    pinion_runner_destroy(g->runner);
    pinion_plan_destroy(g->plan);
    pinion_network_destroy(g->network);
    free(g->values);
    free(g->images);
    free(g->labels);
    json_decref(g->root);
}

pinion_plan_options golden_options(const golden *g)
{
    pinion_plan_options options = pinion_plan_options_default();
    options.mode = PINION_TRAIN;
    options.batch = g->batch;
    options.momentum = (float)golden_number(g->root, "momentum");
    options.weight_decay = (float)golden_number(g->root, "weight_decay");
    options.clip = 1; /* keeps the gradients; the norm they are clipped to is out of reach */
    return options;
}
