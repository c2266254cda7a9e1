/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing hand-overs (plan/hand_over_costs.h). What a hand-over costs in a step is more than the call: the side that
 * takes over has slept and is woken, and so is the other side when it comes back. So a crossing is timed: a block of
 * each size goes to the device, a task runs there, the block comes back, and the host waits for it as the executor
 * does; both ways share what that took beyond the task. Before that the host works for a while and writes the block, so
 * that there is something in its caches to write back. Medians of a few rounds are kept; the line through the sizes
 * minimises squares of relative errors, since what matters at small sizes is the fixed part.
 */
#include "plan/hand_over_costs.h"

#include "base/clock.h"
#include "net/text.h"
#include "plan/caches.h"
#include "plan/candidates.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum {
    SIZES = 4,
    ROUNDS = 9,
    HOST = PINION__HELD_BY_HOST,
    DEVICE = PINION__HELD_BY_DEVICE,
    BOTH = PINION__HELD_BY_BOTH
};

static const size_t sizes[SIZES] = {4 << 10, 64 << 10, 1 << 20, 8 << 20};
static const int64_t rest_ns = 500000;
static const double guess_fixed_ms = 0.1, guess_bytes_a_ms = 5e6;
static const char name[] = "hand_over"; /* in the place of a kernel's */

/* There and back. Where memory is mapped the host's bytes pass to the device as a whole. */
static const int mapped_ways[][4] = {
    {HOST, DEVICE, DEVICE, BOTH}, {BOTH, DEVICE, DEVICE, HOST}, {BOTH, HOST, HOST, HOST}};
static const int copied_ways[][4] = {
    {HOST, DEVICE, DEVICE, BOTH}, {BOTH, DEVICE, DEVICE, HOST}, {BOTH, HOST, HOST, HOST}, {HOST, BOTH, BOTH, BOTH}};

static const char *const holder_names[PINION__HOLDERS] = {"host", "device", "both"};

static pinion__processor *find_device(const pinion_plan *plan)
{
    for (int p = 0; p < plan->processor_count; p++)
        if (plan->processors[p]->domain)
            return plan->processors[p];
    return NULL;
}

/* "hand_over host device bytes=4096 opencl '…' cores=1" */
static int make_key(const pinion__processor *by, int from, int to, size_t bytes, char **out)
{
    pinion_context *ctx = by->ctx;
    int status = PINION_OK;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, "hand_over %s %s bytes=%zu ", holder_names[from], holder_names[to], bytes));
    PINION_TRY(pinion__candidates_add_processor(by, &text));
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

/* ---- the line ---- */

/* The line through ms[size], of which those that are not finite do not count; false: too few do. */
static bool fit(const double ms[SIZES], pinion__hand_over_cost *out)
{
    double w = 0, x = 0, y = 0, xx = 0, xy = 0;
    int count = 0;
    for (int i = 0; i < SIZES; i++) {
        if (!isfinite(ms[i]))
            continue;
        double at = (double)sizes[i], weight = 1 / fmax(ms[i] * ms[i], 1e-12);
        w += weight, x += weight * at, y += weight * ms[i], xx += weight * at * at, xy += weight * at * ms[i];
        count++;
    }
    if (count < 2)
        return false;
    double slope = (w * xy - x * y) / (w * xx - x * x);
    slope = slope > 0 ? slope : 0;
    double fixed = (y - slope * x) / w;
    *out = (pinion__hand_over_cost){.fixed_ms = fixed > 0 ? fixed : 0, .ms_per_byte = slope};
    return true;
}

/* Fits what wisdom knows. *known: all of it. */
static int look_up(pinion_plan *plan, const pinion__processor *by, pinion__wisdom *wisdom, bool *known)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    bool copies = by->domain->copies;
    *known = true;
    for (int from = 0; from < PINION__HOLDERS; from++)
        for (int to = 0; to < PINION__HOLDERS; to++) {
            pinion__hand_over_cost *cost = &plan->hand_over_costs.at[from][to];
            double ms[SIZES];
            for (int i = 0; i < SIZES; i++) {
                char *key = NULL;
                PINION_TRY(make_key(by, from, to, sizes[i], &key));
                ms[i] = wisdom ? pinion__wisdom_get(wisdom, key, name) : (double)NAN;
                pinion__release(ctx, key);
            }
            bool used = from != to && (copies || from != HOST || to != BOTH);
            if (from != to && !fit(ms, cost)) {
                *cost = (pinion__hand_over_cost){guess_fixed_ms, copies ? 1 / guess_bytes_a_ms : 0};
                *known = *known && !used;
            }
        }
fail:
    return status;
}

/* ---- measuring ---- */

/* What is passed on, and the task between two hand-overs. */
typedef struct ferry {
    pinion__processor *by;
    pinion__memory *memory;
    pinion__caches caches; /* whose addition is the task */
    pinion__hand_over_args there, back;
    bool task;      /* it runs in between */
    double task_ms; /* alone */
} ferry;

/* Passes the block on, untimed. */
static int pass_on(ferry *f, int from, int to)
{
    pinion__hand_over_args args = f->there;
    args.from = (enum pinion__holder)from;
    args.to = (enum pinion__holder)to;
    return from == to ? PINION_OK : f->by->class_->run(f->by, pinion__hand_over, &args);
}

/* From the host to where a way begins; a block that both hold has been at the device. */
static int bring(ferry *f, int to)
{
    pinion_context *ctx = f->by->ctx;
    int status = PINION_OK;
    if (to != HOST)
        PINION_TRY(pass_on(f, HOST, DEVICE));
    if (to == BOTH)
        PINION_TRY(pass_on(f, DEVICE, BOTH));
fail:
    return status;
}

static int send_home(ferry *f, int from)
{
    return pass_on(f, from, HOST);
}

/* One submission: there, task, back. */
static void cross(const void *argument)
{
    const ferry *f = argument;
    pinion__hand_over(&f->there);
    if (f->task)
        pinion__caches_add(&f->caches);
    pinion__hand_over(&f->back);
}

/* The host works before it hands over, long enough for the device's threads to fall asleep, and writes the block. */
static void work(const ferry *f)
{
    const int64_t until = pinion__now_ns() + rest_ns;
    do
        memset(f->memory->host, (int)(until & 1), f->there.bytes);
    while (pinion__now_ns() < until);
}

static double time_crossing(const ferry *f)
{
    if (f->there.from == PINION__HELD_BY_HOST)
        work(f);
    else
        nanosleep(&(struct timespec){.tv_nsec = rest_ns}, NULL);
    int64_t start = pinion__now_ns();
    int status = pinion__caches_submit(&f->caches, cross, f);
    double ms = (double)(pinion__now_ns() - start) * 1e-6;
    return status < 0 ? (double)NAN : ms - (f->task ? f->task_ms : 0);
}

/* A way there and a way back, which share what both of them cost together; back equal to there: one way, without a task
 * behind it. */
static int time_way(pinion__wisdom *wisdom, ferry *f, const int way[4])
{
    pinion_context *ctx = f->by->ctx;
    int status = PINION_OK;
    double samples[ROUNDS];
    bool single = way[2] == way[3];
    char *key = NULL;
    f->there.from = (enum pinion__holder)way[0], f->there.to = (enum pinion__holder)way[1];
    f->back.from = (enum pinion__holder)way[2], f->back.to = (enum pinion__holder)way[3];
    f->task = !single;
    for (int i = -1; i < ROUNDS; i++) {
        PINION_TRY(bring(f, way[0]));
        double ms = time_crossing(f);
        PINION_FAIL_IF(isnan(ms), PINION_EDEVICE, "%s", pinion_context_error(ctx));
        PINION_TRY(send_home(f, single ? way[1] : way[3]));
        if (i >= 0)
            samples[i] = ms;
    }
    double ms = fmax(pinion__summarise(samples, ROUNDS).median, 2e-6);
    for (int i = 0; i < (single ? 1 : 2); i++) {
        PINION_TRY(make_key(f->by, way[2 * i], way[2 * i + 1], f->there.bytes, &key));
        status = pinion__wisdom_note(wisdom, key, name, single ? ms : ms / 2, ROUNDS);
        pinion__release(ctx, key);
        key = NULL;
        PINION_TRY(status);
    }
fail:
    pinion__release(ctx, key);
    return status;
}

static int measure_size(pinion__wisdom *wisdom, ferry *f, size_t bytes)
{
    pinion_context *ctx = f->by->ctx;
    int status = PINION_OK;
    bool copies = f->by->domain->copies;
    const int(*ways)[4] = copies ? copied_ways : mapped_ways;
    size_t count = copies ? sizeof copied_ways / sizeof *copied_ways : sizeof mapped_ways / sizeof *mapped_ways;
    f->there = (pinion__hand_over_args){.memory = f->memory, .by = f->by, .bytes = bytes, .contents = true};
    PINION_TRY(pinion__memory_span(f->memory, 0, bytes, &f->there.span));
    f->back = f->there;
    for (size_t i = 0; i < count; i++)
        PINION_TRY(time_way(wisdom, f, ways[i]));
fail:
    return status;
}

static int measure(pinion__wisdom *wisdom, ferry *f)
{
    pinion_context *ctx = f->by->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__memory_create(f->by->domain, sizes[SIZES - 1], &f->memory));
    PINION_TRY(pinion__caches_init(&f->caches, f->by));
    f->task_ms = pinion__caches_task_ms(&f->caches);
    for (int i = 0; i < SIZES; i++)
        PINION_TRY(measure_size(wisdom, f, sizes[i]));
fail:
    pinion__caches_fini(&f->caches);
    pinion__memory_destroy(f->memory);
    return status;
}

void pinion__hand_over_costs_look_up(pinion_plan *plan, pinion__wisdom *wisdom)
{
    const pinion__processor *by = find_device(plan);
    bool known;
    memset(&plan->hand_over_costs, 0, sizeof plan->hand_over_costs);
    if (!by)
        return;
    plan->hand_over_costs.copies = by->domain->copies;
    (void)look_up(plan, by, wisdom, &known); /* out of memory: the guess, or zero */
}

int pinion__hand_over_costs_measure(pinion_plan *plan, pinion__wisdom *wisdom, enum pinion_patience patience,
                                    bool *measured)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    bool known = true;
    ferry f = {.by = find_device(plan)};
    *measured = false;
    if (!f.by || patience == PINION_PATIENCE_ESTIMATE)
        return PINION_OK;
    PINION_TRY(look_up(plan, f.by, wisdom, &known));
    if (known)
        return PINION_OK;
    if (measure(wisdom, &f) < 0)
        pinion__log(ctx, PINION_LOG_WARNING, "%s: hand-overs are not measured", pinion_context_error(ctx));
    *measured = true;
    PINION_TRY(look_up(plan, f.by, wisdom, &known));
fail:
    return status;
}
