/* SPDX-License-Identifier: Apache-2.0
 *
 * The tasks of a placement problem as a graph. Lists of all tasks lie in one array each; two walks over the problem
 * make them: the first counts, the second fills.
 */
#include "plan/placement_graph.h"
#include "plan/placement_walk.h"

typedef struct filling {
    pinion__placement_graph *graph;
    bool counts; /* the first walk */
} filling;

static void add_edge(filling *f, int from, int to)
{
    if (from == to)
        return;
    assert(from < to);
    if (f->counts) {
        f->graph->first_successor[from + 2]++;
        f->graph->predecessor_count[to]++;
    } else {
        f->graph->successors[f->graph->first_successor[from + 1]++] = to;
    }
}

static void add_storage(filling *f, const pinion__placement_problem *problem, const pinion__placement_storage *storage)
{
    const pinion__placement_use *uses = problem->uses + storage->first_use;
    for (int i = 0, writer = -1; i < storage->use_count; i++) {
        if (writer >= 0)
            add_edge(f, uses[writer].task, uses[i].task);
        for (int k = writer + 1; k < i && uses[i].writes; k++)
            add_edge(f, uses[k].task, uses[i].task);
        writer = uses[i].writes ? i : writer;
    }
}

static void add_edges(filling *f, const pinion__placement_problem *problem)
{
    for (int s = 0; s < problem->storage_count; s++)
        add_storage(f, problem, &problem->storages[s]);
    for (int i = 0; i < problem->edge_count; i++)
        add_edge(f, problem->edges[i][0], problem->edges[i][1]);
}

static void add_uses(filling *f, const pinion__placement_problem *problem)
{
    for (int s = 0; s < problem->storage_count; s++)
        for (int i = 0; i < problem->storages[s].use_count; i++) {
            int use = problem->storages[s].first_use + i;
            if (f->counts)
                f->graph->first_use[problem->uses[use].task + 2]++;
            else
                f->graph->uses[f->graph->first_use[problem->uses[use].task + 1]++] = use;
            f->graph->storage[use] = s;
        }
}

/* Counts become where each list begins, one place late: filling moves them there. Returns the sum. */
static size_t sum_up(int *first, int count)
{
    for (int t = 2; t < count + 2; t++)
        first[t] += first[t - 1];
    return (size_t)first[count + 1];
}

static void find_runs(pinion__placement_graph *graph, const pinion__placement_problem *problem)
{
    for (int t = graph->task_count - 1; t >= 0; t--) {
        bool last = t + 1 == graph->task_count ||
                    pinion__placement_times(problem, t) != pinion__placement_times(problem, t + 1);
        graph->run_end[t] = last ? t + 1 : graph->run_end[t + 1];
    }
}

static int count_uses(const pinion__placement_problem *problem)
{
    int end = 0;
    for (int s = 0; s < problem->storage_count; s++)
        if (problem->storages[s].first_use + problem->storages[s].use_count > end)
            end = problem->storages[s].first_use + problem->storages[s].use_count;
    return end;
}

int pinion__placement_graph_init(const pinion__placement_problem *problem, pinion__placement_graph *out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    const size_t tasks = (size_t)problem->task_count;
    *out = (pinion__placement_graph){.ctx = ctx, .task_count = problem->task_count, .use_count = count_uses(problem)};
    filling f = {.graph = out, .counts = true};
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks + 2, sizeof(int), "a placement", &out->first_successor));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks + 2, sizeof(int), "a placement", &out->first_use));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks + 1, sizeof(int), "a placement", &out->predecessor_count));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks + 1, sizeof(int), "a placement", &out->run_end));
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)out->use_count + 1, sizeof(int), "a placement", &out->storage));
    add_edges(&f, problem);
    add_uses(&f, problem);
    size_t edges = sum_up(out->first_successor, problem->task_count);
    size_t uses = sum_up(out->first_use, problem->task_count);
    PINION_TRY(pinion__alloc_zeroed(ctx, edges + 1, sizeof(int), "a placement", &out->successors));
    PINION_TRY(pinion__alloc_zeroed(ctx, uses + 1, sizeof(int), "a placement", &out->uses));
    f.counts = false;
    add_edges(&f, problem);
    add_uses(&f, problem);
    find_runs(out, problem);
fail:
    return status;
}

void pinion__placement_graph_fini(pinion__placement_graph *graph)
{
    pinion__release(graph->ctx, graph->successors);
    pinion__release(graph->ctx, graph->first_successor);
    pinion__release(graph->ctx, graph->predecessor_count);
    pinion__release(graph->ctx, graph->uses);
    pinion__release(graph->ctx, graph->first_use);
    pinion__release(graph->ctx, graph->storage);
    pinion__release(graph->ctx, graph->run_end);
    *graph = (pinion__placement_graph){0};
}
