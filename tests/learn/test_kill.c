/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever ends a save or the process, the last checkpoint on the disk is whole, and resuming from it ends in the bytes
 * of an uninterrupted training: killed at every write, sync and rename in turn; a disk that is full from any of them
 * on; a really full disk; kill -9 at random moments.
 */
#include "learn/tiny.h"

#include <errno.h>
#include <pinion/error.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/context.h"
#include "base/random.h"

enum { EXIT_KILLED = 9, STEPS = 11 };

static pinion_train_options short_options(const char *out)
{
    pinion_train_options options = tiny_options(out);
    options.steps = STEPS;
    options.save_every = 3;
    return options;
}

/* Trains to the end, from the checkpoint where there is one. A checkpoint that is there must be good. */
static void finish(const pinion_train_options *options, const char *state)
{
    tiny t;
    tiny_open(&t, NULL, 1);
    int status = tiny_train(&t, options, tiny_exists(state) ? options->out : NULL, 0, NULL);
    if (status < 0)
        fail_msg("resuming failed: %s", pinion_context_error(t.ctx));
    tiny_close(&t);
}

static void make_whole(const pinion_train_options *like)
{
    tiny t;
    pinion_train_options options = *like;
    options.out = tiny_path("whole.safetensors");
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
}

/* What the hook of a training does at its operation number `at`. */
typedef struct trap {
    int at, seen;
    int error;         /* errno of this operation and all later ones; 0: the process ends */
    int operations[3]; /* writes, syncs, renames seen */
} trap;

static int spring(void *user, const char *operation, const char *path)
{
    trap *set = user;
    (void)path;
    set->operations[0] += strcmp(operation, "write") == 0;
    set->operations[1] += strcmp(operation, "sync") == 0;
    set->operations[2] += strcmp(operation, "rename") == 0;
    if (++set->seen < set->at)
        return 0;
    if (!set->error)
        _exit(EXIT_KILLED);
    return set->error;
}

static int train_with_trap(const pinion_train_options *options, trap *set, char *sentence, size_t bytes)
{
    tiny t;
    tiny_open(&t, NULL, 1);
    t.ctx->io_hook = spring;
    t.ctx->io_hook_user = set;
    int status = tiny_train(&t, options, NULL, 0, NULL);
    snprintf(sentence, bytes, "%s", pinion_context_error(t.ctx));
    tiny_close(&t);
    return status;
}

static int count_operations(const pinion_train_options *options)
{
    char sentence[PINION__SENTENCE_MAX];
    trap set = {.at = INT32_MAX};
    assert_int_equal(train_with_trap(options, &set, sentence, sizeof sentence), PINION_OK);
    for (int i = 0; i < 3; i++)
        assert_true(set.operations[i] > 5);
    tiny_remove_training("part");
    return set.seen;
}

static void killed_at_every_operation(void **state)
{
    (void)state;
    pinion_train_options options = short_options(strdup(tiny_path("part.safetensors")));
    char checkpoint[256];
    snprintf(checkpoint, sizeof checkpoint, "%s", tiny_path("part.state.safetensors"));
    make_whole(&options);
    int operations = count_operations(&options);
    int fresh = 0;
    for (int at = 1; at <= operations; at++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char sentence[PINION__SENTENCE_MAX];
            trap set = {.at = at};
            train_with_trap(&options, &set, sentence, sizeof sentence);
            _exit(0); /* the trap was not sprung */
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), EXIT_KILLED);
        fresh += !tiny_exists(checkpoint);
        finish(&options, checkpoint);
        tiny_assert_same_training("whole", "part");
        tiny_folder_keep("whole");
    }
    assert_true(fresh > 0 && fresh < operations / 2);
    free((void *)(uintptr_t)options.out);
}

/* The disk is full, or the device fails, from an operation on: the training says so, and what was saved stays. */
static void failing_at_every_operation(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO};
    pinion_train_options options = short_options(strdup(tiny_path("part.safetensors")));
    char checkpoint[256], sentence[PINION__SENTENCE_MAX];
    snprintf(checkpoint, sizeof checkpoint, "%s", tiny_path("part.state.safetensors"));
    make_whole(&options);
    int operations = count_operations(&options), kept = 0;
    for (int at = 1; at <= operations; at++) {
        trap set = {.at = at, .error = errors[at % 2]};
        assert_int_equal(train_with_trap(&options, &set, sentence, sizeof sentence), PINION_EIO);
        assert_non_null(strstr(sentence, strerror(set.error)));
        if (tiny_exists(checkpoint))
            kept += strstr(sentence, " stays") != NULL;
        assert_int_equal(tiny_folder_count(".safetensors."), 0);
        finish(&options, checkpoint);
        tiny_assert_same_training("whole", "part");
        tiny_folder_keep("whole");
    }
    assert_true(kept > operations / 2);
    free((void *)(uintptr_t)options.out);
}

typedef struct filler {
    const char *path;
    int64_t step;
} filler;

/* Fills the disk at a step, to the last byte. */
static void fill_disk(void *user, const pinion_step_report *report)
{
    const filler *with = user;
    if (report->step != with->step)
        return;
    FILE *file = fopen(with->path, "wb");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    static const char block[4096];
    while (fwrite(block, 1, sizeof block, file) == sizeof block)
        continue;
    fclose(file);
}

static void really_full_disk(void **state)
{
    (void)state;
    char mounted[256];
    snprintf(mounted, sizeof mounted, "%s", tiny_folder());
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", mounted, "tmpfs", 0, "size=512k") != 0) {
        skip();
        return;
    }
    tiny t;
    pinion_train_options options = short_options(tiny_path("part.safetensors"));
    make_whole(&options);
    filler with = {.path = tiny_path("filler"), .step = 5};
    const pinion_train_callbacks callbacks = {.step = fill_disk, .user = &with};
    tiny_open(&t, NULL, 1);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    assert_int_equal(pinion_trainer_run(t.trainer, &callbacks, NULL), PINION_EIO);
    assert_non_null(strstr(pinion_context_error(t.ctx), strerror(ENOSPC)));
    assert_non_null(strstr(pinion_context_error(t.ctx), "the checkpoint of step 3 stays"));
    tiny_close(&t);
    assert_int_equal(unlink(with.path), 0);
    finish(&options, tiny_path("part.state.safetensors"));
    tiny_assert_same_training("whole", "part");
    assert_int_equal(umount(mounted), 0);
}

static void sleep_ns(int64_t ns)
{
    const struct timespec time = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
}

/* Tells the parent that training has begun. */
static void tell_first_step(void *user, const pinion_step_report *report)
{
    const int *pipe_end = user;
    if (report->step == 1 && write(*pipe_end, "1", 1) != 1)
        _exit(2);
}

/* Starts a training in a process of its own and waits for its first step. */
static pid_t start_child(const pinion_train_options *options)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tiny t;
        const pinion_train_callbacks callbacks = {.step = tell_first_step, .user = &ends[1]};
        tiny_open(&t, NULL, 1);
        int status = pinion_trainer_create(t.network, t.dataset, options, &t.trainer);
        if (status == PINION_OK)
            status = pinion_trainer_run(t.trainer, &callbacks, NULL);
        tiny_close(&t);
        _exit(status == PINION_OK ? 0 : 1);
    }
    char byte;
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return child;
}

/* kill -9 fifty times, at moments spread over the steps and saves of a training that saves after every step. */
static void killed_at_random_moments(void **state)
{
    (void)state;
    enum { KILLS = 50 };
    pinion_train_options options = short_options(strdup(tiny_path("part.safetensors")));
    options.save_every = 1;
    char checkpoint[256];
    snprintf(checkpoint, sizeof checkpoint, "%s", tiny_path("part.state.safetensors"));
    make_whole(&options);
    int how, resumed = 0;
    pid_t child = start_child(&options);
    int64_t begin_ns = pinion__now_ns();
    assert_int_equal(waitpid(child, &how, 0), child);
    int64_t duration_ns = pinion__now_ns() - begin_ns;
    for (uint64_t i = 0; i < KILLS; i++) {
        tiny_folder_keep("whole");
        child = start_child(&options);
        float share = pinion__random_uniform(1, PINION__RANDOM_TEST, 2, i);
        sleep_ns((int64_t)(share * (float)duration_ns));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) || WEXITSTATUS(how) == 0);
        resumed += WIFSIGNALED(how) && tiny_exists(checkpoint);
        finish(&options, checkpoint);
        tiny_assert_same_training("whole", "part");
    }
    print_message("%d of %d killed trainings were resumed from a checkpoint\n", resumed, (int)KILLS);
    assert_true(resumed > 0);
    free((void *)(uintptr_t)options.out);
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
        cmocka_unit_test_teardown(killed_at_every_operation, clean),
        cmocka_unit_test_teardown(failing_at_every_operation, clean),
        cmocka_unit_test_teardown(killed_at_random_moments, clean),
        cmocka_unit_test_teardown(really_full_disk, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
