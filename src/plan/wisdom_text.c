/* SPDX-License-Identifier: Apache-2.0
 *
 * The wisdom file as text (plan/wisdom.h), which is hostile input until proved otherwise:
 *
 *     {"format": "pinion-wisdom", "version": 1,
 *      "machine": {"cpu": "…", "processors": 4, "isa": "neon", "library": "0.1.0", "kernels": "…"},
 *      "tasks": {"KEY": {"level": "measure", "times": {"KERNEL": {"ms": 0.25, "repetitions": 5, "khz": null}}}}}
 */
#include "base/cpu.h"
#include "net/text.h"
#include "plan/wisdom.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FORMAT "pinion-wisdom"
enum { VERSION = 1, MAX_REPETITIONS = 1000000000, MAX_KHZ = 1000000000 };

static const char *const level_names[] = {[PINION_PATIENCE_MEASURE] = "measure", [PINION_PATIENCE_PATIENT] = "patient"};

/* FNV-1a over every row of the table, so that a build with other kernels, or in another order, has another. */
static uint64_t hash_kernels(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const pinion__kernel *kernel;
    for (int i = 0; (kernel = pinion__kernel_at(i)); i++) {
        char row[192];
        int length = snprintf(row, sizeof row, "%s %d %d %d %d\n", kernel->name, (int)kernel->op, (int)kernel->pass,
                              (int)kernel->processor, (int)kernel->isa);
        for (int k = 0; k < length && k < (int)sizeof row - 1; k++)
            hash = (hash ^ (unsigned char)row[k]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

void pinion__machine_describe(pinion__machine *out)
{
    memset(out, 0, sizeof *out);
    pinion__cpu_name(out->cpu, sizeof out->cpu);
    for (char *at = out->cpu; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?'; /* JSON takes UTF-8 only */
    long processors = sysconf(_SC_NPROCESSORS_CONF);
    out->processors = processors > 0 ? (int)processors : 1;
    snprintf(out->isa, sizeof out->isa, "%s", pinion__isa_name(pinion__cpu_best_isa()));
    snprintf(out->library, sizeof out->library, "%s", pinion_version());
    snprintf(out->kernels, sizeof out->kernels, "%016" PRIx64, hash_kernels());
}

static int read_time(const char *kernel, const json_t *json, pinion__wisdom_time *out)
{
    const json_t *ms = json_object_get(json, "ms"), *repetitions = json_object_get(json, "repetitions");
    json_int_t khz = json_integer_value(json_object_get(json, "khz"));
    size_t length = strlen(kernel);
    double value = json_number_value(ms);
    bool valid = length > 0 && length <= PINION__WISDOM_NAME_MAX && json_is_number(ms) && value > 0 && value <= 1e12 &&
                 json_is_integer(repetitions) && json_integer_value(repetitions) >= 1 &&
                 json_integer_value(repetitions) <= MAX_REPETITIONS && khz >= 0 && khz <= MAX_KHZ;
    if (!valid)
        return PINION_EFORMAT;
    memset(out, 0, sizeof *out);
    memcpy(out->kernel, kernel, length);
    out->ms = value;
    out->repetitions = (int)json_integer_value(repetitions);
    out->khz = khz;
    return PINION_OK;
}

static int read_level(const json_t *json, enum pinion_patience *out)
{
    const char *word = json_string_value(json_object_get(json, "level"));
    for (int level = PINION_PATIENCE_MEASURE; word && level <= PINION_PATIENCE_PATIENT; level++)
        if (strcmp(word, level_names[level]) == 0) {
            *out = (enum pinion_patience)level;
            return PINION_OK;
        }
    return PINION_EFORMAT;
}

static int read_entry(pinion_context *ctx, const char *path, const char *key, json_t *json, pinion__wisdom_table *table)
{
    int status = PINION_OK;
    enum pinion_patience level = PINION_PATIENCE_MEASURE;
    json_t *times = json_object_get(json, "times"), *value;
    const char *kernel;
    PINION_FAIL_IF(!*key || strlen(key) > PINION__WISDOM_KEY_MAX || read_level(json, &level) < 0 ||
                       !json_is_object(times),
                   PINION_EFORMAT, "%s: is damaged: task %s has no level and times that are understood", path,
                   pinion__quote(key).text);
    json_object_foreach(times, kernel, value)
    {
        pinion__wisdom_time time;
        PINION_FAIL_IF(read_time(kernel, value, &time) < 0, PINION_EFORMAT,
                       "%s: is damaged: the time of kernel %s is not understood", path, pinion__quote(kernel).text);
        PINION_TRY(pinion__wisdom_put(table, key, level, &time));
    }
fail:
    return status;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "?";
}

static int check_machine(pinion_context *ctx, const char *path, const json_t *json, const pinion__machine *machine)
{
    int status = PINION_OK;
    PINION_FAIL_IF(!json_is_object(json), PINION_EFORMAT, "%s: is damaged: it does not say of which machine it is",
                   path);
    const char *cpu = text_of(json, "cpu"), *isa = text_of(json, "isa"), *library = text_of(json, "library");
    json_int_t processors = json_integer_value(json_object_get(json, "processors"));
    PINION_FAIL_IF(strcmp(cpu, machine->cpu) != 0 || strcmp(isa, machine->isa) != 0 ||
                       processors != machine->processors,
                   PINION_EFORMAT, "%s: is of another machine, %s with %" JSON_INTEGER_FORMAT " processors and %.15s",
                   path, pinion__quote(cpu).text, processors, isa);
    PINION_FAIL_IF(strcmp(library, machine->library) != 0 || strcmp(text_of(json, "kernels"), machine->kernels) != 0,
                   PINION_EFORMAT,
                   "%s: is of another build of Pinion, version %.31s with other kernels or a change of "
                   "them",
                   path, library);
fail:
    return status;
}

static int load(pinion_context *ctx, const char *path, const unsigned char *text, size_t bytes, json_t **out)
{
    int status = PINION_OK;
    json_error_t error = {0};
    json_t *root = json_loadb((const char *)text, bytes, JSON_REJECT_DUPLICATES, &error);
    PINION_FAIL_IF(!root && json_error_code(&error) == json_error_out_of_memory, PINION_ENOMEM,
                   "out of memory: %s of %zu bytes", path, bytes);
    PINION_FAIL_IF(!root, PINION_EFORMAT, "%s: is damaged: line %d: %s", path, error.line,
                   pinion__quote(error.text).text);
    *out = root;
fail:
    return status;
}

int pinion__wisdom_parse(pinion_context *ctx, const char *path, const unsigned char *text, size_t bytes,
                         const pinion__machine *machine, pinion__wisdom_table *table)
{
    int status = PINION_OK;
    json_t *root = NULL, *value;
    const char *key;
    pinion__wisdom_table found = {.ctx = ctx};
    PINION_TRY(load(ctx, path, text, bytes, &root));
    json_t *tasks = json_object_get(root, "tasks");
    PINION_FAIL_IF(strcmp(text_of(root, "format"), FORMAT) != 0, PINION_EFORMAT, "%s: is not a wisdom file of Pinion",
                   path);
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    PINION_FAIL_IF(version != VERSION, PINION_EFORMAT,
                   "%s: is of version %" JSON_INTEGER_FORMAT " of the format; expected %d", path, version, VERSION);
    PINION_TRY(check_machine(ctx, path, json_object_get(root, "machine"), machine));
    PINION_FAIL_IF(!json_is_object(tasks), PINION_EFORMAT, "%s: is damaged: it has no tasks", path);
    json_object_foreach(tasks, key, value) PINION_TRY(read_entry(ctx, path, key, value, &found));
    PINION_TRY(pinion__wisdom_merge(table, &found));
fail:
    pinion__wisdom_table_fini(&found);
    json_decref(root);
    return status;
}

static json_t *print_time(const pinion__wisdom_time *time)
{
    return json_pack("{s:f, s:i, s:o}", "ms", time->ms, "repetitions", time->repetitions, "khz",
                     time->khz > 0 ? json_integer(time->khz) : json_null());
}

static json_t *print_entry(const pinion__wisdom_entry *entry)
{
    json_t *times = json_object();
    for (size_t i = 0; i < entry->count; i++)
        json_object_set_new(times, entry->times[i].kernel, print_time(&entry->times[i]));
    return json_pack("{s:s, s:o}", "level", level_names[entry->level], "times", times);
}

/* A missing part is one that there was no memory for. */
static bool is_whole(const json_t *tasks, const pinion__wisdom_table *table)
{
    bool whole = json_object_size(tasks) == table->count;
    for (size_t i = 0; whole && i < table->count; i++) {
        const json_t *entry = json_object_get(tasks, table->entries[i].key);
        whole = json_object_size(json_object_get(entry, "times")) == table->entries[i].count;
    }
    return whole;
}

int pinion__wisdom_print(const pinion__wisdom_table *table, const pinion__machine *machine, char **out)
{
    pinion_context *ctx = table->ctx;
    int status = PINION_OK;
    json_t *tasks = json_object();
    for (size_t i = 0; i < table->count; i++)
        json_object_set_new(tasks, table->entries[i].key, print_entry(&table->entries[i]));
    bool whole = is_whole(tasks, table);
    json_t *root = json_pack("{s:s, s:i, s:{s:s, s:i, s:s, s:s, s:s}, s:o}", "format", FORMAT, "version", (int)VERSION,
                             "machine", "cpu", machine->cpu, "processors", machine->processors, "isa", machine->isa,
                             "library", machine->library, "kernels", machine->kernels, "tasks", tasks);
    char *text = root && whole ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) : NULL;
    PINION_FAIL_IF(!text, PINION_ENOMEM, "out of memory: the text of %zu measured tasks", table->count);
    *out = text;
fail:
    json_decref(root);
    return status;
}
