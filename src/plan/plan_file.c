/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and reading plan files (plan/plan_file.h), which are hostile input until proved otherwise:
 *
 *     {"format": "pinion-plan", "version": 1, "network": "resnet18-cifar", "mode": "train", "batch": 8,
 *      "micro_batches": 1, "processors": ["cpu/1", "opencl:0/1"],
 *      "tasks": [{"task": "conv1 conv2d+stats forward", "kernel": "…", "processor": "cpu/1", "start_us": 0, …}, …]}
 */
#include "plan/plan_file.h"

#include "base/file.h"
#include "net/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "pinion-plan"
enum { VERSION = 1, MAX_BYTES = 16 << 20 };

static const char *mode_name(enum pinion_mode mode)
{
    return mode == PINION_TRAIN ? "train" : "infer";
}

/* ---- writing ---- */

/* "conv1 conv2d forward KERNEL PROCESSOR 0 120": from the right, since a layer's name is anything. */
static json_t *print_line(const pinion_plan *plan, const char *text, size_t length)
{
    char *line = strndup(text, length), *word[4];
    int words = plan->serial ? plan->processor_count > 1 ? 2 : 1 : 4;
    for (int i = words - 1; line && i >= 0; i--) {
        word[i] = strrchr(line, ' ');
        *word[i]++ = '\0';
    }
    json_t *json = line ? json_pack("{s:s, s:s, s:s}", "task", line, "kernel", word[0], "processor",
                                    words > 1 ? word[1] : plan->processors[0]->name)
                        : NULL;
    if (json && words == 4) {
        json_object_set_new(json, "start_us", json_integer(atoll(word[2])));
        json_object_set_new(json, "end_us", json_integer(atoll(word[3])));
    }
    free(line);
    return json;
}

static json_t *print_plan(const pinion_plan *plan, const char *lines)
{
    json_t *tasks = json_array(), *processors = json_array();
    bool whole = true;
    for (int p = 0; p < plan->processor_count; p++)
        whole = json_array_append_new(processors, json_string(plan->processors[p]->name)) == 0 && whole;
    for (const char *at = lines; at && *at; at += strcspn(at, "\n") + 1)
        whole = json_array_append_new(tasks, print_line(plan, at, strcspn(at, "\n"))) == 0 && whole;
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:s, s:i, s:i, s:o, s:o}", "format", FORMAT, "version", (int)VERSION, "network",
                  plan->network->name, "mode", mode_name(plan->options.mode), "batch", plan->options.batch,
                  "micro_batches", plan->micro_batches, "processors", processors, "tasks", tasks);
    if (!whole) {
        json_decref(root);
        return NULL;
    }
    return root;
}

int pinion_plan_save(const pinion_plan *plan, const char *path)
{
    if (!plan)
        return PINION_EINVAL;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    char *lines = NULL, *text = NULL;
    json_t *root = NULL;
    pinion__writer *writer = NULL;
    PINION_FAIL_IF(!path || !*path, PINION_EINVAL, "pinion_plan_save: expected the name of a file");
    PINION_TRY(pinion__plan_kernels(plan, &lines));
    root = print_plan(plan, lines);
    text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    PINION_FAIL_IF(!text, PINION_ENOMEM, "out of memory: the text of a plan of %zu tasks", plan->task_count);
    PINION_TRY(pinion__writer_begin(ctx, path, &writer));
    PINION_TRY(pinion__writer_write(writer, text, strlen(text)));
    PINION_TRY(pinion__writer_write(writer, "\n", 1));
    pinion__writer *last = writer;
    writer = NULL;
    PINION_TRY(pinion__writer_commit(last));
fail:
    pinion__writer_abort(writer);
    json_decref(root);
    free(text);
    pinion__release(ctx, lines);
    return status;
}

/* ---- reading ---- */

static int load(pinion_context *ctx, const char *path, json_t **out)
{
    int status = PINION_OK;
    pinion__file file = {0};
    json_error_t error = {0};
    json_t *root = NULL;
    status = pinion__file_open(ctx, path, &file);
    PINION_FAIL_IF(
        status == PINION_EFORMAT, PINION_EFORMAT,
        "place '%s': is neither auto, serial, concurrent, unsliced, greedy, layerwise, nor a processor of the plan, "
        "nor a file that can be read",
        path);
    PINION_TRY(status);
    PINION_FAIL_IF(file.bytes > MAX_BYTES, PINION_EFORMAT, "%s: is damaged: %zu bytes are more than a plan file has",
                   path, file.bytes);
    root = json_loadb((const char *)file.data, file.bytes, JSON_REJECT_DUPLICATES, &error);
    PINION_FAIL_IF(!root && json_error_code(&error) == json_error_out_of_memory, PINION_ENOMEM,
                   "out of memory: %s of %zu bytes", path, file.bytes);
    PINION_FAIL_IF(!root, PINION_EFORMAT, "%s: is damaged: line %d: %s", path, error.line,
                   pinion__quote(error.text).text);
    *out = root;
fail:
    pinion__file_close(&file);
    return status;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "?";
}

static int check_origin(const pinion_network *network, const pinion_plan_options *options, const json_t *root)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    const char *path = options->place, *of = text_of(root, "network"), *mode = text_of(root, "mode");
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    json_int_t batch = json_integer_value(json_object_get(root, "batch"));
    PINION_FAIL_IF(strcmp(text_of(root, "format"), FORMAT) != 0, PINION_EFORMAT, "%s: is not a plan file of Pinion",
                   path);
    PINION_FAIL_IF(version != VERSION, PINION_EFORMAT,
                   "%s: is of version %" JSON_INTEGER_FORMAT " of the format; expected %d", path, version, VERSION);
    PINION_FAIL_IF(strcmp(of, network->name) != 0 || strcmp(mode, mode_name(options->mode)) != 0 ||
                       batch != options->batch,
                   PINION_EFORMAT,
                   "%s: is a plan of network %s, %.15s, batch %" JSON_INTEGER_FORMAT "; expected '%s', %s, batch %d",
                   path, pinion__quote(of).text, mode, batch, network->name, mode_name(options->mode), options->batch);
fail:
    return status;
}

/* No part of a line may end it, or a word of it. */
static bool is_plain(const char *text, const char *without)
{
    return *text && !text[strcspn(text, without)];
}

static int read_task(const json_t *json, const char *path, pinion__text *lines)
{
    pinion_context *ctx = lines->ctx;
    int status = PINION_OK;
    const char *task = text_of(json, "task"), *kernel = text_of(json, "kernel"), *on = text_of(json, "processor");
    const json_t *start = json_object_get(json, "start_us"), *end = json_object_get(json, "end_us");
    json_int_t from = json_integer_value(start), to = json_integer_value(end);
    PINION_FAIL_IF(!json_is_object(json) || !is_plain(task, "\n") || !is_plain(kernel, " \n") || !is_plain(on, " \n") ||
                       from < 0 || to < from || !start != !end,
                   PINION_EFORMAT, "%s: is damaged: task %s is not understood", path, pinion__quote(task).text);
    PINION_TRY(pinion__text_add(lines, "%s %s %s", task, kernel, on));
    if (start)
        PINION_TRY(pinion__text_add(lines, " %" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT, from, to));
    PINION_TRY(pinion__text_add(lines, "\n"));
fail:
    return status;
}

int pinion__plan_file_read(const pinion_network *network, const pinion_plan_options *options, char **lines,
                           int *micro_batches)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    json_t *root = NULL, *value;
    size_t index;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(load(ctx, options->place, &root));
    PINION_TRY(check_origin(network, options, root));
    json_int_t parts = json_integer_value(json_object_get(root, "micro_batches"));
    PINION_FAIL_IF(parts < 1 || parts > options->batch || options->batch % parts != 0, PINION_EFORMAT,
                   "%s: is damaged: %" JSON_INTEGER_FORMAT " micro-batches", options->place, parts);
    const json_t *tasks = json_object_get(root, "tasks");
    PINION_FAIL_IF(json_array_size(tasks) == 0, PINION_EFORMAT, "%s: is damaged: it has no tasks", options->place);
    json_array_foreach(tasks, index, value) PINION_TRY(read_task(value, options->place, &text));
    *micro_batches = (int)parts;
    *lines = text.bytes;
    text.bytes = NULL;
fail:
    json_decref(root);
    pinion__release(ctx, text.bytes);
    return status;
}
