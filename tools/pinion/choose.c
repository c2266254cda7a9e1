/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs that make plans share: their options, and how far measuring is.
 */
#include "command.h"

#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 24 };
static const double bar_interval_ms = 100, line_interval_ms = 5000;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

void measuring_begin(measuring *state)
{
    *state = (measuring){.terminal = isatty(STDERR_FILENO) == 1};
}

static void draw_bar(measuring *state, int done, int count)
{
    char bar[BAR_WIDTH + 1] = "";
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < BAR_WIDTH * done / count ? '#' : '.';
    fprintf(stderr, "\r");
    state->columns = fprintf(stderr, "[%s] %d/%d  measuring tasks", bar, done, count) - 1;
    fflush(stderr);
}

void measuring_step(void *user, int done, int count)
{
    measuring *state = user;
    double now = now_ms();
    if (done == count)
        measuring_end(state);
    else if (state->last_ms == 0 && !state->terminal)
        fprintf(stderr, "pinion: measuring %d kinds of task, once for this machine\n", count);
    else if (now - state->last_ms < (state->terminal ? bar_interval_ms : line_interval_ms))
        return;
    else if (state->terminal)
        draw_bar(state, done, count);
    else
        fprintf(stderr, "pinion: %d of %d measured\n", done, count);
    state->last_ms = done == count ? 0 : now;
}

void measuring_end(measuring *state)
{
    if (state->columns > 0)
        fprintf(stderr, "\r%*s\r", state->columns, "");
    state->columns = 0;
}

pinion_plan_options choose_plan(const options *given, measuring *shown)
{
    pinion_plan_options chosen = pinion_plan_options_default();
    chosen.mode = given->pass == 0 ? PINION_TRAIN : PINION_INFER;
    chosen.batch = given->batch ? given->batch : 32;
    chosen.patience = (enum pinion_patience)given->patience;
    chosen.memory_limit = memory_limit(given);
    chosen.recompute_share = recompute_share(given);
    chosen.unfused = given->no_fuse;
    chosen.processors = given->processors;
    chosen.place = given->place;
    chosen.width = given->width;
    if (shown) {
        chosen.measuring = measuring_step;
        chosen.measuring_user = shown;
    }
    return chosen;
}
