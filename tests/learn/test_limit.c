/* SPDX-License-Identifier: Apache-2.0
 *
 * Training within a limit on memory: recomputation changes no bit, micro-batches survive a checkpoint, and what
 * training and its evaluation allocate stays within the limit.
 */
#include "learn/tiny.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "learn/trainer.h"

/* More of the tiny network's layers, so that there is something to compute once more. */
static void open_deep(tiny *t)
{
    tiny_open(t, NULL, 1);
    pinion_network_destroy(t->network);
    pinion_layer at = PINION_INPUT;
    pinion_shape input = {TINY_SIDE, TINY_SIDE, 3};
    pinion_conv2d conv = {.k = 8, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_linear linear = {.k = TINY_CLASSES};
    assert_int_equal(pinion_network_create(t->ctx, "deep", input, &t->network), PINION_OK);
    for (int i = 0; i < 4; i++) {
        char name[3][8];
        for (int k = 0; k < 3; k++)
            snprintf(name[k], sizeof name[k], "%c%d", "cbr"[k], i);
        assert_int_equal(pinion_network_add_conv2d(t->network, name[0], at, &conv, &at), PINION_OK);
        assert_int_equal(pinion_network_add_batchnorm(t->network, name[1], at, NULL, &at), PINION_OK);
        assert_int_equal(pinion_network_add_relu(t->network, name[2], at, &at), PINION_OK);
    }
    assert_int_equal(pinion_network_add_global_avgpool(t->network, "pool", at, &at), PINION_OK);
    assert_int_equal(pinion_network_add_linear(t->network, "fc", at, &linear, &at), PINION_OK);
    assert_int_equal(pinion_network_init_weights(t->network, 1), PINION_OK);
}

/* The plan of the tiny training under a limit. */
static int plan_info(size_t limit, pinion_plan_info *out)
{
    tiny t;
    pinion_train_options options = tiny_options(NULL);
    options.memory_limit = limit;
    tiny_open(&t, NULL, 1);
    int status = pinion_trainer_create(t.network, t.dataset, &options, &t.trainer);
    *out = pinion_trainer_get_plan(t.trainer);
    tiny_close(&t);
    return status;
}

/* The least limit under which the batch is in one part, or (parts > 1) in so many at most. */
static size_t find_limit(int parts)
{
    pinion_plan_info info;
    assert_int_equal(plan_info(0, &info), PINION_OK);
    size_t low = 1, high = info.total_bytes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan_info(middle, &info) == PINION_OK && info.micro_batches <= parts)
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

static void train_whole(const char *name, size_t limit, pinion_train_result *result)
{
    tiny t;
    pinion_train_options options = tiny_options(tiny_path(name));
    options.memory_limit = limit;
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, result), PINION_OK);
    tiny_close(&t);
}

/* Weights, and what a validation of them gives. */
static void recomputation_changes_nothing(void **state)
{
    (void)state;
    pinion_train_result results[2];
    pinion_train_options options = tiny_options(tiny_path("plain.safetensors"));
    for (int tight = 0; tight < 2; tight++) {
        tiny t;
        open_deep(&t);
        assert_int_equal(tiny_train(&t, &options, NULL, 0, &results[tight]), PINION_OK);
        tiny_close(&t);
        options.out = tiny_path("tight.safetensors");
        options.memory_limit = results[0].total_bytes - results[0].arena_bytes / 10;
    }
    assert_int_equal(results[0].recomputed, 0);
    assert_true(results[1].recomputed > 0 && results[1].micro_batches == 1);
    assert_true(results[1].total_bytes <= options.memory_limit);
    assert_true(results[1].loss == results[0].loss && results[1].top1 == results[0].top1);
    tiny_assert_same(tiny_path("plain.safetensors"), tiny_path("tight.safetensors"));
}

static void micro_batches_resume(void **state)
{
    (void)state;
    size_t limit = find_limit(4);
    pinion_train_result whole, result;
    train_whole("whole.safetensors", limit, &whole);
    assert_int_equal(whole.micro_batches, 4);
    for (int64_t stop = 1; stop <= whole.steps; stop += 5) {
        tiny t;
        pinion_train_options options = tiny_options(tiny_path("part.safetensors"));
        options.memory_limit = limit;
        tiny_open(&t, NULL, 1);
        assert_int_equal(tiny_train(&t, &options, NULL, stop, NULL), PINION_EINTERRUPTED);
        tiny_close(&t);
        tiny_open(&t, NULL, 9);
        assert_int_equal(tiny_train(&t, &options, options.out, 0, &result), PINION_OK);
        tiny_close(&t);
        assert_int_equal(result.micro_batches, 4);
        assert_true(result.loss == whole.loss && result.top1 == whole.top1);
        tiny_assert_same_training("whole", "part");
        tiny_remove_training("part");
    }
}

/* Replaces the first `from` in a file by `to`, of the same length. */
static void patch(const char *path, const char *from, const char *to)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    static char bytes[1 << 20];
    size_t count = fread(bytes, 1, sizeof bytes, file), length = strlen(from), at = 0;
    while (at + length <= count && memcmp(bytes + at, from, length) != 0)
        at++;
    assert_true(at + length <= count);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(to, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void refused_on_resuming(void **state)
{
    (void)state;
    tiny t;
    pinion_train_options options = tiny_options(tiny_path("W.safetensors"));
    options.memory_limit = find_limit(2);
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 3, NULL), PINION_EINTERRUPTED);
    tiny_close(&t);

    options.memory_limit++;
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, options.out, 0, NULL), PINION_EINVAL);
    assert_non_null(strstr(pinion_context_error(t.ctx), "--mem-limit"));
    tiny_close(&t);

    options.memory_limit--;
    patch(tiny_path("W.state.safetensors"), "\"pinion.plan.micro-batches\": \"2\"",
          "\"pinion.plan.micro-batches\": \"3\"");
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, options.out, 0, NULL), PINION_EFORMAT);
    assert_non_null(strstr(pinion_context_error(t.ctx), "expected a divisor of the batch, 8"));
    tiny_close(&t);
}

static void out_of_range(void **state)
{
    (void)state;
    pinion_plan_info info;
    assert_int_equal(plan_info(1, &info), PINION_ENOMEM);
    tiny t;
    tiny_open(&t, NULL, 1);
    pinion_train_options options = tiny_options(NULL);
    options.recompute_share = -0.1f;
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_EINVAL);
    assert_non_null(strstr(pinion_context_error(t.ctx), "recompute share is -0.1"));
    tiny_close(&t);
}

/* All blocks of a context that are large enough to be part of the limit. */
enum { LARGE = 4096 };
static size_t live, most;

static void *count_alloc(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    size_t space = alignment > 2 * sizeof(size_t) ? alignment : 2 * sizeof(size_t);
    unsigned char *block = aligned_alloc(alignment, (space + bytes + alignment - 1) / alignment * alignment);
    if (!block)
        return NULL;
    size_t counted[2] = {bytes >= LARGE ? bytes : 0, space};
    memcpy(block + space - sizeof counted, counted, sizeof counted);
    live += counted[0];
    most = live > most ? live : most;
    return block + space;
}

static void count_release(void *user, void *block)
{
    (void)user;
    if (!block)
        return;
    size_t counted[2];
    memcpy(counted, (unsigned char *)block - sizeof counted, sizeof counted);
    live -= counted[0];
    free((unsigned char *)block - counted[1]);
}

/* A network, a plan and a runner take what the plan says: no large block besides. */
static void total_is_what_is_allocated(void **state)
{
    (void)state;
    pinion_context_options counting = pinion_context_options_default();
    counting.alloc = count_alloc;
    counting.release = count_release;
    counting.threads = 1;
    for (int limited = 0; limited < 2; limited++) {
        pinion_context *ctx = NULL;
        pinion_network *network = NULL;
        pinion_plan *plan = NULL;
        pinion_runner *runner = NULL;
        live = most = 0;
        assert_int_equal(pinion_context_create(&counting, &ctx), PINION_OK);
        assert_int_equal(pinion_network_open(ctx, "alexnet-cifar", NULL, &network), PINION_OK);
        assert_int_equal(pinion_network_init_weights(network, 1), PINION_OK);
        pinion_plan_options options = pinion_plan_options_default();
        options.mode = PINION_TRAIN;
        options.batch = 32;
        options.memory_limit = limited ? (size_t)48 << 20 : 0;
        assert_int_equal(pinion_plan_create(network, &options, &plan), PINION_OK);
        assert_int_equal(pinion_runner_create(plan, &runner), PINION_OK);
        size_t total = pinion_plan_get_info(plan).total_bytes;
        assert_true(!limited || total <= options.memory_limit);
        assert_true(live > total - total / 100 && live < total + total / 50);
        pinion_runner_destroy(runner);
        pinion_plan_destroy(plan);
        pinion_network_destroy(network);
        pinion_context_destroy(ctx);
    }
}

static int clean(void **state)
{
    (void)state;
    tiny_folder_clean();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tiny_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(recomputation_changes_nothing, clean),
        cmocka_unit_test_teardown(micro_batches_resume, clean),
        cmocka_unit_test_teardown(refused_on_resuming, clean),
        cmocka_unit_test_teardown(out_of_range, clean),
        cmocka_unit_test(total_is_what_is_allocated),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
