/* SPDX-License-Identifier: Apache-2.0
 *
 * Hand-overs as tasks. Once processors are chosen, a walk over the serial order follows the holder of every storage by
 * the rules of plan/holders.h. Where a use changes it, a task of the domain's processor passes the storage on, just
 * before the task that waits for it; after its last use a storage goes to its home (homes.c).
 *
 * What runs several times by itself begins and ends with everything at home: the prologue of inference, and with
 * micro-batches the part that is repeated. The host reads the loss behind the task that computes it, which moves the
 * gate to the hand-over of the loss.
 */
#include "plan/hand_over.h"

typedef struct state {
    enum pinion__holder holder;
    int last;     /* task of the present stretch that uses it last; -1: none does */
    bool awaited; /* a later stretch uses it */
} state;

typedef struct walk {
    pinion_context *ctx;
    pinion_plan *plan;
    state *at;           /* per storage */
    pinion__task *tasks; /* the new list */
    size_t count, capacity;
} walk;

static int append(walk *w, const pinion__task *task)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &w->tasks, &w->capacity, w->count + 1, sizeof *w->tasks, "tasks of a plan"));
    w->tasks[w->count++] = *task;
fail:
    return status;
}

static int first_of_domain(const pinion_plan *plan)
{
    int processor = 0;
    while (plan->processors[processor]->domain != plan->domain)
        processor++;
    return processor;
}

/* Appends the hand-over of a storage on behalf of a task, in front of it or `behind` it. */
static int pass_on(walk *w, const pinion__task *of, int storage, enum pinion__holder to, bool contents, bool behind)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    state *at = &w->at[storage];
    double when = behind ? of->end_ms : of->start_ms;
    if (at->holder == to)
        return PINION_OK;
    pinion__task task = {.layer = of->layer,
                         .param = -1,
                         .op = of->op,
                         .pass = of->pass,
                         .n0 = of->n0,
                         .n1 = of->n1,
                         .update.op = PINION__OP_COUNT,
                         .prepared = -1,
                         .scratch = -1,
                         .processor = pinion__task_on_device(w->plan, of) ? of->processor : first_of_domain(w->plan),
                         .hand_over = {true, storage, at->holder, to, contents},
                         .start_ms = when,
                         .end_ms = when};
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        task.operand[i] = -1;
    PINION_TRY(append(w, &task));
    at->holder = to;
fail:
    return status;
}

static int take(walk *w, const pinion__task *task, const pinion__use *what)
{
    bool device = pinion__task_on_device(w->plan, task);
    const state *at = &w->at[what->storage];
    enum pinion__holder to = pinion__holder_after(at->holder, device, what->writes, w->plan->domain->copies);
    return pass_on(w, task, what->storage, to, what->reads || !what->whole, false);
}

/* The host looks at the loss. */
static int open_gate(walk *w, const pinion__task *task)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    int loss = w->plan->tensors[w->plan->loss].storage;
    enum pinion__holder to = pinion__holder_after(w->at[loss].holder, false, false, w->plan->domain->copies);
    PINION_TRY(pass_on(w, task, loss, to, true, true));
    w->plan->gate = (int)w->count - 1;
fail:
    return status;
}

static int go_home(walk *w, const pinion__task *task, int storage)
{
    const pinion__storage *of = &w->plan->storages[storage];
    bool contents = pinion__storage_is_lasting(of) || w->at[storage].awaited;
    return pass_on(w, task, storage, of->home, contents, true);
}

static int walk_task(walk *w, int t, bool gate)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    const pinion__task *task = &w->plan->tasks[t];
    pinion__use uses[PINION__MOST_USES];
    int count = pinion__plan_uses(w->plan, task, uses);
    for (int i = 0; i < count; i++)
        PINION_TRY(take(w, task, &uses[i]));
    PINION_TRY(append(w, task));
    if (gate)
        PINION_TRY(open_gate(w, task));
    for (int i = 0; i < count; i++)
        if (w->at[uses[i].storage].last == t)
            PINION_TRY(go_home(w, task, uses[i].storage));
fail:
    return status;
}

/* Last uses within [first, end), and whether there are more behind. */
static void find_lasts(walk *w, int first, int end)
{
    for (size_t s = 0; s < w->plan->storage_count; s++)
        w->at[s].last = -1, w->at[s].awaited = false;
    for (int t = first; t < (int)w->plan->task_count; t++) {
        pinion__use uses[PINION__MOST_USES];
        int count = pinion__plan_uses(w->plan, &w->plan->tasks[t], uses);
        for (int i = 0; i < count; i++)
            if (t < end)
                w->at[uses[i].storage].last = t;
            else
                w->at[uses[i].storage].awaited = true;
    }
}

static int walk_all(walk *w)
{
    pinion_context *ctx = w->ctx;
    pinion_plan *plan = w->plan;
    int status = PINION_OK;
    int count = (int)plan->task_count, gate = plan->gate, part_end = plan->part_end;
    int new_prologue = 0, new_part_end = 0;
    for (int first = 0, end; first < count; first = end) {
        end = pinion__plan_stretch_end(plan, first);
        find_lasts(w, first, end);
        for (int t = first; t < end; t++) {
            if (t == part_end)
                new_part_end = (int)w->count;
            PINION_TRY(walk_task(w, t, t == gate));
        }
        if (end == plan->prologue)
            new_prologue = (int)w->count;
    }
    plan->prologue = new_prologue;
    plan->part_end = part_end < count ? new_part_end : (int)w->count;
fail:
    return status;
}

static int find_domain(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    plan->domain = NULL;
    for (size_t t = 0; t < plan->task_count; t++) {
        const pinion__processor *processor = plan->processors[plan->tasks[t].processor];
        PINION_FAIL_IF(plan->domain && processor->domain && processor->domain != plan->domain, PINION_EUNSUPPORTED,
                       "a plan for processors in the memory of '%s' and of '%s'; expected one of them, and the host",
                       plan->domain->name, processor->domain->name);
        plan->domain = processor->domain ? processor->domain : plan->domain;
    }
fail:
    return status;
}

/* Room in the domain for a run of the caller's bytes. */
static void place_storage(pinion_plan *plan, size_t s)
{
    const size_t align = pinion__plan_alignment(plan);
    plan->input_bytes = (plan->input_bytes + align - 1) / align * align;
    plan->storages[s].offset = plan->input_bytes;
    plan->input_bytes += plan->storages[s].bytes;
}

/* What the caller gives and a device reads needs room in the domain: images and labels, each whole or in slices. */
static void place_input(pinion_plan *plan, const pinion__task *tasks, size_t count)
{
    plan->input_bytes = 0;
    for (size_t s = 0; s < plan->storage_count; s++) {
        const pinion__storage *storage = &plan->storages[s];
        size_t t = pinion__storage_is_given(storage) && storage->bytes > 0 ? 0 : count;
        while (t < count && (!tasks[t].hand_over.present || tasks[t].hand_over.storage != (int)s))
            t++;
        if (t < count)
            place_storage(plan, s);
    }
}

int pinion__plan_hand_over(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    walk w = {.ctx = ctx, .plan = plan};
    PINION_TRY(find_domain(plan));
    if (!plan->domain)
        return PINION_OK;
    PINION_TRY(pinion__plan_choose_homes(plan));
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->storage_count + 1, sizeof *w.at, "hand-overs of a plan", &w.at));
    for (size_t s = 0; s < plan->storage_count; s++)
        w.at[s].holder = plan->storages[s].home;
    PINION_TRY(walk_all(&w));
    place_input(plan, w.tasks, w.count);
    pinion__release(ctx, plan->tasks);
    plan->tasks = w.tasks;
    plan->task_count = w.count;
    plan->task_capacity = w.capacity;
    w.tasks = NULL;
fail:
    pinion__release(ctx, w.tasks);
    pinion__release(ctx, w.at);
    return status;
}
