/* SPDX-License-Identifier: Apache-2.0
 *
 * Plan files: what is written is read as the same plan; what does not fit or is damaged is refused in one sentence with
 * the file's name.
 */
#include "plan/plan_file_bed.h"

#include <jansson.h>

static char *lines_of(const pinion_plan *plan)
{
    char *lines = NULL;
    assert_int_equal(pinion__plan_kernels(plan, &lines), PINION_OK);
    return lines;
}

static int count_lines(const char *lines)
{
    int count = 0;
    for (const char *at = lines; (at = strchr(at, '\n')); at++)
        count++;
    return count;
}

static void expect_processors(int count)
{
    static const char *const names[] = {"left", "right"};
    json_t *root = json_load_file(path, 0, NULL);
    const json_t *list = json_object_get(root, "processors");
    assert_int_equal(json_array_size(list), count);
    for (int i = 0; i < count; i++)
        assert_string_equal(json_string_value(json_array_get(list, (size_t)i)), names[i]);
    json_decref(root);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const way ways[] = {
        {PINION_TRAIN, 1, 0, false, {0}},
        {PINION_TRAIN, 2, 0, false, {0}},
        {PINION_TRAIN, 2, 0, true, {0}},
        {PINION_TRAIN, 2, 4, false, {0}},
        {PINION_INFER, 2, 0, true, {0}},
        {PINION_TRAIN, 2, 0, true, {.count = 2, .n = {5, 3}, .processor = {0, 1}}},
        {PINION_TRAIN, 2, 0, true, {.count = 4, .n = {1, 3, 2, 2}, .processor = {1, 0, 1, 0}}},
        {PINION_INFER, 2, 0, true, {.count = 2, .n = {1, 7}, .processor = {1, 0}}},
    };
    desk d = open_desk();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        pinion_plan *written = make_plan(&d, &ways[i]), *read = NULL;
        assert_int_equal(pinion_plan_save(written, path), PINION_OK);
        if (read_plan(&d, &ways[i], &read) < 0)
            fail_msg("way %zu: %s", i, pinion_context_error(d.ctx));
        char *expected = lines_of(written), *found = lines_of(read);
        assert_string_equal(expected, found);
        assert_int_equal(count_lines(expected), (int)written->task_count - written->prologue);
        expect_processors(ways[i].processors);
        assert_int_equal(written->micro_batches, read->micro_batches);
        assert_int_equal(written->serial, read->serial);
        assert_memory_equal(&written->cut, &read->cut, sizeof read->cut);
        pinion__release(d.ctx, expected);
        pinion__release(d.ctx, found);
        pinion_plan_destroy(written);
        pinion_plan_destroy(read);
    }
    close_desk(&d);
}

/* ---- files that do not fit ---- */

static void expect_refused(const desk *d, const way *of, const char *words)
{
    pinion_plan *plan = NULL;
    int status = read_plan(d, of, &plan);
    const char *sentence = pinion_context_error(d->ctx);
    if (status != PINION_EFORMAT || !strstr(sentence, words) || !strstr(sentence, path) || strchr(sentence, '\n'))
        fail_msg("status %d, expected '%s': %s", status, words, status < 0 ? sentence : "it is taken");
    assert_null(plan);
}

/* The file of a plan, with one of its keys replaced (NULL: taken away) by this JSON. */
static void edit_root(const desk *d, const way *of, const char *key, const char *json, const char *words)
{
    pinion_plan *plan = make_plan(d, of);
    assert_int_equal(pinion_plan_save(plan, path), PINION_OK);
    pinion_plan_destroy(plan);
    json_t *root = json_load_file(path, 0, NULL);
    json_t *value = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(root && (value || !json));
    if (value)
        json_object_set_new(root, key, value);
    else
        json_object_del(root, key);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    expect_refused(d, of, words);
}

static void test_other_origins(void **state)
{
    (void)state;
    static const struct {
        const char *key, *json, *words;
    } edits[] = {
        {"format", "\"pinion-wisdom\"", "is not a plan file"},
        {"format", "7", "is not a plan file"},
        {"format", NULL, "is not a plan file"},
        {"version", "2", "is of version 2"},
        {"version", "\"1\"", "is of version 0"},
        {"network", "\"other\"", "is a plan of network 'other'"},
        {"network", "[]", "is a plan of network '?'"},
        {"network", "\"random\\nx\"", "is a plan of network"},
        {"mode", "\"infer\"", "infer, batch 8; expected 'random', train, batch 8"},
        {"batch", "9", "batch 9; expected"},
        {"batch", "99999999999", "batch 99999999999; expected"},
        {"batch", "8.0", "batch 0; expected"},
        {"micro_batches", "0", "is damaged: 0 micro-batches"},
        {"micro_batches", "-2", "is damaged: -2 micro-batches"},
        {"micro_batches", "3", "is damaged: 3 micro-batches"},
        {"micro_batches", "9223372036854775807", "micro-batches"},
        {"micro_batches", "2.0", "is damaged: 0 micro-batches"},
        {"micro_batches", NULL, "is damaged: 0 micro-batches"},
        {"tasks", "[]", "is damaged: it has no tasks"},
        {"tasks", "{}", "is damaged: it has no tasks"},
        {"tasks", NULL, "is damaged: it has no tasks"},
        {"tasks", "[7]", "is damaged: task"},
        {"tasks", "[[[[]]]]", "is damaged: task"},
    };
    desk d = open_desk();
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        edit_root(&d, &mixed_training, edits[i].key, edits[i].json, edits[i].words);
    edit_root(&d, &cut_training, "micro_batches", "2", "2 micro-batches of a batch that is cut");
    close_desk(&d);
}

/* The file's text with the first `from` (all of them) replaced. */
static void replace(const char *text, const char *from, const char *to, bool all)
{
    static char edited[2 * MOST_TEXT];
    size_t length = 0;
    const char *rest = text;
    for (const char *at; (at = strstr(rest, from)) && (all || rest == text);) {
        length += (size_t)snprintf(edited + length, sizeof edited - length, "%.*s%s", (int)(at - rest), rest, to);
        rest = at + strlen(from);
    }
    if (rest == text)
        fail_msg("the plan file has no '%s'", from);
    length += (size_t)snprintf(edited + length, sizeof edited - length, "%s", rest);
    assert_true(length < sizeof edited);
    write_file(edited, length);
}

static void test_other_tasks(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        bool all;
        const char *words;
    } edits[] = {
        {"\"processor\": \"right\"", "\"processor\": \"up\"", false, "'up', which is not among those of this plan"},
        {"\"processor\": \"right\"", "\"processor\": \"up\"", true, "'up', which is not among those of this plan"},
        {"\"processor\": \"right\"", "\"processor\": \"left right\"", false, "is damaged: task"},
        {"\"processor\": \"right\"", "\"processor\": \"\"", false, "is damaged: task"},
        {"\"processor\": \"right\"", "\"on\": \"right\"", false, "which is not among those of this plan"},
        {"\"processor\": \"right\"", "\"processor\": \"left\"", false, "has no kernel for"},
        {"forward@0-4", "forward@0-3", true, "1 slice with 4 samples in all; expected 2 to 4 slices"},
        {"forward@0-4", "forward@1-4", true, "samples"},
        {"@5-7", "@5-8", true, "2 slices with 9 samples in all; expected 2 to 4 slices that make the batch of 8"},
        {"@5-7", "@5-6", true, "2 slices with 7 samples in all"},
        {"@5-7", "@5-2147483647", true, "1 slice with 5 samples"},
        {"@5-7", "@5-99999999999999999999", true, "1 slice with 5 samples"},
        {"@5-7", "@5--7", true, "1 slice with 5 samples"},
        {"@5-7", "@5", true, "1 slice with 5 samples"},
        {"\"task\": \"fc ", "\"task\": \"dc ", false, "has no layer for the line 'dc "},
        {"\"task\": \"fc ", "\"task\": \"\\nfc ", false, "is damaged: task"},
        {"\"task\": \"fc ", "\"job\": \"fc ", false, "has no layer for the line '? "},
        {"\"kernel\": \"linear_forward", "\"kernel\": \"linear_upward", false, "kernel 'linear_upward"},
        {"\"kernel\": \"linear_forward", "\"kernel\": \"linear forward", false, "is damaged: task"},
        {"\"start_us\": 0", "\"start_us\": 7", false, "is damaged: task"},
        {"\"start_us\": 0", "\"begin_us\": 0", false, "is damaged: task"},
    };
    desk d = open_desk();
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        replace(write_plan(&d, &cut_training), edits[i].from, edits[i].to, edits[i].all);
        expect_refused(&d, &cut_training, edits[i].words);
    }
    close_desk(&d);
}

static json_t *load_tasks(json_t **root)
{
    *root = json_load_file(path, 0, NULL);
    assert_non_null(*root);
    return json_object_get(*root, "tasks");
}

static void store(json_t *root)
{
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
}

static size_t find_task(const json_t *tasks, const char *name)
{
    size_t at = 0;
    while (at < json_array_size(tasks) &&
           strncmp(json_string_value(json_object_get(json_array_get(tasks, at), "task")), name, strlen(name)) != 0)
        at++;
    assert_true(at < json_array_size(tasks));
    return at;
}

static void move_before(json_t *tasks, const char *name, const char *other)
{
    const size_t from = find_task(tasks, name);
    json_t *task = json_incref(json_array_get(tasks, from));
    json_array_remove(tasks, from);
    json_array_insert_new(tasks, find_task(tasks, other), task);
}

/* A line twice, tasks in an impossible order; keys that nobody knows change nothing. */
static void test_lists(void **state)
{
    (void)state;
    desk d = open_desk();
    json_t *root, *tasks;
    pinion_plan *plan = NULL;
    char *expected, *found;

    write_plan(&d, &mixed_training);
    tasks = load_tasks(&root);
    json_array_append(tasks, json_array_get(tasks, 3));
    store(root);
    expect_refused(&d, &mixed_training, "there is a line too many for a task");

    write_plan(&d, &mixed_training);
    tasks = load_tasks(&root);
    for (size_t i = 1; i < json_array_size(tasks); i++) {
        json_t *task = json_incref(json_array_get(tasks, i));
        json_array_remove(tasks, i);
        json_array_insert_new(tasks, 0, task);
    }
    store(root);
    expect_refused(&d, &mixed_training, "one reads what a later one writes");

    write_plan(&d, &mixed_training); /* behind the gate, before it */
    tasks = load_tasks(&root);
    move_before(tasks, "- softmax_cross_entropy backward_data", "- softmax_cross_entropy forward");
    store(root);
    expect_refused(&d, &mixed_training, "one reads what a later one writes");

    plan = make_plan(&d, &mixed_training);
    assert_int_equal(pinion_plan_save(plan, NULL), PINION_EINVAL);
    assert_int_equal(pinion_plan_save(plan, ""), PINION_EINVAL);
    expected = lines_of(plan);
    pinion_plan_destroy(plan);
    write_plan(&d, &mixed_training);
    tasks = load_tasks(&root);
    json_object_set_new(root, "made_by", json_integer(7));
    json_object_set_new(json_array_get(tasks, 0), "colour", json_string("blue"));
    store(root);
    assert_int_equal(read_plan(&d, &mixed_training, &plan), PINION_OK);
    found = lines_of(plan);
    assert_string_equal(expected, found);
    pinion_plan_destroy(plan);
    pinion__release(d.ctx, expected);
    pinion__release(d.ctx, found);
    close_desk(&d);
}

/* Files of plans with other options have more tasks, or fewer: those that are not named run on the first processor. */
static void test_other_options(void **state)
{
    (void)state;
    desk d = open_desk();
    json_t *root, *tasks;
    pinion_plan *plan = NULL;
    for (size_t left_out = 0; left_out < 40; left_out += 3) {
        write_plan(&d, &mixed_training);
        tasks = load_tasks(&root);
        json_array_remove(tasks, left_out);
        json_array_append_new(tasks, json_pack("{s:s, s:s, s:s}", "task", "fc adamw update", "kernel", "adamw_update",
                                               "processor", "right"));
        store(root);
        if (read_plan(&d, &mixed_training, &plan) < 0)
            fail_msg("%s", pinion_context_error(d.ctx));
        run_step(&d, plan);
        pinion_plan_destroy(plan);
    }
    close_desk(&d);
}

static void test_damaged_files(void **state)
{
    (void)state;
    desk d = open_desk();
    char *text = write_plan(&d, &cut_training);
    for (size_t part = 0; part < 16; part++) {
        write_file(text, strlen(text) * part / 16);
        expect_refused(&d, &cut_training, "is damaged");
    }
    replace(text, "\"version\": 1", "\"version\": 1, \"version\": 1", false);
    expect_refused(&d, &cut_training, "is damaged: line");
    write_file("[]", 2);
    expect_refused(&d, &cut_training, "is not a plan file");
    assert_int_equal(unlink(path), 0);
    expect_refused(&d, &cut_training, "is neither auto, serial");
    close_desk(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_other_origins), cmocka_unit_test(test_other_tasks),
        cmocka_unit_test(test_lists),      cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_other_options),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
