/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of plan files share: a network, two processors of the host, plans of it and the file they are written to.
 */
#ifndef TESTS_PLAN_PLAN_FILE_BED_H
#define TESTS_PLAN_PLAN_FILE_BED_H

#include "plan/networks.h"

#include "run/runner.h"

#include <stdlib.h>
#include <unistd.h>

enum { SAMPLES = 8, MOST_TEXT = 1 << 17 };

static char path[64];

/* A network and two processors of the host. */
typedef struct desk {
    pinion_context *ctx;
    pinion_network *network;
    pinion__processor *processors[2];
} desk;

static inline desk open_desk(void)
{
    desk d = {.ctx = make_context()};
    d.network = make_random_network(d.ctx, 12, 9, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pinion__processor_create_simulated(d.ctx, i ? "right" : "left", 0, 0, &d.processors[i]),
                         PINION_OK);
    return d;
}

static inline void close_desk(desk *d)
{
    for (int i = 0; i < 2; i++)
        pinion__processor_destroy(d->processors[i]);
    pinion_network_destroy(d->network);
    pinion_context_destroy(d->ctx);
}

static inline int by_turns(void *user, int index)
{
    (void)user;
    return index % 3 == 0;
}

typedef struct way {
    enum pinion_mode mode;
    int processors, micro_batches;
    bool mixed;
    pinion__cut cut;
} way;

static const way cut_training = {PINION_TRAIN, 2, 0, true, {.count = 2, .n = {5, 3}, .processor = {0, 1}}};
static const way mixed_training = {PINION_TRAIN, 2, 0, true, {0}};

static inline pinion_plan_options options_of(const way *of)
{
    pinion_plan_options options = training_options(SAMPLES);
    options.mode = of->mode;
    return options;
}

static inline pinion_plan *make_plan(const desk *d, const way *of)
{
    const pinion_plan_options options = options_of(of);
    const pinion__plan_tuning tuning = {
        .processor_of = of->mixed ? by_turns : NULL, .micro_batches = of->micro_batches, .cut = of->cut};
    pinion_plan *plan = NULL;
    if (pinion__plan_create_tuned(d->network, &options, &tuning, d->processors, of->processors, &plan) < 0)
        fail_msg("%s", pinion_context_error(d->ctx));
    return plan;
}

static inline int read_plan(const desk *d, const way *of, pinion_plan **out)
{
    pinion_plan_options options = options_of(of);
    options.place = path;
    return pinion__plan_create(d->network, &options, d->processors, of->processors, out);
}

static inline void run_step(const desk *d, pinion_plan *plan)
{
    static float images[SAMPLES * SIDE * SIDE * CHANNELS];
    int32_t labels[SAMPLES];
    pinion_runner *runner = NULL;
    pinion_runner_step_options step = {.learning_rate = 0.01f};
    float loss;
    make_batch(d->network, 1, SAMPLES, images, labels);
    assert_int_equal(pinion_runner_create(plan, &runner), PINION_OK);
    int status = pinion_runner_train(runner, images, labels, &step, &loss);
    assert_true(status == PINION_OK || status == PINION_ENONFINITE);
    pinion_runner_destroy(runner);
}

static inline void write_file(const char *text, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* The file of a plan, its text in a static buffer. */
static inline char *write_plan(const desk *d, const way *of)
{
    static char text[MOST_TEXT];
    pinion_plan *plan = make_plan(d, of);
    assert_int_equal(pinion_plan_save(plan, path), PINION_OK);
    pinion_plan_destroy(plan);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    assert_true(bytes > 0 && bytes < sizeof text - 1);
    fclose(file);
    text[bytes] = '\0';
    return text;
}

static inline int make_file(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/pinion-plan-XXXXXX");
    int file = mkstemp(path);
    return file < 0 || close(file) < 0 ? -1 : 0;
}

static inline int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

#endif
