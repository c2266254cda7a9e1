/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of a training fails in turn - making the trainer, resuming, running, saving, evaluating:
 * PINION_ENOMEM with a sentence, no leak, no crash, and the checkpoint on the disk stays good. Of the thousands of a
 * dynamic network, from stage to stage, every 31st fails.
 */
#include "learn/grown.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "net/residence.h"

typedef struct source {
    atomic_long calls; /* since it was armed */
    atomic_long fail;  /* number of the call that fails; 0: none */
} source;

static void *take(void *user, size_t bytes, size_t alignment)
{
    source *from = user;
    long call = atomic_fetch_add(&from->calls, 1) + 1;
    if (call == atomic_load(&from->fail))
        return NULL;
    void *block = NULL;
    return posix_memalign(&block, alignment, bytes) == 0 ? block : NULL;
}

static void give(void *user, void *block)
{
    (void)user;
    free(block);
}

/* Three steps, an end of an epoch after the second, three saves. */
static pinion_train_options short_options(const char *out)
{
    static const int64_t held_back[3] = {4, 5, 6};
    pinion_train_options options = tiny_options(out);
    options.batch = 32;
    options.steps = 3;
    options.save_every = 1;
    options.validation_indices = held_back;
    return options;
}

/* Group after group, then all jointly, a step or two each; later stages are given the logits of earlier groups. */
static pinion_train_options staged_options(const char *out)
{
    static const pinion_train_stage stages[] = {{1, 1, 2, 0}, {2, 1, 1, 0}, {3, 1, 1, 0}, {0, 1, 1, 0}};
    pinion_train_options options = short_options(out);
    options.steps = 0;
    options.augment = PINION_AUGMENT_NONE;
    options.stage_count = sizeof stages / sizeof *stages;
    memcpy(options.stages, stages, sizeof stages);
    return options;
}

/* Trains to the end with allocation number `fail` refused. Returns the allocations made. */
static long train(bool staged, long fail, const char *resume, int *status)
{
    source from = {0};
    tiny t;
    pinion_context_options context = pinion_context_options_default();
    context.alloc = take;
    context.release = give;
    context.alloc_user = &from;
    context.threads = 2;
    if (staged)
        grown_open(&t, &context, 1, GROWN_GROUPS, PINION_TOWERS);
    else
        tiny_open(&t, &context, 1);
    size_t before = atomic_load(&t.ctx->live_bytes);
    pinion_train_options options = (staged ? staged_options : short_options)(tiny_path("part.safetensors"));
    atomic_store(&from.calls, 0);
    atomic_store(&from.fail, fail);
    *status = tiny_train(&t, &options, resume, 0, NULL);
    long calls = atomic_load(&from.calls);
    if (*status < 0 && !strstr(pinion_context_error(t.ctx), "memory"))
        fail_msg("allocation %ld: %s", fail, pinion_context_error(t.ctx));
    pinion_trainer_destroy(t.trainer);
    t.trainer = NULL;
    pinion__network_reside_take(t.network, NULL); /* what the network knows of the file of its best weights */
    if (atomic_load(&t.ctx->live_bytes) != before)
        fail_msg("allocation %ld: %zu bytes are left", fail, atomic_load(&t.ctx->live_bytes) - before);
    tiny_close(&t);
    return calls;
}

static void fail_all(bool staged, const char *resume)
{
    int status;
    long calls = train(staged, 0, resume, &status);
    assert_int_equal(status, PINION_OK);
    print_message("%ld allocations\n", calls);
    assert_true(calls > 100);
    tiny_copy(tiny_path("part.safetensors"), tiny_path("whole.safetensors"));
    for (long fail = 1; fail <= calls; fail += staged ? 31 : 1) {
        if (resume)
            tiny_copy(resume, tiny_path("part.state.safetensors"));
        else
            tiny_remove_training("part");
        train(staged, fail, resume, &status);
        if (status != PINION_ENOMEM)
            fail_msg("allocation %ld of %ld: status %d", fail, calls, status);
        if (fail % 8 || !tiny_exists(tiny_path("part.state.safetensors")))
            continue;
        train(staged, 0, tiny_path("part.state.safetensors"), &status);
        assert_int_equal(status, PINION_OK);
        tiny_assert_same(tiny_path("part.safetensors"), tiny_path("whole.safetensors"));
    }
}

static void from_the_start(void **state)
{
    (void)state;
    fail_all(false, NULL);
}

static void resumed(void **state)
{
    (void)state;
    tiny t;
    char from[256];
    pinion_train_options options = short_options(tiny_path("start.safetensors"));
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 1, NULL), PINION_EINTERRUPTED);
    tiny_close(&t);
    strcpy(from, tiny_path("start.state.safetensors"));
    fail_all(false, from);
}

static void stages(void **state)
{
    (void)state;
    fail_all(true, NULL);
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
        cmocka_unit_test_teardown(from_the_start, clean),
        cmocka_unit_test_teardown(resumed, clean),
        cmocka_unit_test_teardown(stages, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
