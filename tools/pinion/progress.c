/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress bar, plain lines, and the log of a training.
 */
#include "progress.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
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

int progress_open_log(progress *state, const char *path, bool resumed, int64_t keep)
{
    state->log = fopen(path, resumed ? "a" : "w");
    if (!state->log) {
        fprintf(stderr, "pinion: %s: cannot be written: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    struct stat info;
    if (resumed && keep >= 0 && fstat(fileno(state->log), &info) == 0) {
        if (info.st_size < keep)
            fprintf(stderr, "pinion: warning: %s is shorter than at the checkpoint: its lines are appended to\n", path);
        else if (ftruncate(fileno(state->log), (off_t)keep) != 0)
            fprintf(stderr, "pinion: warning: %s cannot be cut back to the checkpoint: %s\n", path, strerror(errno));
    }
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

/* A number, or null where there is none. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void format_time(double seconds, char *buffer, size_t bytes)
{
    long whole = lround(seconds);
    if (whole >= 3600)
        snprintf(buffer, bytes, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(buffer, bytes, "%ld:%02ld", whole / 60, whole % 60);
}

void progress_step(void *user, const pinion_step_report *step)
{
    progress *state = user;
    log_line(state, json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "step", (json_int_t)step->step, "epoch",
                              (json_int_t)step->epoch, "loss", number((double)step->loss), "lr",
                              number((double)step->learning_rate), "step_ms", number(step->step_ms), "wait_ms",
                              number(step->wait_ms), "images_per_s", number(step->images_per_s)));
    state->rate = state->rate > 0 ? 0.9 * state->rate + 0.1 * step->images_per_s : step->images_per_s;

    double now = now_ms(), interval = state->terminal ? bar_interval_ms : line_interval_ms;
    if (now - state->last_ms < interval)
        return;
    state->last_ms = now;
    double batch = step->images_per_s * step->step_ms * 1e-3;
    char left[32];
    format_time(state->rate > 0 ? (double)(step->steps - step->step) * batch / state->rate : 0, left, sizeof left);
    if (!state->terminal) {
        fprintf(stderr, "step %lld/%lld loss %.4f %.1f images/s %s left\n", (long long)step->step,
                (long long)step->steps, (double)step->loss, state->rate, left);
        return;
    }
    char bar[BAR_WIDTH + 1];
    int filled = (int)(BAR_WIDTH * step->step / (step->steps > 0 ? step->steps : 1));
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    wipe_bar(state);
    state->bar_columns = fprintf(stderr, "[%s] %lld/%lld  loss %.4f  %.1f images/s  %s left", bar,
                                 (long long)step->step, (long long)step->steps, (double)step->loss, state->rate, left);
    fflush(stderr);
}

void progress_epoch(void *user, const pinion_epoch_report *epoch)
{
    progress *state = user;
    log_line(state, json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "epoch", (json_int_t)epoch->epoch, "epochs",
                              (json_int_t)epoch->epochs, "loss", number(epoch->loss), "top1", number(epoch->top1),
                              "validation_top1", number(epoch->validation_top1), "seconds", number(epoch->seconds)));
    wipe_bar(state);
    char top1[32] = "unavailable", time[32];
    if (isfinite(epoch->top1))
        snprintf(top1, sizeof top1, "%.2f", epoch->top1);
    format_time(epoch->seconds, time, sizeof time);
    fprintf(stderr, "epoch %lld/%lld loss %.4f top1 %s time %s\n", (long long)epoch->epoch, (long long)epoch->epochs,
            epoch->loss, top1, time);
}
