/* SPDX-License-Identifier: Apache-2.0
 *
 * Lower bounds. Hand-overs and slowing each other down are left out: nothing is faster for them.
 *
 * The critical path: no task can take less than on its fastest processor.
 *
 * The work: processors that never run at once (a clique of rivals, in the simplest case one processor) together do at
 * most as much as the step is long. Whatever the weights of the cliques, which sum to one, no step is shorter than the
 * weighted sum of what they do, and that is smallest where each task runs on the processor with the least weighted
 * time. So every choice of weights gives a bound (it is the dual of dividing the tasks at will between the processors);
 * the best is approached by giving more weight to the cliques that have more to do.
 *
 * The waist: all that a task follows is done before it begins, and all that follows it begins when it has ended, so the
 * bounds of these two sets and the task add up. In training the loss is such a task: the forward pass is one long path
 * that keeps one processor busy, whatever the others could do.
 */
#include "plan/placement_graph.h"
#include "plan/placement_walk.h"

#include <string.h>

enum { MAX_PROCESSORS = 32, ROUNDS = 400 };

typedef struct cliques {
    uint32_t members[MAX_PROCESSORS]; /* bits of processors */
    double weight[MAX_PROCESSORS], load[MAX_PROCESSORS];
    int count;
} cliques;

static double fastest_ms(const pinion__placement_problem *problem, int task)
{
    return pinion__placement_ms(problem, task, pinion__placement_fastest(problem, task));
}

/* One for each processor: it and, by rising number, all that are rivals of those already taken. */
static void find_cliques(const pinion__placement_problem *problem, cliques *out)
{
    out->count = 0;
    for (int p = 0; p < problem->processor_count; p++) {
        uint32_t members = UINT32_C(1) << p, common = problem->rivals ? problem->rivals[p] : 0;
        for (int q = 0; q < problem->processor_count; q++)
            if (q != p && (common >> q & 1)) {
                members |= UINT32_C(1) << q;
                common &= problem->rivals[q] | UINT32_C(1) << q;
            }
        bool known = false;
        for (int i = 0; i < out->count; i++)
            known = known || out->members[i] == members;
        if (!known)
            out->members[out->count++] = members;
    }
}

/* Some of the tasks, by rising number. */
typedef struct task_set {
    int *tasks, count;
} task_set;

/* The bound for the present weights, and what the cliques would have to do. */
static double weigh(const pinion__placement_problem *problem, const task_set *set, cliques *c)
{
    double price[MAX_PROCESSORS] = {0}, sum = 0;
    for (int i = 0; i < c->count; i++) {
        c->load[i] = 0;
        for (int p = 0; p < problem->processor_count; p++)
            if (c->members[i] >> p & 1)
                price[p] += c->weight[i];
    }
    for (int k = 0; k < set->count; k++) {
        const int t = set->tasks[k];
        double least = HUGE_VAL;
        int best = 0;
        for (int p = 0; p < problem->processor_count; p++) {
            double ms = pinion__placement_ms(problem, t, p);
            if (isfinite(ms) && ms * price[p] < least) {
                least = ms * price[p];
                best = p;
            }
        }
        sum += least;
        for (int i = 0; i < c->count; i++)
            if (c->members[i] >> best & 1)
                c->load[i] += pinion__placement_ms(problem, t, best);
    }
    return sum;
}

/* Multiplicative weights with falling steps. Leaves the best weights in *c. */
static double work_bound(const pinion__placement_problem *problem, const task_set *set, cliques *c)
{
    cliques best;
    double most = -1;
    find_cliques(problem, c);
    for (int i = 0; i < c->count; i++)
        c->weight[i] = 1.0 / c->count;
    best = *c;
    for (int round = 0; round < ROUNDS; round++) {
        double bound = weigh(problem, set, c), longest = 0, sum = 0;
        if (bound > most) {
            most = bound;
            best = *c;
        }
        for (int i = 0; i < c->count; i++)
            longest = fmax(longest, c->load[i]);
        for (int i = 0; i < c->count && longest > 0; i++)
            c->weight[i] *= 1 + c->load[i] / longest / (1 + 0.25 * round);
        for (int i = 0; i < c->count; i++)
            sum += c->weight[i];
        for (int i = 0; i < c->count; i++)
            c->weight[i] /= sum;
    }
    *c = best;
    return most;
}

/* A run of tasks of the same `times`. */
typedef struct run {
    const pinion__placement_problem *problem;
    const pinion__placement_graph *graph;
    int first, end;
    double *head, *tail; /* per task: the longest path before and behind it */
    uint64_t *before;    /* rows of `words`: the tasks that a task follows */
    size_t words;
    task_set all, above, below;
    cliques weights; /* of the whole run */
} run;

static bool follows(const run *r, int task, int other)
{
    return r->before[(size_t)task * r->words + (size_t)other / 64] >> (other % 64) & 1;
}

static void find_paths(run *r)
{
    r->all.count = 0;
    for (int t = r->first; t < r->end; t++) {
        r->head[t] = r->tail[t] = 0;
        r->all.tasks[r->all.count++] = t;
        memset(r->before + (size_t)t * r->words, 0, r->words * sizeof *r->before);
    }
    for (int t = r->first; t < r->end; t++) {
        const double path = r->head[t] + fastest_ms(r->problem, t);
        for (int i = r->graph->first_successor[t]; i < r->graph->first_successor[t + 1]; i++) {
            const int next = r->graph->successors[i];
            if (next >= r->end)
                continue;
            r->head[next] = fmax(r->head[next], path);
            for (size_t w = 0; w < r->words; w++)
                r->before[(size_t)next * r->words + w] |= r->before[(size_t)t * r->words + w];
            r->before[(size_t)next * r->words + (size_t)t / 64] |= UINT64_C(1) << (t % 64);
        }
    }
    for (int t = r->end - 1; t >= r->first; t--)
        for (int i = r->graph->first_successor[t]; i < r->graph->first_successor[t + 1]; i++) {
            const int next = r->graph->successors[i];
            if (next < r->end)
                r->tail[t] = fmax(r->tail[t], r->tail[next] + fastest_ms(r->problem, next));
        }
}

static void divide(run *r, int waist)
{
    r->above.count = r->below.count = 0;
    for (int t = r->first; t < r->end; t++) {
        if (follows(r, waist, t))
            r->above.tasks[r->above.count++] = t;
        if (follows(r, t, waist))
            r->below.tasks[r->below.count++] = t;
    }
}

/* Where tasks may be cut only the work counts. */
static double run_work(run *r)
{
    find_paths(r);
    return work_bound(r->problem, &r->all, &r->weights);
}

/* The waist is looked for with the weights of the whole run; then its two sides get weights of their own. */
static double run_bound(run *r)
{
    find_paths(r);
    double best = work_bound(r->problem, &r->all, &r->weights), most = -1;
    int waist = r->first;
    for (int t = r->first; t < r->end; t++) {
        divide(r, t);
        double bound = fmax(r->head[t], weigh(r->problem, &r->above, &r->weights)) + fastest_ms(r->problem, t) +
                       fmax(r->tail[t], weigh(r->problem, &r->below, &r->weights));
        if (bound > most) {
            most = bound;
            waist = t;
        }
    }
    cliques own;
    divide(r, waist);
    double above = fmax(r->head[waist], work_bound(r->problem, &r->above, &own));
    double below = fmax(r->tail[waist], work_bound(r->problem, &r->below, &own));
    return fmax(best, fmax(most, above + fastest_ms(r->problem, waist) + below));
}

static double concurrent_bound(const pinion__placement_problem *problem, bool cut)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    const size_t tasks = (size_t)problem->task_count + 1;
    pinion__placement_graph graph = {.ctx = ctx};
    run r = {.problem = problem, .graph = &graph, .words = (tasks + 63) / 64};
    double sum = 0;
    PINION_TRY(pinion__placement_graph_init(problem, &graph));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *r.head, "a placement", &r.head));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *r.tail, "a placement", &r.tail));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks * r.words, sizeof *r.before, "a placement", &r.before));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *r.all.tasks, "a placement", &r.all.tasks));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *r.above.tasks, "a placement", &r.above.tasks));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *r.below.tasks, "a placement", &r.below.tasks));
    for (r.first = 0; r.first < problem->task_count; r.first = r.end) {
        r.end = graph.run_end[r.first];
        sum += pinion__placement_times(problem, r.first) * (cut ? run_work(&r) : run_bound(&r));
    }
fail:
    pinion__placement_graph_fini(&graph);
    pinion__release(ctx, r.head);
    pinion__release(ctx, r.tail);
    pinion__release(ctx, r.before);
    pinion__release(ctx, r.all.tasks);
    pinion__release(ctx, r.above.tasks);
    pinion__release(ctx, r.below.tasks);
    return status < 0 ? (double)NAN : sum;
}

double pinion__placement_bound(const pinion__placement_problem *problem, bool serial)
{
    if (!serial)
        return concurrent_bound(problem, false);
    double sum = 0;
    for (int t = 0; t < problem->task_count; t++)
        sum += fastest_ms(problem, t) * pinion__placement_times(problem, t);
    return sum;
}

double pinion__placement_cut_bound(const pinion__placement_problem *problem)
{
    return concurrent_bound(problem, true);
}
