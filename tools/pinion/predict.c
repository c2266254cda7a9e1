/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion predict: the likeliest classes of images.
 */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_CLASSES = 5, WARM_UP = 4 };

typedef struct predictor {
    pinion_context *ctx;
    const options *given;
    const pinion_weights_metadata *metadata;
    pinion_shape input;
    int classes;
    bool cut; /* the network is a dynamic one */
    pinion_plan *plan;
    pinion_runner *runner;
    unsigned char *pixels;
    float *image; /* the runner's */
    float *probabilities;
} predictor;

/* Inference; of a dynamic network, as the options say. */
static int infer(predictor *state, pinion_anytime_result *result)
{
    const pinion_anytime_options chosen = {.deadline_ms = state->given->deadline_ms,
                                           .margin = (float)state->given->margin};
    if (!state->cut)
        return pinion_runner_infer(state->runner, state->image, 1, state->probabilities);
    return pinion_runner_infer_anytime(state->runner, state->image, 1, &chosen, state->probabilities, result);
}

/* Weights are prepared, and it becomes known how long groups take, before the first image. */
static int warm_up(predictor *state)
{
    const pinion_anytime_options chosen = {.deadline_ms = 0};
    int status = PINION_OK;
    for (int i = 0; i < WARM_UP && status == PINION_OK && state->given->deadline_ms > 0; i++)
        status = pinion_runner_infer_anytime(state->runner, state->image, 1, &chosen, state->probabilities, NULL);
    return status;
}

static int check_cut(const predictor *state, const char *name)
{
    static const char *const wanted[] = {"--width", "--deadline-ms", "--margin"};
    for (int i = 0; i < 3 && !state->cut; i++)
        if (was_given(state->given, wanted[i]))
            return usage_error("%s: network '%s' is not cut into groups", wanted[i], name);
    return EXIT_DONE;
}

static int predictor_init(predictor *state, const pinion_network *network)
{
    pinion_network_info info = pinion_network_get_info(network);
    state->input = info.input;
    state->classes = info.output.c;
    state->cut = info.groups > 0;
    if (check_cut(state, info.name) != EXIT_DONE)
        return EXIT_USAGE;
    if (info.input.c != 3)
        return usage_error("predict: the model wants %d channels: images have 3", info.input.c);
    pinion_plan_options chosen = pinion_plan_options_default();
    int status = pinion_plan_create(network, &chosen, &state->plan);
    if (status == PINION_OK)
        status = pinion_runner_create(state->plan, &state->runner);
    if (status == PINION_OK)
        status = pinion_runner_input(state->runner, 0, &state->image, NULL);
    if (status == PINION_OK && state->given->width)
        status = pinion_runner_set_width(state->runner, state->given->width);
    if (status < 0)
        return report(state->ctx, status);
    size_t values = (size_t)info.input.h * (size_t)info.input.w * 3;
    state->pixels = malloc(values);
    state->probabilities = malloc((size_t)state->classes * sizeof *state->probabilities);
    if (!state->pixels || !state->probabilities) {
        fprintf(stderr, "pinion: out of memory: %zu values of an image\n", values);
        return EXIT_MEMORY;
    }
    memset(state->image, 0, values * sizeof *state->image);
    status = warm_up(state);
    return status < 0 ? report(state->ctx, status) : EXIT_DONE;
}

static void predictor_fini(predictor *state)
{
    free(state->pixels);
    free(state->probabilities);
    pinion_runner_destroy(state->runner);
    pinion_plan_destroy(state->plan);
}

static void softmax(float *values, int count)
{
    float largest = values[0];
    for (int i = 1; i < count; i++)
        largest = fmaxf(largest, values[i]);
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += exp((double)(values[i] - largest));
    for (int i = 0; i < count; i++)
        values[i] = (float)(exp((double)(values[i] - largest)) / sum);
}

/* The class of rank-th highest probability: taken ones are marked by a negative value. */
static int take_best(float *values, int count, float *value)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    *value = values[best];
    values[best] = -1;
    return best;
}

static void class_name(const predictor *state, int index, char *buffer, size_t bytes)
{
    if (state->metadata->class_names && index < state->metadata->class_count)
        snprintf(buffer, bytes, "%s", state->metadata->class_names[index]);
    else
        snprintf(buffer, bytes, "class %d", index);
}

static json_t *describe(const predictor *state, const char *path, json_t *classes, const pinion_anytime_result *reached)
{
    static const char *const stops[] = {
        [PINION_STOP_WIDTH] = "width", [PINION_STOP_DEADLINE] = "deadline", [PINION_STOP_MARGIN] = "margin"};
    json_t *prediction = json_pack("{s:o, s:o}", "input", json_text(path), "classes", classes);
    json_t *how = state->cut ? json_pack("{s:i, s:s, s:f, s:b}", "width", reached->width, "stopped",
                                         stops[reached->stopped], "ms", reached->ms, "late", reached->late)
                             : NULL;
    if (how)
        json_object_update(prediction, how);
    json_decref(how);
    return prediction;
}

/* Classifies one image and prints or appends its classes. */
static int predict(predictor *state, const char *path, json_t *list)
{
    int status = pinion_image_read(state->ctx, path, state->input, state->pixels);
    if (status < 0)
        return report(state->ctx, status);
    size_t pixels = (size_t)state->input.h * (size_t)state->input.w;
    for (size_t i = 0; i < 3 * pixels; i++) {
        float mean = state->metadata->mean[i % 3], std = state->metadata->std[i % 3];
        state->image[i] = ((float)state->pixels[i] / 255.0f - mean) / (std > 0 ? std : 1.0f);
    }
    pinion_anytime_result reached = {0};
    status = infer(state, &reached);
    if (status < 0)
        return report(state->ctx, status);
    for (int i = 0; i < state->classes; i++)
        if (!isfinite(state->probabilities[i])) {
            fprintf(stderr, "pinion: %s: the network's output for class %d is not finite\n", path, i);
            return EXIT_FAILED;
        }
    softmax(state->probabilities, state->classes);

    json_t *classes = json_array();
    if (!list)
        printf("%s:", path);
    for (int rank = 0; rank < SHOWN_CLASSES && rank < state->classes; rank++) {
        float probability;
        char name[256];
        int index = take_best(state->probabilities, state->classes, &probability);
        class_name(state, index, name, sizeof name);
        json_array_append_new(
            classes, json_pack("{s:s, s:i, s:f}", "name", name, "class", index, "probability", (double)probability));
        if (!list)
            printf("%s %s %.1f %%", rank ? "," : "", name, 100 * (double)probability);
    }
    if (list) {
        json_array_append_new(list, describe(state, path, classes, &reached));
        return EXIT_DONE;
    }
    if (state->cut)
        printf("  (width %d, %.2f ms%s)", reached.width, reached.ms, reached.late ? ", late" : "");
    printf("\n");
    json_decref(classes);
    return EXIT_DONE;
}

int run_predict(const options *given)
{
    if (given->input_count == 0)
        return usage_error("predict: an image is missing (see: pinion help predict)");
    predictor state = {.given = given};
    int code = open_context(given, &state.ctx);
    if (code != EXIT_DONE)
        return code;
    pinion_weights_file *file = NULL;
    pinion_network *network = NULL;
    json_t *list = given->json ? json_array() : NULL;
    code = open_weights(state.ctx, given->weights, given->model, &file, &network);
    if (code == EXIT_DONE) {
        state.metadata = pinion_weights_get_metadata(file);
        code = predictor_init(&state, network);
    }
    for (int i = 0; code == EXIT_DONE && i < given->input_count; i++)
        code = predict(&state, given->inputs[i], list);
    if (code == EXIT_DONE && list)
        code = print_json_line(json_pack("{s:O}", "predictions", list));
    json_decref(list);
    predictor_fini(&state);
    pinion_network_destroy(network);
    pinion_weights_close(file);
    pinion_context_destroy(state.ctx);
    return code;
}
