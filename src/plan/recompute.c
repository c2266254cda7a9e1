/* SPDX-License-Identifier: Apache-2.0
 *
 * Which activations are dropped after the forward pass and computed once more in the backward pass (Chen et al.:
 * "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174; for graphs and costs of any kind Jain et al.:
 * "Checkmate", MLSys 2020, which solves an integer program).
 *
 * Here it is a descent: one storage after another is dropped, or kept again, whichever saves most per second that it
 * costs. What a change saves is measured by the excess, the sum over all tasks of the live bytes above a level that
 * follows the peak down; the peak alone says nothing where several changes are needed to lower it. Forms may need other
 * forms, and those may need room: all that is in the walk (plan/rewrite.h), nothing is estimated but time. A few levels
 * give a few descents. None of them depends on the limit: a descent ends at the first plan that fits, so a smaller
 * limit only means to go further, and the smallest arena of all descents is the smallest that any limit can ask for.
 *
 * Instead of a limit on memory there may be one on the time that recomputation takes. Then a descent ends where that is
 * used up, and the smallest arena of all counts.
 *
 * From the plan that fits, dropped storages are kept again, the dearest first, as long as the layout fits. The cheapest
 * of the descents' results is taken.
 */
#include "plan/rewrite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 4, TRIALS = 48 }; /* of a round: those that looked best when they were tried last */

static const double levels[LEVELS] = {0.97, 0.9, 0.75, 0.5}; /* of the peak */

typedef struct candidate {
    int storage;
    double score; /* when it was tried last */
} candidate;

typedef struct search {
    pinion_context *ctx;
    pinion__rewrite r;
    size_t limit;   /* of the arena */
    double seconds; /* limit of what recomputation takes */
    candidate *candidates;
    int count;
    bool *dropped, *start, *best, *smallest; /* per storage */
    double best_seconds;                     /* INFINITY: nothing fits yet */
    size_t smallest_arena;
} search;

/* ---- one descent ---- */

typedef struct state {
    double seconds;
    size_t peak, level;
    double excess;
} state;

static double excess_over(const pinion__rewrite *r, size_t level)
{
    double sum = 0;
    for (size_t t = 0; t < r->step_count; t++)
        sum += r->live[t] > level ? (double)(r->live[t] - level) : 0;
    return sum;
}

/* Walks as things are. */
static int look(search *s, size_t level, state *out, bool *possible)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__rewrite_walk(&s->r, s->dropped));
    *possible = s->r.possible;
    *out = (state){.seconds = s->r.seconds, .peak = s->r.peak, .level = level, .excess = excess_over(&s->r, level)};
fail:
    return status;
}

/* What changing one storage is worth; -INFINITY: nothing. */
static int try_change(search *s, const state *now, int storage, double *score)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    state then;
    bool possible;
    s->dropped[storage] = !s->dropped[storage];
    status = look(s, now->level, &then, &possible);
    s->dropped[storage] = !s->dropped[storage];
    PINION_TRY(status);
    double gain = now->excess - then.excess, cost = then.seconds - now->seconds;
    *score = -(double)INFINITY;
    if (!possible || then.peak > now->peak)
        return PINION_OK;
    if (cost < 0 && gain >= 0)
        *score = (double)INFINITY; /* both are better */
    else if (gain > 0)
        *score = gain / (cost + 1e-9);
fail:
    return status;
}

static int compare(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->storage < b->storage ? -1 : 1;
}

/* The best change by now; false: none helps. */
static int step_down(search *s, const state *now, bool *found)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    *found = false;
    qsort(s->candidates, (size_t)s->count, sizeof *s->candidates, compare);
    for (int begin = 0; begin < s->count && !*found; begin += TRIALS) {
        int end = begin + TRIALS < s->count ? begin + TRIALS : s->count;
        for (int i = begin; i < end; i++)
            PINION_TRY(try_change(s, now, s->candidates[i].storage, &s->candidates[i].score));
        qsort(s->candidates, (size_t)end, sizeof *s->candidates, compare);
        *found = s->candidates[0].score > -(double)INFINITY;
    }
    if (*found)
        s->dropped[s->candidates[0].storage] = !s->dropped[s->candidates[0].storage];
fail:
    return status;
}

/* Notes the arena of the last walk where it may be the smallest, or within the limit. */
static int note(search *s, bool *fits)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    *fits = false;
    if (s->r.seconds > s->seconds || (s->r.peak > s->limit && s->r.peak >= s->smallest_arena))
        return PINION_OK;
    size_t arena;
    PINION_TRY(pinion__rewrite_arena(&s->r, &arena));
    *fits = arena <= s->limit;
    if (arena >= s->smallest_arena)
        return PINION_OK;
    s->smallest_arena = arena;
    memcpy(s->smallest, s->dropped, (size_t)s->r.storages * sizeof *s->dropped);
fail:
    return status;
}

/* ---- what is dropped without need ---- */

static int try_keeping(search *s, int storage)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    state then;
    bool possible;
    size_t arena = SIZE_MAX;
    s->dropped[storage] = false;
    PINION_TRY(look(s, 0, &then, &possible));
    if (possible && then.peak <= s->limit)
        PINION_TRY(pinion__rewrite_arena(&s->r, &arena));
    s->dropped[storage] = arena > s->limit;
fail:
    return status;
}

/* Keeps again what the limit leaves room for, the dearest first. */
static int put_back(search *s)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    state now, then;
    bool possible;
    PINION_TRY(look(s, 0, &now, &possible));
    for (int i = 0; i < s->count; i++) {
        candidate *at = &s->candidates[i];
        at->score = -(double)INFINITY;
        if (!s->dropped[at->storage])
            continue;
        s->dropped[at->storage] = false;
        PINION_TRY(look(s, 0, &then, &possible));
        s->dropped[at->storage] = true;
        at->score = possible ? now.seconds - then.seconds : 0;
    }
    qsort(s->candidates, (size_t)s->count, sizeof *s->candidates, compare);
    for (int i = 0; i < s->count && s->candidates[i].score > 0; i++)
        PINION_TRY(try_keeping(s, s->candidates[i].storage));
    PINION_TRY(look(s, 0, &now, &possible));
    if (now.seconds < s->best_seconds) {
        s->best_seconds = now.seconds;
        memcpy(s->best, s->dropped, (size_t)s->r.storages * sizeof *s->dropped);
    }
fail:
    return status;
}

static int descend(search *s, double level)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    memcpy(s->dropped, s->start, (size_t)s->r.storages * sizeof *s->dropped);
    for (int i = 0; i < s->count; i++)
        s->candidates[i].score = (double)INFINITY;
    for (int round = 0; round < 4 * s->count + 1; round++) {
        state now;
        bool possible, fits, found;
        PINION_TRY(look(s, 0, &now, &possible));
        PINION_TRY(note(s, &fits));
        if (fits)
            return put_back(s);
        if (now.seconds > s->seconds)
            break;
        now.level = (size_t)(level * (double)now.peak);
        now.excess = excess_over(&s->r, now.level);
        PINION_TRY(step_down(s, &now, &found));
        if (!found)
            break;
    }
fail:
    return status;
}

/* ---- the search ---- */

static int prepare(search *s)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    size_t storages = (size_t)s->r.storages;
    PINION_TRY(pinion__alloc(ctx, storages, sizeof *s->candidates, "a plan", &s->candidates));
    PINION_TRY(pinion__alloc_zeroed(ctx, storages, sizeof *s->start, "a plan", &s->start));
    PINION_TRY(pinion__alloc_zeroed(ctx, storages, sizeof *s->dropped, "a plan", &s->dropped));
    PINION_TRY(pinion__alloc_zeroed(ctx, storages, sizeof *s->best, "a plan", &s->best));
    PINION_TRY(pinion__alloc_zeroed(ctx, storages, sizeof *s->smallest, "a plan", &s->smallest));
    /* What the backward pass does not read is not there for it, unless it is worth keeping for a form. */
    for (int i = 0; i < s->r.storages; i++)
        s->start[i] = s->r.droppable[i] && !s->r.needed[i];
    PINION_TRY(pinion__rewrite_walk(&s->r, s->start));
    for (int i = 0; i < s->r.storages; i++)
        if (s->r.droppable[i] && s->r.at[i].bytes >= s->r.peak / 1024)
            s->candidates[s->count++] = (candidate){.storage = i};
fail:
    return status;
}

static void search_fini(search *s)
{
    pinion_context *ctx = s->ctx;
    pinion__rewrite_fini(&s->r);
    pinion__release(ctx, s->candidates);
    pinion__release(ctx, s->start);
    pinion__release(ctx, s->dropped);
    pinion__release(ctx, s->best);
    pinion__release(ctx, s->smallest);
}

static int run(search *s, pinion_plan *plan)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    s->best_seconds = (double)INFINITY;
    s->smallest_arena = SIZE_MAX;
    PINION_TRY(pinion__rewrite_init(&s->r, plan));
    PINION_TRY(prepare(s));
    for (int i = 0; i < LEVELS; i++)
        PINION_TRY(descend(s, levels[i]));
fail:
    return status;
}

int pinion__plan_recompute(pinion_plan *plan, size_t arena_bytes)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    search s = {.ctx = ctx, .limit = arena_bytes, .seconds = (double)INFINITY};
    PINION_TRY(run(&s, plan));
    PINION_TRY(pinion__rewrite_walk(&s.r, isfinite(s.best_seconds) ? s.best : s.smallest));
    PINION_TRY(pinion__rewrite_apply(&s.r));
fail:
    search_fini(&s);
    return status;
}

int pinion__plan_recompute_cheaply(pinion_plan *plan, double share, size_t arena_bytes)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    search s = {.ctx = ctx};
    for (size_t t = 0; t < plan->task_count; t++)
        s.seconds += share * pinion__rewrite_seconds(plan, &plan->tasks[t]);
    PINION_TRY(run(&s, plan));
    if (s.smallest_arena <= arena_bytes) {
        s.limit = s.smallest_arena;
        memcpy(s.dropped, s.smallest, (size_t)s.r.storages * sizeof *s.dropped);
        PINION_TRY(put_back(&s));
        PINION_TRY(pinion__rewrite_walk(&s.r, s.best));
        PINION_TRY(pinion__rewrite_apply(&s.r));
    }
fail:
    search_fini(&s);
    return status;
}
