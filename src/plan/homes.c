/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds a storage between steps. Each is walked through its uses twice, by the rules of plan/holders.h, to see with
 * which home its hand-overs cost less; hand_over.c makes tasks of those of the better one. What they cost comes from
 * measured sizes. What the caller gives is at home with the host, and so are the logits of inference, which he wants at
 * once; other logits and gradients that are kept are handed over when somebody asks for them (run/hold.c).
 */
#include "plan/hand_over.h"

/* Adds a use, or joins it with that of another operand on the same storage. */
static void add_use(pinion__use *uses, int *count, pinion__use with)
{
    for (int i = 0; i < *count; i++) {
        if (uses[i].storage != with.storage)
            continue;
        uses[i].reads = uses[i].reads || with.reads;
        uses[i].writes = uses[i].writes || with.writes;
        uses[i].whole = uses[i].whole || with.whole;
        return;
    }
    uses[(*count)++] = with;
}

/* A task whose weights are prepared names the network's own for their shape only. */
static bool only_names(const pinion__task *task, const pinion__operand *operand)
{
    return task->prepared >= 0 && !task->prepare && operand->role == PINION__PARAM && operand->index == 0;
}

int pinion__plan_uses(const pinion_plan *plan, const pinion__task *task, pinion__use uses[PINION__MOST_USES])
{
    const pinion__operands *operands = &task->op->pass[task->pass];
    int count = 0;
    for (int i = 0; i < operands->count; i++) {
        if (task->operand[i] < 0 || only_names(task, &operands->at[i]))
            continue;
        const pinion__tensor *tensor = &plan->tensors[task->operand[i]];
        bool writes = (operands->at[i].access & PINION__WRITE) != 0;
        bool adds = writes && (task->accumulate || task->adds_up);
        bool whole = writes && pinion__tensor_bytes(tensor) == plan->storages[tensor->storage].bytes;
        add_use(uses, &count,
                (pinion__use){tensor->storage, (operands->at[i].access & PINION__READ) || adds, writes, whole});
    }
    if (task->scratch >= 0)
        add_use(uses, &count, (pinion__use){task->scratch, false, true, true});
    if (task->prepared >= 0)
        add_use(uses, &count, (pinion__use){task->prepared, !task->prepare, task->prepare, task->prepare});
    return count;
}

int pinion__plan_stretch_end(const pinion_plan *plan, int first)
{
    if (first < plan->prologue)
        return plan->prologue;
    if (plan->micro_batches > 1 && first < plan->part_end)
        return plan->part_end;
    return (int)plan->task_count;
}

/* What the hand-overs of each storage cost with one home or the other. */
typedef struct bill {
    enum pinion__holder holder[2]; /* by home */
    double ms[2];
} bill;

/* How often a task runs: the prologue hardly ever. */
static double times_of(const pinion_plan *plan, int t)
{
    if (t < plan->prologue)
        return 1e-3;
    return t < plan->part_end ? plan->micro_batches : 1;
}

/* Bytes that do not matter are not copied. Where nothing is known of a domain's hand-overs they count alike. */
static double cost_of(const pinion_plan *plan, enum pinion__holder from, enum pinion__holder to, size_t bytes,
                      bool contents)
{
    const pinion__hand_over_cost *cost = &plan->hand_over_costs.at[from][to];
    if (from == to)
        return 0;
    if (!(cost->fixed_ms > 0) && !(cost->ms_per_byte > 0))
        return 1;
    return pinion__hand_over_ms(&plan->hand_over_costs, from, to, contents || !plan->domain->copies ? bytes : 0);
}

static void charge(const pinion_plan *plan, bill *of, const pinion__use *what, bool device, double times)
{
    for (int home = 0; home < 2; home++) {
        enum pinion__holder from = of->holder[home],
                            to = pinion__holder_after(from, device, what->writes, plan->domain->copies);
        bool contents = what->reads || !what->whole;
        of->ms[home] += times * cost_of(plan, from, to, plan->storages[what->storage].bytes, contents);
        of->holder[home] = to;
    }
}

static void charge_ways_home(const pinion_plan *plan, bill *bills, double times)
{
    for (size_t s = 0; s < plan->storage_count; s++)
        for (int home = 0; home < 2; home++) {
            const pinion__storage *of = &plan->storages[s];
            bills[s].ms[home] += times * cost_of(plan, bills[s].holder[home], (enum pinion__holder)home, of->bytes,
                                                 pinion__storage_is_lasting(of));
            bills[s].holder[home] = (enum pinion__holder)home;
        }
}

/* Whose home is the host whatever it costs. */
static bool must_be_host(const pinion_plan *plan, int storage)
{
    const pinion__storage *of = &plan->storages[storage];
    bool logits = plan->options.mode == PINION_INFER && plan->tensors[plan->output].storage == storage;
    return logits || pinion__storage_is_given(of);
}

/* Costs that differ by less than rounding are the same. */
static bool is_cheaper(const bill *of)
{
    return of->ms[1] < of->ms[0] * (1 - 1e-9);
}

int pinion__plan_choose_homes(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    bill *bills = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->storage_count + 1, sizeof *bills, "hand-overs of a plan", &bills));
    for (size_t s = 0; s < plan->storage_count; s++)
        bills[s].holder[1] = PINION__HELD_BY_DEVICE;
    for (int t = 0; t < (int)plan->task_count; t++) {
        pinion__use uses[PINION__MOST_USES];
        double times = times_of(plan, t);
        int count = pinion__plan_uses(plan, &plan->tasks[t], uses);
        for (int i = 0; i < count; i++)
            charge(plan, &bills[uses[i].storage], &uses[i], pinion__task_on_device(plan, &plan->tasks[t]), times);
        if (t == plan->gate) {
            const pinion__use look = {.storage = plan->tensors[plan->loss].storage, .reads = true};
            charge(plan, &bills[look.storage], &look, false, times);
        }
        if (t + 1 == pinion__plan_stretch_end(plan, t))
            charge_ways_home(plan, bills, times);
    }
    for (size_t s = 0; s < plan->storage_count; s++)
        plan->storages[s].home =
            is_cheaper(&bills[s]) && !must_be_host(plan, (int)s) ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST;
fail:
    pinion__release(ctx, bills);
    return status;
}
