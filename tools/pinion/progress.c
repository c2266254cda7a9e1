/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress bar, plain lines, and the log of a training.
 */
#include "progress.h"
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 24 };
static const double bar_interval_ms = 100, line_interval_ms = 10000;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

void progress_begin(progress *state)
{
    *state = (progress){.terminal = isatty(STDERR_FILENO) == 1, .last_ms = now_ms()};
}

/* Is the file, up to `keep` bytes, the log of a training that had done `step` steps? Its last line with a step says so.
 */
static bool is_log_of(FILE *log, int64_t keep, int64_t step)
{
    char tail[4096];
    int64_t from = keep > (int64_t)sizeof tail - 1 ? keep - (int64_t)sizeof tail + 1 : 0;
    size_t count = (size_t)(keep - from);
    if (fseeko(log, (off_t)from, SEEK_SET) != 0 || fread(tail, 1, count, log) != count)
        return false;
    tail[count] = '\0';
    if (count == 0)
        return step == 0;
    const char *last = NULL;
    for (const char *at = tail; (at = strstr(at, "{\"step\":")); at++)
        last = at;
    return tail[count - 1] == '\n' && last && strtoll(last + strlen("{\"step\":"), NULL, 10) == step;
}

static int refuse_log(progress *state, const char *path, const char *why)
{
    fprintf(stderr, "pinion: --log: %s %s\n", path, why);
    fclose(state->log);
    state->log = NULL;
    return EXIT_USAGE;
}

int progress_open_log(progress *state, const char *path, int64_t keep, int64_t step)
{
    bool cut = keep >= 0;
    state->log = fopen(path, cut ? "r+" : "w");
    if (!state->log && cut && errno == ENOENT)
        return usage_error("--log: %s is not there: the resumed training's log is continued", path);
    if (!state->log) {
        fprintf(stderr, "pinion: %s: cannot be written: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    if (cut && !is_log_of(state->log, keep, step))
        return refuse_log(state, path, "is not the log of the training that is resumed");
    if (cut && ftruncate(fileno(state->log), (off_t)keep) != 0)
        return refuse_log(state, path, "cannot be cut back to the checkpoint");
    fseek(state->log, 0, SEEK_END);
    return EXIT_DONE;
}

static void wipe_bar(progress *state)
{
    if (state->bar_columns > 0)
        fprintf(stderr, "\r%*s\r", state->bar_columns, "");
    state->bar_columns = 0;
}

int progress_end(progress *state)
{
    wipe_bar(state);
    if (state->log && fclose(state->log) != 0)
        state->log_failed = true;
    state->log = NULL;
    if (state->log_failed)
        fprintf(stderr, "pinion: the log could not be written in full\n");
    return state->log_failed ? EXIT_FAILED : EXIT_DONE;
}

int64_t progress_log_bytes(void *user)
{
    progress *state = user;
    return state->log ? (int64_t)ftello(state->log) : -1;
}

static void log_line(progress *state, json_t *line)
{
    if (state->log && !state->log_failed && line) {
        bool written = json_dumpf(line, state->log, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
        written = written && fputc('\n', state->log) != EOF && fflush(state->log) == 0;
        state->log_failed = !written;
    }
    json_decref(line);
}

/* NULL where a training has one stage. */
static json_t *stage_number(int stage, int stages)
{
    return stages > 1 ? json_integer(stage) : NULL;
}

static json_t *width_list(const pinion_epoch_report *epoch)
{
    json_t *list = epoch->widths ? json_array() : NULL;
    for (int i = 0; i < epoch->widths; i++)
        json_array_append_new(list, json_number(epoch->top1_per_width[i]));
    return list;
}

static void format_time(double seconds, char *buffer, size_t bytes)
{
    long whole = lround(seconds);
    if (whole >= 3600)
        snprintf(buffer, bytes, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(buffer, bytes, "%ld:%02ld", whole / 60, whole % 60);
}

void progress_stage(progress *state, const pinion_stage_report *stage)
{
    wipe_bar(state);
    state->stage[0] = '\0';
    if (stage->stages > 1)
        snprintf(state->stage, sizeof state->stage, "stage %d/%d width %d ", stage->stage, stage->stages, stage->width);
    else if (stage->width)
        snprintf(state->stage, sizeof state->stage, "width %d ", stage->width);
}

void progress_step(void *user, const pinion_step_report *step)
{
    progress *state = user;
    log_line(state, json_pack("{s:I, s:o*, s:I, s:o, s:o, s:o, s:o, s:o}", "step", (json_int_t)step->done, "stage",
                              stage_number(step->stage, step->stages), "epoch", (json_int_t)step->epoch, "loss",
                              json_number((double)step->loss), "lr", json_number((double)step->learning_rate),
                              "step_ms", json_number(step->step_ms), "wait_ms", json_number(step->wait_ms),
                              "images_per_s", json_number(step->images_per_s)));
    state->rate = state->rate > 0 ? 0.9 * state->rate + 0.1 * step->images_per_s : step->images_per_s;

    double now = now_ms(), interval = state->terminal ? bar_interval_ms : line_interval_ms;
    if (now - state->last_ms < interval)
        return;
    state->last_ms = now;
    double batch = step->images_per_s * step->step_ms * 1e-3;
    char left[32];
    format_time(state->rate > 0 ? (double)(step->steps - step->step) * batch / state->rate : 0, left, sizeof left);
    if (!state->terminal) {
        fprintf(stderr, "%sstep %lld/%lld loss %.4f %.1f images/s %s left\n", state->stage, (long long)step->step,
                (long long)step->steps, (double)step->loss, state->rate, left);
        return;
    }
    char bar[BAR_WIDTH + 1];
    int filled = (int)(BAR_WIDTH * step->step / (step->steps > 0 ? step->steps : 1));
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    wipe_bar(state);
    state->bar_columns = fprintf(stderr, "%s[%s] %lld/%lld  loss %.4f  %.1f images/s  %s left", state->stage, bar,
                                 (long long)step->step, (long long)step->steps, (double)step->loss, state->rate, left);
    fflush(stderr);
}

void progress_epoch(void *user, const pinion_epoch_report *epoch)
{
    progress *state = user;
    log_line(state, json_pack("{s:I, s:I, s:o*, s:o, s:o, s:o*, s:o, s:o, s:o}", "epoch", (json_int_t)epoch->epoch,
                              "epochs", (json_int_t)epoch->epochs, "stage", stage_number(epoch->stage, epoch->stages),
                              "loss", json_number(epoch->loss), "top1", json_number(epoch->top1), "top1_per_width",
                              width_list(epoch), "validation_top1", json_number(epoch->validation_top1), "seconds",
                              json_number(epoch->seconds), "wait_share", json_number(epoch->wait_share)));
    wipe_bar(state);
    char top1[32] = "unavailable", time[32];
    if (isfinite(epoch->top1))
        snprintf(top1, sizeof top1, "%.2f", epoch->top1);
    format_time(epoch->seconds, time, sizeof time);
    fprintf(stderr, "%sepoch %lld/%lld loss %.4f top1 %s", state->stage, (long long)epoch->epoch,
            (long long)epoch->epochs, epoch->loss, top1);
    for (int i = 0; i < epoch->widths && epoch->widths > 1; i++)
        fprintf(stderr, "%s%.2f", i ? " " : " widths ", epoch->top1_per_width[i]);
    fprintf(stderr, " time %s\n", time);
}

void progress_changed(void *user, const pinion_change_report *change)
{
    progress *state = user;
    wipe_bar(state);
    if (change->failed) {
        if (state->log && change->log_bytes >= 0 &&
            (fflush(state->log) != 0 || ftruncate(fileno(state->log), (off_t)change->log_bytes) != 0))
            state->log_failed = true;
        if (state->log)
            fseeko(state->log, 0, SEEK_END);
        fprintf(stderr, "pinion: %s; training goes on without it from step %lld, %lld steps are repeated\n",
                change->cause, (long long)change->step, (long long)change->repeated);
    } else {
        fprintf(stderr, "pinion: %s: planned anew after step %lld, %.1f ms predicted\n", change->cause,
                (long long)change->step, change->predicted_ms);
    }
    log_line(state, json_pack("{s:s, s:s*, s:s, s:I, s:I, s:o}", "plan", "changed", "failed", change->failed, "cause",
                              change->cause, "from", (json_int_t)change->step, "repeated", (json_int_t)change->repeated,
                              "predicted_ms", json_number(change->predicted_ms)));
}
