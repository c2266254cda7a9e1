/* SPDX-License-Identifier: Apache-2.0
 *
 * A context's wisdom and its file (plan/wisdom.h). The context's lock covers the table; the file has its writer's lock,
 * which is held from before it is read once more until its replacement is in place, so that no process loses what
 * another has measured.
 */
#include "plan/wisdom.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/frequency.h"
#include "net/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BYTES = 16 << 20, LOCK_TRIES = 100, LOCK_WAIT_NS = 20 * 1000 * 1000 };

struct pinion__wisdom {
    pinion_context *ctx;
    pinion__wisdom_table table;
    pinion__machine machine;
    char *path;  /* NULL: there is no file */
    bool off;    /* by PINION_WISDOM */
    bool own;    /* the path is the library's choice: its folders are made */
    bool warned; /* that it cannot be written */
};

static void destroy(void *user)
{
    pinion__wisdom *wisdom = user;
    pinion_context *ctx = wisdom->ctx;
    pinion__wisdom_table_fini(&wisdom->table);
    pinion__release(ctx, wisdom->path);
    pinion__release(ctx, wisdom);
}

static bool is_off(void)
{
    const char *given = getenv("PINION_WISDOM");
    return given && strcmp(given, "off") == 0;
}

/* A relative XDG_CACHE_HOME counts as none: XDG Base Directory Specification 0.8. */
static int find_path(pinion__wisdom *wisdom)
{
    pinion_context *ctx = wisdom->ctx;
    int status = PINION_OK;
    const char *given = getenv("PINION_WISDOM"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    pinion__text path = {.ctx = ctx};
    wisdom->off = is_off();
    if (wisdom->off)
        return PINION_OK;
    wisdom->own = !given || !*given;
    if (!wisdom->own)
        PINION_TRY(pinion__text_add(&path, "%s", given));
    else if (cache && cache[0] == '/')
        PINION_TRY(pinion__text_add(&path, "%s/pinion/wisdom.json", cache));
    else if (home && home[0] == '/')
        PINION_TRY(pinion__text_add(&path, "%s/.cache/pinion/wisdom.json", home));
    wisdom->path = path.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, path.bytes);
    return status;
}

/* Adds what the file holds. A file that is not there holds nothing. */
static int read_file(const pinion__wisdom *wisdom, pinion__wisdom_table *table)
{
    pinion_context *ctx = wisdom->ctx;
    int status = PINION_OK;
    struct stat info;
    pinion__file file = {0};
    if (stat(wisdom->path, &info) != 0)
        return PINION_OK;
    PINION_TRY(pinion__file_open(ctx, wisdom->path, &file));
    PINION_FAIL_IF(file.bytes > MAX_BYTES, PINION_EFORMAT, "%s: is damaged: %zu bytes are more than a wisdom file has",
                   wisdom->path, file.bytes);
    PINION_TRY(pinion__wisdom_parse(ctx, wisdom->path, file.data, file.bytes, &wisdom->machine, table));
fail:
    pinion__file_close(&file);
    return status;
}

/* Under the context's lock. */
static int create(pinion_context *ctx, pinion__wisdom **out)
{
    int status = PINION_OK;
    pinion__wisdom *wisdom = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *wisdom, "measured times", &wisdom));
    wisdom->ctx = ctx;
    wisdom->table.ctx = ctx;
    PINION_TRY(find_path(wisdom));
    if (wisdom->path) {
        pinion__machine_describe(&wisdom->machine);
        status = read_file(wisdom, &wisdom->table);
        if (status == PINION_EFORMAT) {
            pinion__log(ctx, PINION_LOG_WARNING, "%s: measured times in it are ignored", pinion_context_error(ctx));
            status = PINION_OK;
        }
        PINION_TRY(status);
    }
    *out = wisdom;
    return PINION_OK;
fail:
    if (wisdom)
        destroy(wisdom);
    return status;
}

int pinion__wisdom_open(pinion_context *ctx, bool keep, pinion__wisdom **out)
{
    int status = PINION_OK;
    pinion__wisdom *wisdom = NULL;
    pthread_mutex_lock(&ctx->wisdom_lock);
    if (!ctx->wisdom && (keep || !is_off())) {
        PINION_TRY(create(ctx, &wisdom));
        ctx->wisdom = wisdom;
        ctx->destroy_wisdom = destroy;
    }
    *out = ctx->wisdom;
fail:
    pthread_mutex_unlock(&ctx->wisdom_lock);
    return status;
}

void pinion__wisdom_look_up(pinion__wisdom *wisdom, pinion_plan *plan, pinion__record *record)
{
    pthread_mutex_lock(&wisdom->ctx->wisdom_lock);
    const pinion__wisdom_entry *entry = pinion__wisdom_find(&wisdom->table, record->key);
    int known = 0;
    for (int i = 0; entry && i < record->count; i++) {
        pinion__candidate *candidate = &plan->candidates[record->first + i];
        const pinion__wisdom_time *time = pinion__wisdom_find_time(entry, candidate->kernel->name);
        if (!time)
            continue;
        candidate->ms = time->ms;
        candidate->repetitions = time->repetitions;
        known++;
    }
    record->level = entry && known == record->count ? entry->level : PINION_PATIENCE_ESTIMATE;
    pthread_mutex_unlock(&wisdom->ctx->wisdom_lock);
}

int pinion__wisdom_keep(pinion__wisdom *wisdom, const pinion_plan *plan, const pinion__record *record,
                        enum pinion_patience level)
{
    pinion_context *ctx = wisdom->ctx;
    int status = PINION_OK;
    const int64_t khz = pinion__cpu_khz("", plan->processors[record->processor]->core_mask);
    pthread_mutex_lock(&ctx->wisdom_lock);
    for (int i = 0; i < record->count && strlen(record->key) <= PINION__WISDOM_KEY_MAX; i++) {
        const pinion__candidate *candidate = &plan->candidates[record->first + i];
        pinion__wisdom_time time = {.ms = candidate->ms, .repetitions = candidate->repetitions, .khz = khz};
        size_t length = strlen(candidate->kernel->name);
        if (!isfinite(candidate->ms) || length > PINION__WISDOM_NAME_MAX)
            continue;
        memcpy(time.kernel, candidate->kernel->name, length);
        PINION_TRY(pinion__wisdom_put(&wisdom->table, record->key, level, &time));
    }
fail:
    pthread_mutex_unlock(&ctx->wisdom_lock);
    return status;
}

double pinion__wisdom_get(pinion__wisdom *wisdom, const char *key, const char *name)
{
    pthread_mutex_lock(&wisdom->ctx->wisdom_lock);
    const pinion__wisdom_entry *entry = pinion__wisdom_find(&wisdom->table, key);
    const pinion__wisdom_time *time = entry ? pinion__wisdom_find_time(entry, name) : NULL;
    double ms = time ? time->ms : (double)NAN;
    pthread_mutex_unlock(&wisdom->ctx->wisdom_lock);
    return ms;
}

int pinion__wisdom_note(pinion__wisdom *wisdom, const char *key, const char *name, double ms, int repetitions)
{
    pinion__wisdom_time time = {.ms = ms, .repetitions = repetitions};
    size_t length = strlen(name);
    if (strlen(key) > PINION__WISDOM_KEY_MAX || length > PINION__WISDOM_NAME_MAX)
        return PINION_OK;
    memcpy(time.kernel, name, length);
    pthread_mutex_lock(&wisdom->ctx->wisdom_lock);
    int status = pinion__wisdom_put(&wisdom->table, key, PINION_PATIENCE_MEASURE, &time);
    pthread_mutex_unlock(&wisdom->ctx->wisdom_lock);
    return status;
}

/* The folders above the file, those that are missing. What goes wrong shows when the file is opened. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* Another writer is done in a moment. */
static int begin_writing(const pinion__wisdom *wisdom, pinion__writer **out)
{
    pinion_context *ctx = wisdom->ctx;
    int status = PINION_OK;
    if (wisdom->own)
        make_folders(wisdom->path);
    PINION_TRY(pinion__file_check_writable(ctx, wisdom->path));
    for (int tries = 1; (status = pinion__writer_begin(ctx, wisdom->path, out)) == PINION_EIO && tries < LOCK_TRIES;
         tries++)
        nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_NS}, NULL);
    PINION_TRY(status);
fail:
    return status;
}

static int write_file(const pinion__wisdom *wisdom)
{
    pinion_context *ctx = wisdom->ctx;
    int status = PINION_OK;
    pinion__wisdom_table whole = {.ctx = ctx};
    pinion__writer *writer = NULL;
    char *text = NULL;
    PINION_TRY(begin_writing(wisdom, &writer));
    status = read_file(wisdom, &whole);
    PINION_TRY(status == PINION_EFORMAT ? PINION_OK : status); /* said when it was read first */
    PINION_TRY(pinion__wisdom_merge(&whole, &wisdom->table));
    PINION_TRY(pinion__wisdom_print(&whole, &wisdom->machine, &text));
    PINION_TRY(pinion__writer_write(writer, text, strlen(text)));
    PINION_TRY(pinion__writer_write(writer, "\n", 1));
    pinion__writer *last = writer;
    writer = NULL;
    PINION_TRY(pinion__writer_commit(last));
fail:
    free(text);
    pinion__writer_abort(writer);
    pinion__wisdom_table_fini(&whole);
    return status;
}

void pinion__wisdom_save(pinion__wisdom *wisdom)
{
    pinion_context *ctx = wisdom->ctx;
    if (wisdom->off)
        return;
    pthread_mutex_lock(&ctx->wisdom_lock);
    const char *cause = "neither XDG_CACHE_HOME nor HOME names a folder";
    int status = PINION_EIO;
    if (wisdom->path) {
        status = write_file(wisdom);
        cause = pinion_context_error(ctx);
    }
    if (status < 0 && !wisdom->warned) {
        pinion__log(ctx, PINION_LOG_WARNING, "%s: measured times are not kept", cause);
        wisdom->warned = true;
    }
    pthread_mutex_unlock(&ctx->wisdom_lock);
}
