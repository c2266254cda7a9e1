/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference until a deadline. Groups run one after the other; before each but the first stands the question whether it
 * would end in time. How long it takes is forecast as a share of what the groups before it have just taken: so a spell
 * in which everything is slow is known at once. The share is that of the last runs; before there were any, the plan's
 * times (or, where they are not known, multiply-adds) tell it. What follows the last group until the call returns is
 * forecast as well. The first run of a group that has just been prepared, from cold caches, is no observation.
 *
 * A batch in micro-batches has an answer when each of them has: a group runs if, at the forecast times, all that are
 * left can come as far. No micro-batch goes further than those before it; the answers of all widths are kept.
 */
#include "base/clock.h"
#include "run/state.h"

#include <math.h>
#include <string.h>

static const double unsure = 1.25; /* on times that were not observed so */

typedef struct call {
    pinion_runner *runner;
    const pinion_anytime_options *options;
    const float *images;
    float *logits;
    int count, parts;
    int width; /* no group beyond it runs */
    enum pinion_stop stopped;
    int64_t begin;
    double elapsed_ms; /* when the clock was last read */
    double part_ms;    /* the groups of the present micro-batch that have run */
} call;

void pinion__runner_set_clock(pinion_runner *runner, int64_t (*clock)(void *user), void *user)
{
    runner->clock = clock;
    runner->clock_user = user;
}

static int64_t now_ns(const pinion_runner *runner)
{
    return runner->clock ? runner->clock(runner->clock_user) : pinion__now_ns();
}

/* Since the call. A clock that is set back stands still. */
static double read_clock(call *c)
{
    const int64_t now = now_ns(c->runner);
    if (now > c->begin)
        c->elapsed_ms = fmax(c->elapsed_ms, 1e-6 * (double)((uint64_t)now - (uint64_t)c->begin));
    return c->elapsed_ms;
}

/* ---- forecasts ---- */

void pinion__runner_plan_times(pinion_runner *runner)
{
    const pinion_plan *plan = runner->plan;
    double ms[PINION_MAX_GROUPS] = {0}, macs[PINION_MAX_GROUPS] = {0};
    bool known = true;
    for (int t = plan->prologue, group = 0; t < (int)plan->task_count && plan->width; t++) {
        while (group + 1 < plan->width && t >= plan->width_end[group])
            group++;
        pinion_task_info info;
        if (plan->tasks[t].hand_over.present || pinion_plan_get_task(plan, t, &info) < 0)
            continue;
        known = known && isfinite(info.ms);
        ms[group] += info.ms;
        macs[group] += plan->tasks[t].macs;
    }
    double before = 0;
    for (int group = 0; group < plan->width; group++) {
        const double planned = known ? ms[group] : macs[group];
        runner->groups[group].forecast.expected = before > 0 ? unsure * planned / before : unsure;
        before += planned;
    }
}

/* How long a group takes beside those before it. */
static double share_of(const pinion_runner *runner, int group)
{
    const pinion__group *of = &runner->groups[group];
    const double share = pinion__forecast_of(&of->forecast);
    if (share > 0)
        return of->is_warm ? share : unsure * share;
    return of->forecast.expected;
}

/* Until the call returns with an answer that has the next group, too, if that runs now in micro-batch `part` and takes
 * such a share. */
static double left_ms(const call *c, int part, double share)
{
    const int parts = c->parts - part;
    const double group = share * c->part_ms, tail = pinion__forecast_of(&c->runner->tail);
    return group + (parts - 1) * (c->part_ms + group) + parts * tail;
}

static bool is_in_time(const call *c, int part, int group)
{
    const double deadline = c->options->deadline_ms;
    pinion__forecast *forecast = &c->runner->groups[group].forecast;
    if (deadline == 0 || group == 0 || c->elapsed_ms + left_ms(c, part, share_of(c->runner, group)) <= deadline)
        return true;
    if (c->elapsed_ms + left_ms(c, part, forecast->low) <= deadline)
        pinion__forecast_leave_out(forecast);
    return false;
}

/* ---- running ---- */

/* Where the logits of a width go. */
static float *answer_of(const call *c, int width)
{
    const pinion_runner *runner = c->runner;
    const size_t row = pinion__infer_row(runner->plan), batch = (size_t)runner->plan->options.batch;
    return runner->answers ? runner->answers + row * batch * (size_t)(width - 1) : c->logits;
}

static bool is_row_sure(const float *logits, size_t classes, double margin)
{
    double best = -(double)INFINITY, second = best, sum = 0;
    for (size_t i = 0; i < classes; i++) {
        const double value = (double)logits[i];
        second = value > best ? best : fmax(second, value);
        best = fmax(best, value);
    }
    for (size_t i = 0; i < classes; i++)
        sum += exp((double)logits[i] - best);
    return (1.0 - exp(second - best)) / sum >= margin;
}

static bool is_sure(const call *c, const float *logits)
{
    const size_t row = pinion__infer_row(c->runner->plan);
    bool sure = c->options->margin > 0;
    for (int i = 0; i < c->count && sure; i++)
        sure = is_row_sure(logits + row * (size_t)i, row, (double)c->options->margin);
    return sure;
}

/* The whole batch has an answer of this width. */
static void show(call *c, int width)
{
    const float *logits = answer_of(c, width);
    if (c->options->answer)
        c->options->answer(c->options->user, width, logits);
    if (width < c->width && is_sure(c, logits)) {
        c->width = width;
        c->stopped = PINION_STOP_MARGIN;
    }
}

/* From `begin_ms` on. */
static int run_group(call *c, const pinion__part *part, int group, double begin_ms)
{
    pinion_runner *runner = c->runner;
    pinion_context *ctx = runner->ctx;
    pinion__group *of = &runner->groups[group];
    int status = PINION_OK;
    const size_t at = pinion__infer_row(runner->plan) * (size_t)(part->index * runner->plan->samples);
    PINION_TRY(pinion__infer_groups(runner, group, group + 1));
    PINION_TRY(pinion__infer_answer(runner, group + 1, part, answer_of(c, group + 1) + at));
    if (part->index + 1 == c->parts)
        show(c, group + 1);
    const double ms = read_clock(c) - begin_ms;
    if (of->is_warm && group > 0)
        pinion__forecast_note(&of->forecast, ms / c->part_ms);
    of->is_warm = true;
    c->part_ms += ms;
fail:
    return status;
}

static int run_part(call *c, int index)
{
    pinion_context *ctx = c->runner->ctx;
    int status = PINION_OK;
    const pinion__part part = pinion__infer_part(c->runner, c->images, index, c->count);
    double begin_ms = read_clock(c);
    c->part_ms = 0;
    pinion__infer_begin_part(c->runner, &part);
    for (int group = 0; group < c->width; group++, begin_ms = c->elapsed_ms) {
        if (!is_in_time(c, index, group)) {
            c->width = group;
            c->stopped = PINION_STOP_DEADLINE;
            break;
        }
        PINION_TRY(run_group(c, &part, group, begin_ms));
    }
    PINION_TRY(pinion__infer_end_part(c->runner));
fail:
    return status;
}

static int run_parts(call *c)
{
    pinion_runner *runner = c->runner;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__runner_begin(runner));
    PINION_TRY(pinion__runner_choose_input(runner, c->images));
    PINION_TRY(pinion__infer_prepare(runner, c->width));
    for (int i = 0; i < c->parts; i++)
        PINION_TRY(run_part(c, i));
    pinion__runner_finish(runner);
    if (runner->answers)
        memcpy(c->logits, answer_of(c, c->width), sizeof(float) * pinion__infer_row(runner->plan) * (size_t)c->count);
fail:
    return status;
}

static int check_options(const pinion_runner *runner, const pinion_anytime_options *options)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!options, PINION_EINVAL, "pinion_runner_infer_anytime: expected options");
    PINION_FAIL_IF(runner->plan->width == 0, PINION_EINVAL,
                   "pinion_runner_infer_anytime: network '%s' is not cut into groups", runner->plan->network->name);
    PINION_FAIL_IF(!(options->deadline_ms >= 0), PINION_EINVAL,
                   "pinion_runner_infer_anytime: the deadline is %g ms; expected at least 0", options->deadline_ms);
    PINION_FAIL_IF(!(options->margin >= 0 && options->margin <= 1), PINION_EINVAL,
                   "pinion_runner_infer_anytime: the margin is %g; expected 0 to 1", (double)options->margin);
fail:
    return status;
}

int pinion_runner_infer_anytime(pinion_runner *runner, const float *images, int count,
                                const pinion_anytime_options *options, float *logits, pinion_anytime_result *result)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    call c = {.runner = runner, .options = options, .images = images, .logits = logits, .count = count};
    c.begin = now_ns(runner);
    PINION_TRY(pinion__infer_check(runner, "pinion_runner_infer_anytime", images, count, logits));
    PINION_TRY(check_options(runner, options));
    PINION_TRY(pinion__runner_take_width(runner, &c.width));
    c.parts = (count + runner->plan->samples - 1) / runner->plan->samples;
    pinion__executor_keep_awake(runner->executor, true);
    status = run_parts(&c);
    pinion__executor_keep_awake(runner->executor, false);
    PINION_TRY(status);
    const double answered_ms = c.elapsed_ms, ms = read_clock(&c);
    pinion__forecast_note(&runner->tail, ms - answered_ms);
    if (result)
        *result = (pinion_anytime_result){.width = c.width,
                                          .stopped = c.stopped,
                                          .ms = ms,
                                          .late = options->deadline_ms > 0 && ms > options->deadline_ms};
fail:
    return status;
}
