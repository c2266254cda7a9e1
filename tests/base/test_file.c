/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of reading files and of replacing them atomically: failures at every operation, pipes, two writers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pinion_context *make_context(void)
{
    pinion_context *ctx = NULL;
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    return ctx;
}

static void write_text(pinion_context *ctx, const char *path, const char *text)
{
    pinion__writer *writer;
    assert_int_equal(pinion__writer_begin(ctx, path, &writer), PINION_OK);
    assert_int_equal(pinion__writer_write(writer, text, strlen(text)), PINION_OK);
    assert_int_equal(pinion__writer_commit(writer), PINION_OK);
}

static void expect_text(pinion_context *ctx, const char *path, const char *text)
{
    pinion__file file;
    assert_int_equal(pinion__file_open(ctx, path, &file), PINION_OK);
    assert_int_equal(file.bytes, strlen(text));
    assert_memory_equal(file.data, text, file.bytes);
    pinion__file_close(&file);
}

static int fail_at(void *user, const char *operation, const char *path)
{
    (void)operation;
    (void)path;
    int *left = user;
    return (*left)-- == 0 ? ENOSPC : 0;
}

static int count_entries(const char *folder)
{
    char command[256];
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static void test_replace(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    char folder[] = "/tmp/pinion-base-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    write_text(ctx, path, "old");

    /* A failure at any operation leaves a whole file, old or new, and nothing beside it. */
    for (int at = 0; at < 4; at++) {
        int left = at;
        ctx->io_hook = fail_at;
        ctx->io_hook_user = &left;
        pinion__writer *writer;
        assert_int_equal(pinion__writer_begin(ctx, path, &writer), PINION_OK);
        assert_int_equal(pinion__writer_write(writer, "new", 3), PINION_OK);
        assert_int_equal(pinion__writer_commit(writer), PINION_EIO);
        ctx->io_hook = NULL;
        expect_text(ctx, path, at < 3 ? "old" : "new"); /* the last operation syncs the folder, after the rename */
        assert_int_equal(count_entries(folder), 1);
    }
    write_text(ctx, path, "newer");
    expect_text(ctx, path, "newer");
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);

    pinion__file file;
    assert_int_equal(pinion__file_open(ctx, folder, &file), PINION_EFORMAT);
    assert_int_equal(pinion__file_open(ctx, "/nowhere/at/all", &file), PINION_EFORMAT);
    assert_string_equal(pinion_context_error(ctx), "/nowhere/at/all: cannot be opened: No such file or directory");
    assert_int_equal(pinion__file_check_writable(ctx, "/nowhere/at/all"), PINION_EIO);
    assert_int_equal(pinion__file_check_writable(ctx, folder), PINION_EIO);
    unlink(path);
    rmdir(folder);
    pinion_context_destroy(ctx);
}

static void make_folder(char *folder, size_t bytes, char *path, size_t path_bytes)
{
    snprintf(folder, bytes, "/tmp/pinion-base-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, path_bytes, "%s/file", folder);
}

static void expect_error(const pinion_context *ctx, const char *path, const char *rest)
{
    char sentence[256];
    snprintf(sentence, sizeof sentence, "%s: %s", path, rest);
    assert_string_equal(pinion_context_error(ctx), sentence);
}

static void test_pipe(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    char folder[32], path[64];
    make_folder(folder, sizeof folder, path, sizeof path);
    assert_int_equal(mkfifo(path, 0600), 0);
    pinion__file file;
    alarm(20); /* waiting for a writer ends the test */
    assert_int_equal(pinion__file_open(ctx, path, &file), PINION_EFORMAT);
    alarm(0);
    expect_error(ctx, path, "is not a regular file");
    unlink(path);
    rmdir(folder);
    pinion_context_destroy(ctx);
}

/* What was opened stays, whatever becomes of the file; large files are mapped. */
static void test_changing_file(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    char folder[32], path[64];
    make_folder(folder, sizeof folder, path, sizeof path);
    write_text(ctx, path, "contents");
    pinion__file file;
    assert_int_equal(pinion__file_open(ctx, path, &file), PINION_OK);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(file.bytes, 8);
    assert_memory_equal(file.data, "contents", 8);
    pinion__file_close(&file);
    assert_int_equal(pinion__file_open(ctx, path, &file), PINION_OK);
    assert_int_equal(file.bytes, 0);
    pinion__file_close(&file);
    assert_int_equal(truncate(path, PINION__FILE_MAX_READ + 1), 0);
    assert_int_equal(pinion__file_open(ctx, path, &file), PINION_OK);
    assert_non_null(file.mapping);
    assert_int_equal(file.bytes, PINION__FILE_MAX_READ + 1);
    assert_int_equal(file.data[PINION__FILE_MAX_READ], 0);
    pinion__file_close(&file);
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    unlink(path);
    rmdir(folder);
    pinion_context_destroy(ctx);
}

/* The kernel's own files tell a size of 4096 and end long before. */
static void test_short_file(void **state)
{
    (void)state;
    static const char path[] = "/sys/devices/system/cpu/online";
    struct stat info;
    if (stat(path, &info) != 0 || info.st_size != 4096) {
        skip();
        return;
    }
    pinion_context *ctx = make_context();
    pinion__file file;
    assert_int_equal(pinion__file_open(ctx, path, &file), PINION_EFORMAT);
    assert_non_null(strstr(pinion_context_error(ctx), "of its 4096 bytes"));
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    pinion_context_destroy(ctx);
}

/* A second writer of a file is refused and does no harm, nor does the question whether it may be written. */
static void test_two_writers(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    char folder[32], path[64], partial[80];
    make_folder(folder, sizeof folder, path, sizeof path);
    snprintf(partial, sizeof partial, "%s.partial", path);
    pinion__writer *writer, *other = NULL;
    for (int commit = 0; commit < 2; commit++) {
        assert_int_equal(pinion__writer_begin(ctx, path, &writer), PINION_OK);
        assert_int_equal(pinion__writer_write(writer, "first", 5), PINION_OK);
        assert_int_equal(pinion__writer_begin(ctx, path, &other), PINION_EIO);
        expect_error(ctx, path, "is being written by another process");
        assert_null(other);
        assert_int_equal(pinion__file_check_writable(ctx, path), PINION_OK);
        assert_int_equal(access(partial, F_OK), 0);
        assert_int_equal(count_entries(folder), 1);
        if (!commit)
            pinion__writer_abort(writer);
        else
            assert_int_equal(pinion__writer_commit(writer), PINION_OK);
    }
    expect_text(ctx, path, "first");
    /* What a killed process left is overwritten, to its end. */
    int left = open(partial, O_WRONLY | O_CREAT, 0600);
    assert_true(left >= 0 && write(left, "longer than the new contents", 28) == 28);
    close(left);
    write_text(ctx, path, "second");
    expect_text(ctx, path, "second");
    assert_int_equal(count_entries(folder), 1);
    unlink(path);
    rmdir(folder);
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    pinion_context_destroy(ctx);
}

typedef struct rival {
    const char *path;
    pinion__writer *writer;
} rival;

/* At the rename: the lock must still be held. */
static int try_to_write(void *user, const char *operation, const char *path)
{
    (void)path;
    rival *with = user;
    if (strcmp(operation, "rename") != 0)
        return 0;
    pinion_context *ctx = make_context();
    if (pinion__writer_begin(ctx, with->path, &with->writer) == PINION_OK)
        pinion__writer_abort(with->writer);
    pinion_context_destroy(ctx);
    return 0;
}

static void test_lock_until_rename(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    char folder[32], path[64];
    make_folder(folder, sizeof folder, path, sizeof path);
    rival with = {.path = path};
    ctx->io_hook = try_to_write;
    ctx->io_hook_user = &with;
    write_text(ctx, path, "whole");
    assert_null(with.writer);
    expect_text(ctx, path, "whole");
    unlink(path);
    rmdir(folder);
    pinion_context_destroy(ctx);
}

static void *begin_often(void *user)
{
    const char *path = user;
    char partial[80];
    snprintf(partial, sizeof partial, "%s.partial", path);
    pinion_context *ctx = make_context();
    int wrong = 0;
    for (int i = 0; i < 3000; i++) {
        pinion__writer *writer;
        if (pinion__writer_begin(ctx, path, &writer) < 0)
            continue;
        wrong += access(partial, F_OK) != 0;
        pinion__writer_abort(writer);
    }
    pinion_context_destroy(ctx);
    return wrong ? user : NULL;
}

/* A writer that opens the temporary file just before its name is taken away must begin anew. */
static void test_writers_in_turn(void **state)
{
    (void)state;
    char folder[32], path[64];
    make_folder(folder, sizeof folder, path, sizeof path);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, begin_often, path), 0);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),         cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_changing_file),   cmocka_unit_test(test_short_file),
        cmocka_unit_test(test_two_writers),     cmocka_unit_test(test_lock_until_rename),
        cmocka_unit_test(test_writers_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
