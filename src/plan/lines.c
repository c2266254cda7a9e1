/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and following the lines of a plan (plan/lines.h). Tasks of the same name are told apart by their turn.
 */
#include "plan/lines.h"

#include "net/text.h"
#include "plan/candidates.h"
#include "plan/place.h"
#include "plan/problem.h"

#include <stdlib.h>
#include <string.h>

static const double us_a_ms = 1e3;

/* What stands behind the name in a line. */
typedef struct line {
    const char *begin, *kernel, *processor;
    int number, kernel_length, processor_length; /* 0: there is none */
    bool scheduled;
    double start_ms, end_ms;
} line;

static const char *word(const char *layer)
{
    return *layer ? layer : "-";
}

/* Tasks of one layer and pass that are not the same: by the input whose gradient, or the parameter. */
static int which_of_layer(const pinion_plan *plan, const pinion__task *task)
{
    if (task->pass == PINION__UPDATE)
        return task->param < 0 ? 0 : plan->network->params[task->param].index;
    return task->pass == PINION__BACKWARD_DATA ? task->input : 0;
}

/* "conv1 conv2d+relu forward ": what a line begins with. */
static int name_task(const pinion_plan *plan, const pinion__task *task, pinion__text *text)
{
    pinion_context *ctx = text->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__text_add(text, "%s %s %s", word(pinion__task_layer_name(plan, task)), pinion__task_what(task),
                                pinion__pass_name(task->pass)));
    int which = which_of_layer(plan, task);
    if (which > 0)
        PINION_TRY(pinion__text_add(text, "#%d", which));
    if (task->slice)
        PINION_TRY(pinion__text_add(text, "@%d-%d", task->n0, task->n1 - 1));
    PINION_TRY(pinion__text_add(text, " "));
fail:
    return status;
}

static bool has_line(const pinion_plan *plan, int index)
{
    const pinion__task *task = &plan->tasks[index];
    return index >= plan->prologue && !task->recomputed && !task->hand_over.present;
}

/* How many tasks of the same name stand before it. */
static int find_turn(const pinion_plan *plan, int index)
{
    const pinion__task *task = &plan->tasks[index];
    int turn = 0;
    for (int t = 0; t < index; t++)
        turn += plan->tasks[t].layer == task->layer && plan->tasks[t].pass == task->pass &&
                which_of_layer(plan, &plan->tasks[t]) == which_of_layer(plan, task) &&
                plan->tasks[t].slice == task->slice && has_line(plan, t) &&
                strcmp(pinion__task_what(&plan->tasks[t]), pinion__task_what(task)) == 0;
    return turn;
}

/* Reads " 12 34". */
static void read_schedule(const char *text, line *out)
{
    char *end;
    unsigned long long start = strtoull(text, &end, 10);
    out->scheduled = *text == ' ' && end != text && *end == ' ';
    if (!out->scheduled)
        return;
    out->start_ms = (double)start / us_a_ms;
    out->end_ms = (double)strtoull(end, NULL, 10) / us_a_ms;
}

/* The turn-th of the lines that begin with `name`. */
static bool find_line(const char *lines, const pinion__text *name, int turn, line *out)
{
    int number = 0;
    for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n', number++) {
        if (strncmp(at, name->bytes, name->length) != 0 || turn-- > 0)
            continue;
        *out = (line){.begin = at, .number = number, .kernel = at + name->length};
        out->kernel_length = (int)strcspn(out->kernel, " \n");
        out->processor = out->kernel + out->kernel_length + (out->kernel[out->kernel_length] == ' ');
        out->processor_length = (int)strcspn(out->processor, " \n");
        read_schedule(out->processor + out->processor_length, out);
        return true;
    }
    return false;
}

/* *found: the lines name the task. */
static int look_up(const pinion_plan *plan, int index, const char *lines, bool *found, line *out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__text name = {.ctx = ctx};
    PINION_TRY(name_task(plan, &plan->tasks[index], &name));
    *found = find_line(lines, &name, find_turn(plan, index), out);
fail:
    pinion__release(ctx, name.bytes);
    return status;
}

static int first_that_can(const pinion_plan *plan, const pinion__task *task)
{
    int p = 0;
    while (p + 1 < plan->processor_count && pinion__candidates_record(plan, task, p)->count == 0)
        p++;
    return p;
}

static int set_processor(pinion_plan *plan, int index, const line *given)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__task *task = &plan->tasks[index];
    task->processor = first_that_can(plan, task);
    if (!given || given->processor_length == 0)
        return PINION_OK;
    int p = 0;
    while (p < plan->processor_count &&
           !pinion__lines_is(plan->processors[p]->name, given->processor, given->processor_length))
        p++;
    PINION_FAIL_IF(p == plan->processor_count, PINION_EUNSUPPORTED,
                   "layer '%s' has its %s on processor '%.*s', which is not among those of this plan ('%s'%s)",
                   pinion__task_layer_name(plan, task), pinion__pass_name(task->pass),
                   given->processor_length < 40 ? given->processor_length : 40, given->processor,
                   plan->processors[0]->name, plan->processor_count > 1 ? " and others" : "");
    task->processor = p;
    if (given->scheduled) {
        task->start_ms = given->start_ms;
        task->end_ms = given->end_ms;
        plan->serial = false;
    }
fail:
    return status;
}

/* ---- order ---- */

/* Tasks that use a storage, one of them writing it, must keep their order. */
static bool keeps_order(const pinion__placement_problem *problem, const int *rank)
{
    for (int s = 0; s < problem->storage_count; s++) {
        const pinion__placement_use *uses = problem->uses + problem->storages[s].first_use;
        for (int b = 1; b < problem->storages[s].use_count; b++)
            for (int a = 0; a < b; a++)
                if ((uses[a].writes || uses[b].writes) && rank[uses[a].task] > rank[uses[b].task])
                    return false;
    }
    for (int e = 0; e < problem->edge_count; e++)
        if (rank[problem->edges[e][0]] > rank[problem->edges[e][1]])
            return false;
    return true;
}

typedef struct placed {
    int rank, index;
} placed;

static int compare(const void *left, const void *right)
{
    const placed *a = left, *b = right;
    return a->rank != b->rank ? a->rank - b->rank : a->index - b->index;
}

static void reorder(pinion_plan *plan, const placed *order, pinion__task *tasks, int *place_of)
{
    for (int i = 0; i < (int)plan->task_count; i++) {
        tasks[i] = plan->tasks[order[i].index];
        place_of[order[i].index] = i;
    }
    for (size_t r = 0; r < plan->record_count; r++)
        plan->records[r].task = place_of[plan->records[r].task];
    plan->gate = plan->gate < 0 ? plan->gate : place_of[plan->gate];
    memcpy(plan->tasks, tasks, plan->task_count * sizeof *tasks);
}

/* Brings the tasks into the order of their lines. */
static int follow_order(pinion_plan *plan, int *rank)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    placed *order = NULL;
    pinion__task *tasks = NULL;
    pinion__problem problem = {0};
    PINION_TRY(pinion__problem_build(plan, &problem));
    PINION_FAIL_IF(!keeps_order(&problem.of, rank), PINION_EUNSUPPORTED,
                   "network '%s': in the given order of tasks one reads what a later one writes", plan->network->name);
    PINION_TRY(pinion__alloc(ctx, plan->task_count, sizeof *order, "tasks of a plan", &order));
    PINION_TRY(pinion__alloc(ctx, plan->task_count, sizeof *tasks, "tasks of a plan", &tasks));
    for (int t = 0; t < (int)plan->task_count; t++)
        order[t] = (placed){.rank = rank[t], .index = t};
    qsort(order, plan->task_count, sizeof *order, compare);
    reorder(plan, order, tasks, rank);
fail:
    pinion__problem_fini(ctx, &problem);
    pinion__release(ctx, order);
    pinion__release(ctx, tasks);
    return status;
}

/* ---- lines that no task has ---- */

/* Does the line begin with the name of a layer? */
static bool names_layer(const pinion_plan *plan, const char *text)
{
    bool named = strncmp(text, "- ", 2) == 0;
    for (size_t i = 0; i < plan->network->layer_count && !named; i++) {
        const char *name = plan->network->layers[i].name;
        const size_t length = strlen(name);
        named = strncmp(text, name, length) == 0 && text[length] == ' ';
    }
    return named;
}

/* The line of a task, from its name to its kernel. */
typedef struct used {
    const char *name;
    size_t length; /* 0: the lines do not name the task */
    int number;
} used;

/* A line that no task has may be of a plan with other options, which has further tasks; but it has to be of a layer
 * that there is, and not a second one of a task. */
static int check_unused(const pinion_plan *plan, const char *lines, const used *of)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK, number = 0;
    for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n', number++) {
        bool taken = false, again = false;
        for (size_t t = 0; t < plan->task_count && !taken; t++) {
            taken = of[t].length > 0 && of[t].number == number;
            again = again || (of[t].length > 0 && strncmp(at, of[t].name, of[t].length) == 0);
        }
        const int shown = strcspn(at, "\n") < 80 ? (int)strcspn(at, "\n") : 80;
        PINION_FAIL_IF(!taken && again, PINION_EUNSUPPORTED, "there is a line too many for a task: '%.*s'", shown, at);
        PINION_FAIL_IF(!taken && !names_layer(plan, at), PINION_EUNSUPPORTED,
                       "network '%s' has no layer for the line '%.*s'", plan->network->name, shown, at);
    }
fail:
    return status;
}

int pinion__lines_place(pinion_plan *plan, const char *lines)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    int *rank = NULL;
    used *of = NULL;
    PINION_TRY(pinion__alloc(ctx, plan->task_count + 1, sizeof *rank, "tasks of a plan", &rank));
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->task_count + 1, sizeof *of, "tasks of a plan", &of));
    for (int t = 0; t < (int)plan->task_count; t++) {
        line given;
        bool found;
        PINION_TRY(look_up(plan, t, lines, &found, &given));
        PINION_TRY(set_processor(plan, t, found ? &given : NULL));
        rank[t] = found ? given.number : t > 0 ? rank[t - 1] : 0;
        if (found)
            of[t] = (used){given.begin, (size_t)(given.kernel - given.begin), given.number};
    }
    if (!pinion__place_is_way(plan->place, plan->processors, plan->processor_count)) /* they are from that file */
        PINION_TRY(check_unused(plan, lines, of));
    if (!plan->serial)
        PINION_TRY(follow_order(plan, rank));
fail:
    pinion__release(ctx, rank);
    pinion__release(ctx, of);
    return status;
}

int pinion__lines_kernel(const pinion_plan *plan, int index, const char *lines, const pinion__kernel **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__task *task = &plan->tasks[index];
    const pinion__record *record = pinion__candidates_record(plan, task, task->processor);
    const pinion__kernel *found = NULL;
    line given;
    bool named;
    PINION_TRY(look_up(plan, index, lines, &named, &given));
    for (int i = 0; i < record->count && !found; i++) {
        const pinion__kernel *kernel = plan->candidates[record->first + i].kernel;
        if (!named || pinion__lines_is(kernel->name, given.kernel, given.kernel_length))
            found = kernel;
    }
    PINION_FAIL_IF(!found, PINION_EUNSUPPORTED, "task '%s %s %s': kernel '%.*s' is not there for %s or cannot do it",
                   word(pinion__task_layer_name(plan, task)), pinion__task_what(task), pinion__pass_name(task->pass),
                   !named                     ? 0
                   : given.kernel_length < 80 ? given.kernel_length
                                              : 80,
                   named ? given.kernel : "", pinion__isa_name(plan->processors[task->processor]->isa));
    *out = found;
fail:
    return status;
}

int pinion__plan_kernels(const pinion_plan *plan, char **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__text text = {.ctx = ctx};
    for (int i = plan->prologue; i < (int)plan->task_count; i++) {
        const pinion__task *task = &plan->tasks[i];
        if (!has_line(plan, i))
            continue;
        PINION_TRY(name_task(plan, task, &text));
        PINION_TRY(pinion__text_add(&text, "%s", task->kernel->name));
        if (plan->processor_count > 1)
            PINION_TRY(pinion__text_add(&text, " %s", plan->processors[task->processor]->name));
        if (!plan->serial)
            PINION_TRY(pinion__text_add(&text, " %.0f %.0f", us_a_ms * task->start_ms, us_a_ms * task->end_ms));
        PINION_TRY(pinion__text_add(&text, "\n"));
    }
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}
