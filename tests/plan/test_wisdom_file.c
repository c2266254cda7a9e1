/* SPDX-License-Identifier: Apache-2.0
 *
 * The wisdom file: where it lies, what it keeps, files that are damaged, foreign or cannot be written, writers at the
 * same time; its table; and every allocation failing in turn.
 */
#include "plan/bed.h"

#include <errno.h>
#include <sys/wait.h>

enum { WRITERS = 4, ROUNDS = 3 };

static void test_file(void **state)
{
    (void)state;
    bed b;
    struct stat info;
    use_file("kept.json");
    open_bed(&b);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    pinion_plan *plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL);
    char *kernels = NULL, *same = NULL;
    assert_int_equal(pinion__plan_kernels(plan, &kernels), PINION_OK);
    char *before = strdup(kernels);
    pinion__release(b.ctx, kernels);
    pinion_plan_destroy(plan);
    assert_int_equal(b.warnings, 0);
    close_bed(&b);
    assert_int_equal(stat(path, &info), 0);
    ino_t written = info.st_ino;

    for (int level = PINION_PATIENCE_ESTIMATE; level <= PINION_PATIENCE_MEASURE; level++) {
        open_bed(&b);
        plan = plan_with(&b, (enum pinion_patience)level, 4, NULL);
        assert_int_equal(pinion_plan_get_info(plan).measured_tasks, 0);
        expect_measured(plan, 1);
        assert_int_equal(pinion__plan_kernels(plan, &same), PINION_OK);
        assert_string_equal(same, before);
        pinion__release(b.ctx, same);
        pinion_plan_destroy(plan);
        assert_int_equal(b.warnings + b.infos, 0);
        close_bed(&b);
    }
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_ino, written); /* nothing was measured: nothing is written */
    free(before);
}

/* The cache folder is made where it is missing. */
static void test_default_path(void **state)
{
    (void)state;
    bed b;
    char cache[128], file[160];
    struct stat info;
    assert_int_equal(setenv("PINION_WISDOM", "", 1), 0);
    snprintf(cache, sizeof cache, "%s/new/cache", folder);
    snprintf(file, sizeof file, "%s/pinion/wisdom.json", cache);
    assert_int_equal(setenv("XDG_CACHE_HOME", cache, 1), 0);
    open_bed(&b);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    assert_int_equal(b.warnings, 0);
    close_bed(&b);
    assert_int_equal(stat(file, &info), 0);

    snprintf(file, sizeof file, "%s/.cache/pinion/wisdom.json", folder);
    assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0);
    assert_int_equal(setenv("HOME", folder, 1), 0);
    open_bed(&b);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    close_bed(&b);
    assert_int_equal(stat(file, &info), 0);

    /* Nowhere to keep it: said once, and measured all the same. */
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    open_bed(&b);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 5) > 0);
    assert_int_equal(b.warnings, 1);
    close_bed(&b);
}

static char *read_text(const char *name, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    *bytes = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

/* The file holds `text`: one warning with `word` in it, and the plan is made without; measuring replaces the file. */
static void expect_ignored(const char *text, size_t bytes, const char *word)
{
    bed b;
    write_text(path, text, bytes);
    open_bed(&b);
    pinion_plan *plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL);
    expect_unmeasured(plan);
    pinion_plan_destroy(plan);
    assert_int_equal(count_measured(&b, PINION_PATIENCE_ESTIMATE, 4), 0);
    assert_int_equal(b.warnings, 1);
    if (!strstr(b.last, word) || !strstr(b.last, "measured times in it are ignored") || !strstr(b.last, path))
        fail_msg("expected a warning with '%s' and got: %s", word, b.last);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    assert_int_equal(b.warnings, 1);
    close_bed(&b);
    open_bed(&b);
    assert_int_equal(count_measured(&b, PINION_PATIENCE_MEASURE, 4), 0);
    assert_int_equal(b.warnings, 0);
    close_bed(&b);
}

/* `text` with the first `from` replaced. */
static void expect_changed_ignored(const char *text, const char *from, const char *to, const char *word)
{
    char *changed = calloc(1, strlen(text) + strlen(to) + 1);
    const char *at = strstr(text, from);
    assert_non_null(changed);
    assert_non_null(at);
    size_t head = (size_t)(at - text);
    memcpy(changed, text, head);
    strcat(changed, to);
    strcat(changed, at + strlen(from));
    expect_ignored(changed, strlen(changed), word);
    free(changed);
}

static void test_damaged_files(void **state)
{
    (void)state;
    bed b;
    size_t bytes;
    use_file("damaged.json");
    open_bed(&b);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    close_bed(&b);
    char *whole = read_text(path, &bytes);
    for (size_t cut = 1; cut < 6; cut++)
        expect_ignored(whole, bytes * cut / 6, "is damaged");
    expect_ignored("", 0, "is damaged");
    expect_ignored("\0\0\0\0", 4, "is damaged");
    expect_ignored("[]", 2, "is not a wisdom file");
    expect_changed_ignored(whole, "pinion-wisdom", "fftw-wisdom", "is not a wisdom file");
    expect_changed_ignored(whole, "\"version\": 1", "\"version\": 2", "is of version 2");
    expect_changed_ignored(whole, "\"cpu\": \"", "\"cpu\": \"Another ", "is of another machine");
    expect_changed_ignored(whole, "\"processors\": ", "\"processors\": 7", "is of another machine");
    expect_changed_ignored(whole, "\"library\": \"", "\"library\": \"9", "is of another build");
    expect_changed_ignored(whole, "\"kernels\": \"", "\"kernels\": \"x", "is of another build");
    expect_changed_ignored(whole, "\"tasks\"", "\"works\"", "has no tasks");
    expect_changed_ignored(whole, "\"measure\"", "\"hasty\"", "is damaged: task");
    expect_changed_ignored(whole, "\"ms\": ", "\"ms\": -", "the time of kernel");
    expect_changed_ignored(whole, "\"ms\"", "\"us\"", "the time of kernel");
    expect_changed_ignored(whole, "\"repetitions\": ", "\"repetitions\": 0.", "the time of kernel");
    free(whole);
}

static void test_strange_files(void **state)
{
    (void)state;
    bed b;
    use_file("folder");
    assert_int_equal(mkdir(path, 0700), 0);
    open_bed(&b);
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    assert_int_equal(b.warnings, 2); /* read and written */
    close_bed(&b);

    use_file("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    open_bed(&b);
    assert_int_equal(count_measured(&b, PINION_PATIENCE_ESTIMATE, 4), 0);
    assert_int_equal(b.warnings, 1);
    close_bed(&b);

    use_file("large");
    write_text(path, "x", 1);
    assert_int_equal(truncate(path, 17 << 20), 0);
    open_bed(&b);
    assert_int_equal(count_measured(&b, PINION_PATIENCE_ESTIMATE, 4), 0);
    assert_int_equal(b.warnings, 1);
    assert_non_null(strstr(b.last, "is damaged"));
    close_bed(&b);
}

static int refuse(void *user, const char *operation, const char *file)
{
    (void)file;
    return strcmp(operation, user) == 0 ? ENOSPC : 0;
}

/* A file that cannot be written is one warning a context; the plan is there. */
static void test_unwritable(void **state)
{
    (void)state;
    bed b;
    static const char *const names[] = {"missing/wisdom.json", "file/wisdom.json", "locked/wisdom.json"};
    use_file("file");
    write_text(path, "x", 1);
    use_file("locked");
    assert_int_equal(mkdir(path, 0500), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (i == 2 && geteuid() == 0)
            continue; /* root may write anywhere */
        use_file(names[i]);
        open_bed(&b);
        assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
        assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 5) > 0);
        assert_int_equal(b.warnings, 1);
        close_bed(&b);
    }
    static char operations[][8] = {"write", "sync", "rename"};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        struct stat info;
        use_file("full.json");
        open_bed(&b);
        b.ctx->io_hook = refuse;
        b.ctx->io_hook_user = operations[i];
        assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
        assert_int_equal(b.warnings, 1);
        close_bed(&b);
        assert_int_equal(stat(path, &info), -1);
    }
}

/* Processes that measure different things at the same time lose nothing. */
static void test_concurrent_writers(void **state)
{
    (void)state;
    pid_t children[WRITERS];
    bed b;
    use_file("shared.json");
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            open_bed(&b);
            for (int round = 0; round < ROUNDS; round++)
                count_measured(&b, PINION_PATIENCE_MEASURE, 2 + i * ROUNDS + round);
            _exit(b.warnings);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    open_bed(&b);
    for (int batch = 2; batch < 2 + WRITERS * ROUNDS; batch++)
        assert_int_equal(count_measured(&b, PINION_PATIENCE_MEASURE, batch), 0);
    assert_int_equal(b.warnings, 0);
    close_bed(&b);
}

static pinion__wisdom_time make_time(const char *kernel, double ms)
{
    pinion__wisdom_time time = {.ms = ms, .repetitions = 3};
    snprintf(time.kernel, sizeof time.kernel, "%s", kernel);
    return time;
}

static void put(pinion__wisdom_table *table, const char *key, enum pinion_patience level, const char *kernel, double ms)
{
    pinion__wisdom_time time = make_time(kernel, ms);
    assert_int_equal(pinion__wisdom_put(table, key, level, &time), PINION_OK);
}

static double get(const pinion__wisdom_table *table, const char *key, const char *kernel)
{
    const pinion__wisdom_entry *entry = pinion__wisdom_find(table, key);
    const pinion__wisdom_time *time = entry ? pinion__wisdom_find_time(entry, kernel) : NULL;
    return time ? time->ms : 0;
}

static void test_table(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__wisdom_table table = {.ctx = ctx}, other = {.ctx = ctx}, same = {.ctx = ctx};
    static const char *const keys[] = {"m", "c", "x", "a", "n", "b", "z"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(&table, keys[i], PINION_PATIENCE_MEASURE, "one", 1.0 + (double)i);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_true(get(&table, keys[i], "one") == 1.0 + (double)i);
    assert_true(get(&table, "d", "one") == 0 && get(&table, "a", "two") == 0);

    put(&table, "a", PINION_PATIENCE_MEASURE, "one", 9);
    put(&table, "a", PINION_PATIENCE_MEASURE, "two", 8);
    assert_true(get(&table, "a", "one") == 9 && get(&table, "a", "two") == 8);
    put(&table, "a", PINION_PATIENCE_PATIENT, "two", 7); /* more patient: the others go */
    assert_true(get(&table, "a", "one") == 0 && get(&table, "a", "two") == 7);
    put(&table, "a", PINION_PATIENCE_MEASURE, "two", 6); /* less patient: only where there is nothing */
    put(&table, "a", PINION_PATIENCE_MEASURE, "three", 5);
    assert_true(get(&table, "a", "two") == 7 && get(&table, "a", "three") == 5);

    put(&other, "a", PINION_PATIENCE_MEASURE, "two", 1);
    put(&other, "b", PINION_PATIENCE_MEASURE, "one", 0.5);
    put(&other, "new", PINION_PATIENCE_MEASURE, "one", 0.25);
    assert_int_equal(pinion__wisdom_merge(&table, &other), PINION_OK);
    assert_true(get(&table, "a", "two") == 7 && get(&table, "b", "one") == 0.5 && get(&table, "new", "one") == 0.25);

    /* Text and back. */
    pinion__machine machine = {.cpu = "C\"P\\U", .processors = 3, .isa = "neon", .library = "1", .kernels = "k"};
    char *text = NULL, *again = NULL;
    assert_int_equal(pinion__wisdom_print(&table, &machine, &text), PINION_OK);
    assert_int_equal(pinion__wisdom_parse(ctx, "file", (const unsigned char *)text, strlen(text), &machine, &same),
                     PINION_OK);
    assert_int_equal(same.count, table.count);
    assert_int_equal(pinion__wisdom_print(&same, &machine, &again), PINION_OK);
    assert_string_equal(text, again);
    free(text);
    free(again);
    pinion__wisdom_table_fini(&table);
    pinion__wisdom_table_fini(&other);
    pinion__wisdom_table_fini(&same);
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    pinion_context_destroy(ctx);
}

typedef struct failing {
    int until; /* allocations that succeed; -1: all */
} failing;

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    failing *at = user;
    void *block = NULL;
    if (at->until == 0)
        return NULL;
    at->until -= at->until > 0;
    return posix_memalign(&block, alignment, bytes) == 0 ? block : NULL;
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

/* Every allocation fails in turn: a plan or PINION_ENOMEM, and nothing leaks. */
static void test_failing_allocations(void **state)
{
    (void)state;
    bed b;
    failing at = {.until = -1};
    use_file("kept.json"); /* of test_file: read, but of another batch */
    int status = PINION_ENOMEM, failures = 0;
    for (; status != PINION_OK || failures < 60; failures++) {
        open_bed(&b);
        size_t live = atomic_load(&b.ctx->live_bytes);
        b.ctx->options.alloc = allocate, b.ctx->options.release = release, b.ctx->options.alloc_user = &at;
        pinion_plan_options options = training_options(3);
        options.unfused = 1;
        options.patience = PINION_PATIENCE_MEASURE;
        pinion_plan *plan = NULL;
        at.until = failures;
        status = pinion__plan_create(b.network, &options, &b.cpu, 1, &plan);
        at.until = -1;
        assert_true(status == PINION_OK || status == PINION_ENOMEM);
        pinion_plan_destroy(plan);
        if (!b.ctx->wisdom)
            assert_int_equal(atomic_load(&b.ctx->live_bytes), live);
        close_bed(&b);
        unlink(path);
    }
    assert_true(failures > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),          cmocka_unit_test(test_default_path),
        cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_unwritable),    cmocka_unit_test(test_concurrent_writers),
        cmocka_unit_test(test_table),         cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
