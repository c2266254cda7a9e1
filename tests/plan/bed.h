/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of wisdom share: a context that listens to its log, a network whose convolutions have several kernels,
 * the CPU, and a folder for files.
 */
#ifndef TESTS_PLAN_BED_H
#define TESTS_PLAN_BED_H

#include "plan/networks.h"

#include "plan/candidates.h"
#include "plan/wisdom.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128]; /* of the test, and of its present file */

static inline void use_file(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(setenv("PINION_WISDOM", path, 1), 0);
}

static inline int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/pinion-wisdom-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* A context with what it says, a network whose convolution has several kernels, and the CPU. */
typedef struct bed {
    pinion_context *ctx;
    pinion_network *network;
    pinion__processor *cpu;
    int warnings, infos;
    char last[1400]; /* warning or information */
} bed;

static inline void hear(void *user, enum pinion_log_level level, const char *text)
{
    bed *b = user;
    if (level == PINION_LOG_DEBUG)
        return;
    b->warnings += level == PINION_LOG_WARNING;
    b->infos += level == PINION_LOG_INFO;
    snprintf(b->last, sizeof b->last, "%s", text);
}

static inline void open_bed(bed *b)
{
    *b = (bed){0};
    pinion_context_options options = pinion_context_options_default();
    options.threads = 2;
    options.log = hear;
    options.log_user = b;
    assert_int_equal(pinion_context_create(&options, &b->ctx), PINION_OK);
    b->ctx->cache_bytes = 1; /* the least that is emptied: how long a task takes does not matter */
    pinion_layer at = PINION_INPUT;
    pinion_shape input = {8, 8, 16};
    pinion_conv2d conv = {.k = 16, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_linear linear = {.k = 5, .bias = 1};
    assert_int_equal(pinion_network_create(b->ctx, "bed", input, &b->network), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(b->network, "conv1", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(b->network, "conv2", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_global_avgpool(b->network, "pool", at, &at), PINION_OK);
    assert_int_equal(pinion_network_add_linear(b->network, "fc", at, &linear, NULL), PINION_OK);
    assert_int_equal(pinion__network_allocate(b->network), PINION_OK);
    assert_int_equal(pinion__processor_create_cpu(b->ctx, 2, &b->cpu), PINION_OK);
}

static inline void close_bed(bed *b)
{
    pinion__processor_destroy(b->cpu);
    pinion_network_destroy(b->network);
    assert_int_equal(atomic_load(&b->ctx->live_bytes) > 0, b->ctx->wisdom != NULL);
    pinion_context_destroy(b->ctx);
}

static inline pinion_plan *plan_with(bed *b, enum pinion_patience patience, int batch, const char *kernels)
{
    pinion_plan *plan = NULL;
    pinion_plan_options options = training_options(batch);
    options.patience = patience;
    options.unfused = 1; /* a plain convolution has several kernels, whatever fusion becomes */
    const pinion__plan_tuning tuning = {.kernels = kernels};
    if (pinion__plan_create_tuned(b->network, &options, &tuning, &b->cpu, 1, &plan) < 0)
        fail_msg("%s", pinion_context_error(b->ctx));
    return plan;
}

/* Makes a plan and tells how many tasks were measured for it. */
static inline int count_measured(bed *b, enum pinion_patience patience, int batch)
{
    pinion_plan *plan = plan_with(b, patience, batch, NULL);
    int measured = pinion_plan_get_info(plan).measured_tasks;
    pinion_plan_destroy(plan);
    return measured;
}

static inline void write_text(const char *name, const char *text, size_t bytes)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* Index of the first task of a layer and pass. */
static inline int find_task(const pinion_plan *plan, const char *layer, const char *pass)
{
    pinion_task_info info;
    for (int t = 0; pinion_plan_get_task(plan, t, &info) == PINION_OK; t++)
        if (strcmp(info.layer, layer) == 0 && strcmp(info.pass, pass) == 0)
            return t;
    fail_msg("no %s of %s", pass, layer);
    return -1;
}

static inline int count_candidates(const pinion_plan *plan, int task)
{
    int count = 0;
    pinion_candidate_info info;
    while (pinion_plan_get_candidate(plan, task, count, &info) == PINION_OK)
        count++;
    return count;
}

static inline void expect_unmeasured(const pinion_plan *plan)
{
    pinion_task_info task;
    pinion_candidate_info candidate;
    assert_int_equal(pinion_plan_get_info(plan).measured_tasks, 0);
    assert_true(isnan(pinion_plan_get_info(plan).predicted_ms));
    for (int t = 0; pinion_plan_get_task(plan, t, &task) == PINION_OK; t++) {
        assert_true(isnan(task.ms));
        assert_int_equal(pinion_plan_get_candidate(plan, t, 0, &candidate), PINION_OK);
        assert_true(candidate.chosen && isnan(candidate.ms) && candidate.repetitions == 0);
    }
}

/* Every candidate has a time, the task's is the fastest but for the margin, and the sum is the prediction. */
static inline void expect_measured(const pinion_plan *plan, int repetitions)
{
    pinion_task_info task;
    pinion_candidate_info candidate;
    double sum = 0;
    for (int t = 0; pinion_plan_get_task(plan, t, &task) == PINION_OK; t++) {
        assert_true(task.ms > 0 && isfinite(task.ms));
        sum += task.ms;
        int chosen = 0;
        for (int i = 0; pinion_plan_get_candidate(plan, t, i, &candidate) == PINION_OK; i++) {
            assert_true(candidate.ms > 0.9 * task.ms);
            assert_true(candidate.repetitions >= 1);
            if (candidate.chosen) {
                assert_string_equal(candidate.kernel, task.kernel);
                assert_true(candidate.repetitions >= repetitions);
                chosen++;
            }
        }
        assert_int_equal(chosen, 1);
    }
    assert_true(fabs(pinion_plan_get_info(plan).predicted_ms - sum) < 1e-9 * sum);
}

#endif
