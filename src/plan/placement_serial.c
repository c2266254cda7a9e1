/* SPDX-License-Identifier: Apache-2.0
 *
 * The exact serial placement, as a sum of factors for elimination.h. Variables, with what their values stand for:
 *
 *     a task        the sides on which it can run; its processor is then the fastest of the side
 *     a storage     its home
 *     a read use    the holder after it (after a write it is the writer's side: no variable is needed)
 *
 * Each use of a storage gives one factor of the holder before, the task's side, the holder after (INFINITY if it is
 * another than holders.h says) and, where the storage goes home behind it, the home.
 */
#include "plan/elimination.h"
#include "plan/placement_walk.h"

/* A variable and the side or holder that each of its values stands for. variable -1: a constant, of one value. */
typedef struct axis {
    int variable, count;
    enum pinion__holder at[PINION__HOLDERS];
} axis;

typedef struct model {
    const pinion__placement_problem *problem;
    pinion__elimination *elimination;
    axis *tasks;
    int variable_count;
} model;

static int add_axis(model *m, axis *of)
{
    pinion_context *ctx = m->problem->ctx;
    int status = PINION_OK;
    of->variable = -1;
    if (of->count > 1) {
        PINION_TRY(pinion__elimination_add_variable(m->elimination, of->count, &of->variable));
        m->variable_count = of->variable + 1;
    }
fail:
    return status;
}

static int add_task(model *m, int task)
{
    const pinion__placement_problem *problem = m->problem;
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    axis *sides = &m->tasks[task];
    double table[2];
    for (int side = 0; side < 2; side++) {
        int fastest = pinion__placement_fastest_of(problem, task, side == 1);
        if (fastest < 0)
            continue;
        table[sides->count] = pinion__placement_ms(problem, task, fastest) * pinion__placement_times(problem, task);
        sides->at[sides->count++] = side ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST;
    }
    assert(sides->count > 0);
    PINION_TRY(add_axis(m, sides));
    if (sides->variable >= 0)
        PINION_TRY(pinion__elimination_add_factor(m->elimination, &sides->variable, 1, table));
fail:
    return status;
}

/* One use of a storage. after, home: NULL where it has none. */
typedef struct use_link {
    const axis *before, *task, *after, *home;
    const pinion__placement_use *use;
    const pinion__placement_storage *storage;
} use_link;

static enum pinion__holder look_up(const axis *of, const int *variables, const int *values, int count)
{
    for (int i = 0; i < count; i++)
        if (variables[i] == of->variable)
            return of->at[values[i]];
    return of->at[0];
}

static double hand_overs_ms(const model *m, const use_link *of, const int *variables, const int *values, int count)
{
    const pinion__placement_problem *problem = m->problem;
    enum pinion__holder holder = look_up(of->before, variables, values, count);
    bool device = look_up(of->task, variables, values, count) == PINION__HELD_BY_DEVICE;
    double ms = pinion__placement_step(problem, of->storage->bytes, of->use, device, &holder);
    if (of->home)
        ms += pinion__placement_return_ms(problem, of->storage, holder, look_up(of->home, variables, values, count));
    if (of->after && look_up(of->after, variables, values, count) != holder)
        return HUGE_VAL;
    return ms * pinion__placement_times(problem, of->use->task);
}

static int add_link(model *m, const use_link *of)
{
    const axis *axes[] = {of->before, of->task, of->after, of->home};
    int variables[4] = {0}, sizes[4] = {0}, values[4] = {0}, count = 0, entries = 1;
    double table[PINION__HOLDERS * 2 * PINION__HOLDERS * 2];
    for (int i = 0; i < 4; i++) {
        bool known = !axes[i] || axes[i]->variable < 0;
        for (int k = 0; k < count && !known; k++)
            known = variables[k] == axes[i]->variable;
        if (known)
            continue;
        variables[count] = axes[i]->variable;
        sizes[count] = axes[i]->count;
        entries *= sizes[count++];
    }
    for (int entry = 0; entry < entries; entry++) {
        table[entry] = hand_overs_ms(m, of, variables, values, count);
        for (int i = count - 1; i >= 0; i--) {
            values[i] = (values[i] + 1) % sizes[i];
            if (values[i])
                break;
        }
    }
    return pinion__elimination_add_factor(m->elimination, variables, count, table);
}

static int add_storage(model *m, const pinion__placement_storage *storage)
{
    const pinion__placement_problem *problem = m->problem;
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    axis home = {.count = storage->host_home ? 1 : 2, .at = {PINION__HELD_BY_HOST, PINION__HELD_BY_DEVICE}};
    PINION_TRY(add_axis(m, &home));
    axis before = home;
    for (int i = 0; i < storage->use_count; i++) {
        const pinion__placement_use *use = &problem->uses[storage->first_use + i];
        const bool returns = pinion__placement_returns(problem, storage, i);
        axis after = home;
        if (!returns && use->writes)
            after = m->tasks[use->task];
        if (!returns && !use->writes) {
            after = (axis){.count = PINION__HOLDERS,
                           .at = {PINION__HELD_BY_HOST, PINION__HELD_BY_DEVICE, PINION__HELD_BY_BOTH}};
            PINION_TRY(add_axis(m, &after));
        }
        const use_link of = {.before = &before,
                             .task = &m->tasks[use->task],
                             .after = returns || use->writes ? NULL : &after,
                             .home = returns ? &home : NULL,
                             .use = use,
                             .storage = storage};
        PINION_TRY(add_link(m, &of));
        before = after;
    }
fail:
    return status;
}

/* Storages whose tasks all have one side cost the same in any placement. */
static bool depends(const model *m, const pinion__placement_storage *storage)
{
    for (int i = 0; i < storage->use_count; i++)
        if (m->tasks[m->problem->uses[storage->first_use + i].task].variable >= 0)
            return true;
    return false;
}

static int build(model *m)
{
    pinion_context *ctx = m->problem->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__elimination_create(ctx, &m->elimination));
    PINION_TRY(
        pinion__alloc_zeroed(ctx, (size_t)m->problem->task_count + 1, sizeof *m->tasks, "a placement", &m->tasks));
    for (int t = 0; t < m->problem->task_count; t++)
        PINION_TRY(add_task(m, t));
    for (int s = 0; s < m->problem->storage_count; s++)
        if (depends(m, &m->problem->storages[s]))
            PINION_TRY(add_storage(m, &m->problem->storages[s]));
fail:
    return status;
}

int pinion__place_serial(const pinion__placement_problem *problem, pinion__placement *out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    model m = {.problem = problem};
    int *values = NULL;
    PINION_TRY(pinion__placement_init(problem, out));
    PINION_TRY(build(&m));
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)m.variable_count + 1, sizeof *values, "a placement", &values));
    PINION_TRY(pinion__elimination_solve(m.elimination, PINION__PLACEMENT_TABLE, values));
    for (int t = 0; t < problem->task_count; t++) {
        const axis *sides = &m.tasks[t];
        enum pinion__holder side = sides->at[sides->variable < 0 ? 0 : values[sides->variable]];
        out->processor[t] = pinion__placement_fastest_of(problem, t, side == PINION__HELD_BY_DEVICE);
    }
    out->ms = pinion__placement_cost(problem, out->processor);
fail:
    pinion__elimination_destroy(m.elimination);
    pinion__release(ctx, m.tasks);
    pinion__release(ctx, values);
    return status;
}
