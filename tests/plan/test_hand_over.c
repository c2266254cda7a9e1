/* SPDX-License-Identifier: Apache-2.0
 *
 * Hand-overs of a plan as tasks, looked at one by one: random networks whose tasks are dealt out to two host processors
 * and two devices. Each use finds a holder that allows it; each hand-over stands where it is needed, belongs to the
 * task that asks for it, and carries bytes only where they matter.
 */
#include "plan/networks.h"

#include "device/memory.h"
#include "plan/build.h"
#include "plan/hand_over.h"
#include "support/quick.h"

#include <stdlib.h>

enum { SAMPLES = 4, PROCESSORS = 4, FIRST_DEVICE = 1, MOST_STORAGES = 1024 };

/* A plan all of whose tasks were on the host, and what it was like before they were dealt out. */
typedef struct bench {
    pinion_context *ctx;
    pinion_network *network;
    pinion__domain *domain, *other;
    pinion__processor *processors[PROCESSORS]; /* host, device, device, host */
    pinion_plan *plan;
    pinion__task *before;
    int count, gate, prologue, part_end;
} bench;

/* A walk over the tasks of the plan with its hand-overs. */
typedef struct walk {
    const bench *b;
    enum pinion__holder holder[MOST_STORAGES];
    int next;    /* the task of those before that comes next */
    int begins;  /* where it, or its first hand-over, stands; -1: not seen yet */
    int gate_at; /* where the gate is found to be */
    int empty;   /* hand-overs without contents */
    int awaited; /* those whose contents only later stretches want */
    int hand_overs;
} walk;

static void make_plan(bench *b, uint64_t seed)
{
    *b = (bench){.ctx = make_context()};
    pinion_plan_options options = training_options(SAMPLES);
    pinion__plan_tuning tuning = {.micro_batches = seed % 3 == 2 ? 0 : 2};
    options.mode = seed % 4 == 3 ? PINION_INFER : PINION_TRAIN;
    options.clip = seed % 5 == 0;
    options.unfused = seed % 7 == 0;
    if (options.mode == PINION_INFER)
        tuning.micro_batches = 0;
    assert_int_equal(pinion__domain_create_simulated(b->ctx, seed % 2 == 0, &b->domain), PINION_OK);
    assert_int_equal(pinion__domain_create_simulated(b->ctx, false, &b->other), PINION_OK);
    b->domain->alignment = 4096; /* more than a batch takes */
    for (int p = 0; p < PROCESSORS; p++)
        if (p == 0 || p == 3)
            assert_int_equal(pinion__processor_create_simulated(b->ctx, "host", 0, 0, &b->processors[p]), PINION_OK);
        else
            assert_int_equal(
                pinion__processor_create_simulated_in(b->ctx, "device", b->domain, 0, 0, &b->processors[p]), PINION_OK);
    b->network = make_random_network(b->ctx, seed, 3 + (int)(seed % 12), false);
    if (pinion__plan_create_tuned(b->network, &options, &tuning, b->processors, PROCESSORS, &b->plan) < 0)
        fail_msg("%s", pinion_context_error(b->ctx));
    assert_null(b->plan->domain);
    assert_true(b->plan->storage_count <= MOST_STORAGES);
}

/* Deals the tasks out at random, gives each a time, and keeps what the plan is like. */
static void deal_out(bench *b, uint64_t seed)
{
    pinion_plan *plan = b->plan;
    draws from = {.seed = seed + 4000};
    plan->hand_over_costs.copies = b->domain->copies;
    for (int i = 0; i < PINION__HOLDERS * PINION__HOLDERS; i++) /* homes as they may be, not where most tasks are */
        plan->hand_over_costs.at[i / PINION__HOLDERS][i % PINION__HOLDERS].fixed_ms = 1 + draw(&from, 10);
    plan->input_bytes = 77;
    for (size_t t = 0; t < plan->task_count; t++) {
        plan->tasks[t].processor = draw(&from, PROCESSORS);
        plan->tasks[t].n0 = (int)t % 3;
        plan->tasks[t].start_ms = 10 * (double)t + 1;
        plan->tasks[t].end_ms = 10 * (double)t + 5;
    }
    for (size_t s = 0; s < plan->storage_count && seed % 2; s++) /* then that later tasks use it is what keeps it */
        plan->storages[s].carried = false;
    b->count = (int)plan->task_count;
    b->gate = plan->gate;
    b->prologue = plan->prologue;
    b->part_end = plan->part_end;
    b->before = malloc(plan->task_count * sizeof *b->before);
    assert_non_null(b->before);
    memcpy(b->before, plan->tasks, plan->task_count * sizeof *b->before);
}

static void end(bench *b)
{
    pinion_plan_destroy(b->plan);
    for (int p = 0; p < PROCESSORS; p++)
        pinion__processor_destroy(b->processors[p]);
    pinion_network_destroy(b->network);
    pinion__domain_destroy_simulated(b->domain);
    pinion__domain_destroy_simulated(b->other);
    pinion_context_destroy(b->ctx);
    free(b->before);
}

static bool on_device(const pinion__task *task)
{
    return task->processor == FIRST_DEVICE || task->processor == FIRST_DEVICE + 1;
}

/* The use of a storage by a task of those before; false: it has none. */
static bool find_use(const bench *b, int k, int storage, pinion__use *out)
{
    pinion__use uses[PINION__MOST_USES];
    int count = k >= 0 && k < b->count ? pinion__plan_uses(b->plan, &b->before[k], uses) : 0;
    for (int i = 0; i < count; i++)
        if (uses[i].storage == storage) {
            *out = uses[i];
            return true;
        }
    return false;
}

/* Tasks that repeat by themselves end here: the prologue, the part of micro-batches, and the step. */
static bool ends_stretch(const bench *b, int k)
{
    return k == b->prologue || k == b->count || (b->plan->micro_batches > 1 && k == b->part_end);
}

static bool is_used(const bench *b, int storage, int from, bool beyond)
{
    pinion__use use = {0};
    for (bool here = true; from < b->count; from++) {
        here = here && !ends_stretch(b, from);
        if (here != beyond && find_use(b, from, storage, &use))
            return true;
    }
    return false;
}

/* It belongs to the task, computes nothing, and is done by its device or else the first. */
static void check_task(const pinion__task *task, const pinion__task *of, double when)
{
    assert_int_equal(task->layer, of->layer);
    assert_ptr_equal(task->op, of->op);
    assert_int_equal(task->pass, of->pass);
    assert_int_equal(task->n0, of->n0);
    assert_int_equal(task->n1, of->n1);
    assert_int_equal(task->processor, on_device(of) ? of->processor : FIRST_DEVICE);
    assert_true(task->start_ms == when && task->end_ms == when);
    assert_int_equal(task->param, -1);
    assert_int_equal(task->prepared, -1);
    assert_int_equal(task->scratch, -1);
    assert_int_equal(task->update.op, PINION__OP_COUNT);
    assert_null(task->kernel);
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        assert_int_equal(task->operand[i], -1);
}

/* In front of a task that may not use the storage as it is held. */
static void check_front(const walk *w, const pinion__task *task)
{
    const bench *b = w->b;
    const pinion__task *of = &b->before[w->next];
    const enum pinion__holder own = on_device(of) ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST;
    pinion__use use = {0};
    assert_true(find_use(b, w->next, task->hand_over.storage, &use));
    check_task(task, of, of->start_ms);
    assert_true(task->hand_over.from != own && (use.writes || task->hand_over.from != PINION__HELD_BY_BOTH));
    bool both = !use.writes && (own == PINION__HELD_BY_HOST || b->domain->copies);
    assert_int_equal(task->hand_over.to, both ? PINION__HELD_BY_BOTH : own);
    assert_int_equal(task->hand_over.contents, use.reads || !use.whole);
}

/* Behind the last task of a stretch that uses the storage: it goes home, and bytes that nobody wants stay. */
static void check_back(walk *w, const pinion__task *task)
{
    const bench *b = w->b;
    const int storage = task->hand_over.storage;
    check_task(task, &b->before[w->next - 1], b->before[w->next - 1].end_ms);
    assert_int_equal(task->hand_over.to, b->plan->storages[storage].home);
    bool lasting = pinion__storage_is_lasting(&b->plan->storages[storage]);
    bool awaited = is_used(b, storage, w->next, true);
    assert_int_equal(task->hand_over.contents, lasting || awaited);
    w->awaited += awaited && !lasting;
}

enum kind { WORK, LOOK, BACK, FRONT };

/* Hand-overs behind a task come before those in front of the next: the host's look at the loss, then the ways home. */
static enum kind kind_of(const walk *w, const pinion__task *task)
{
    const bench *b = w->b;
    const int storage = task->hand_over.storage;
    pinion__use use;
    if (!task->hand_over.present)
        return WORK;
    if (w->begins >= 0 || !find_use(b, w->next - 1, storage, &use))
        return FRONT;
    if (b->gate >= 0 && w->next - 1 == b->gate && storage == b->plan->tensors[b->plan->loss].storage &&
        w->holder[storage] == PINION__HELD_BY_DEVICE)
        return LOOK;
    bool stays = w->holder[storage] == b->plan->storages[storage].home || is_used(b, storage, w->next, false);
    return stays ? FRONT : BACK;
}

static void check_look(walk *w, const pinion__task *task, int t)
{
    check_task(task, &w->b->before[w->b->gate], w->b->before[w->b->gate].end_ms);
    assert_int_equal(task->hand_over.to, PINION__HELD_BY_BOTH);
    assert_true(task->hand_over.contents);
    w->gate_at = t;
}

static void check_hand_over(walk *w, enum kind kind, int t)
{
    const pinion__task *task = &w->b->plan->tasks[t];
    enum pinion__holder *holder = &w->holder[task->hand_over.storage];
    assert_int_equal(task->hand_over.from, *holder);
    assert_int_not_equal(task->hand_over.to, *holder);
    if (kind == LOOK)
        check_look(w, task, t);
    else if (kind == BACK)
        check_back(w, task);
    else
        check_front(w, task);
    *holder = task->hand_over.to;
    w->empty += !task->hand_over.contents;
    w->hand_overs++;
}

static void check_use(const walk *w, const pinion__task *task)
{
    pinion__use uses[PINION__MOST_USES];
    int count = pinion__plan_uses(w->b->plan, task, uses);
    for (int i = 0; i < count; i++) {
        enum pinion__holder holder = w->holder[uses[i].storage];
        bool own = holder == (on_device(task) ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST);
        assert_true(own || (holder == PINION__HELD_BY_BOTH && !uses[i].writes));
    }
}

static void check_work(walk *w, int t)
{
    const pinion__task *task = &w->b->plan->tasks[t];
    assert_memory_equal(task, &w->b->before[w->next], sizeof *task);
    check_use(w, task);
    w->gate_at = w->next == w->b->gate ? t : w->gate_at;
    w->begins = -1;
    w->next++;
}

/* Where the tasks before `next` end, hand-overs behind them included, is where the new plan says. */
static void check_border(const walk *w, int end)
{
    const bench *b = w->b;
    if (w->next == b->prologue)
        assert_int_equal(b->plan->prologue, end);
    if (w->next == b->part_end)
        assert_int_equal(b->plan->part_end, end);
    if (ends_stretch(b, w->next))
        for (size_t s = 0; s < b->plan->storage_count; s++)
            assert_int_equal(w->holder[s], b->plan->storages[s].home);
}

static void check_tasks(walk *w)
{
    const bench *b = w->b;
    const int count = (int)b->plan->task_count;
    for (size_t s = 0; s < b->plan->storage_count; s++)
        w->holder[s] = b->plan->storages[s].home;
    for (int t = 0; t < count; t++) {
        const pinion__task *task = &b->plan->tasks[t];
        enum kind kind = kind_of(w, task);
        if (w->begins < 0 && (kind == WORK || kind == FRONT)) {
            check_border(w, t);
            w->begins = t;
        }
        if (kind == WORK)
            check_work(w, t);
        else
            check_hand_over(w, kind, t);
        if (t == b->plan->gate) /* the host looks at the loss */
            assert_int_not_equal(w->holder[b->plan->tensors[b->plan->loss].storage], PINION__HELD_BY_DEVICE);
    }
    check_border(w, count);
    assert_int_equal(w->next, b->count);
    assert_int_equal(w->gate_at, b->plan->gate);
}

/* What the caller gives and is handed over has room of its own in the domain, from aligned places on. */
static void check_input(const bench *b)
{
    const pinion_plan *plan = b->plan;
    size_t end = 0;
    for (size_t s = 0; s < plan->storage_count; s++) {
        bool passes = false;
        for (size_t t = 0; t < plan->task_count; t++)
            passes = passes || (plan->tasks[t].hand_over.present && plan->tasks[t].hand_over.storage == (int)s);
        if (!passes || !pinion__storage_is_given(&plan->storages[s]))
            continue;
        end = (end + b->domain->alignment - 1) / b->domain->alignment * b->domain->alignment;
        assert_int_equal(plan->storages[s].offset, end);
        end += plan->storages[s].bytes;
    }
    assert_int_equal(plan->input_bytes, end);
}

static void test_random(void **state)
{
    (void)state;
    int empty = 0, hand_overs = 0, prologues = 0, two_inputs = 0, awaited = 0, on_device = 0;
    const int plans = (int)seeds(60);
    for (uint64_t seed = 0; seed < (uint64_t)plans; seed++) {
        bench b;
        make_plan(&b, seed);
        deal_out(&b, seed);
        walk w = {.b = &b, .begins = -1, .gate_at = -1};
        if (pinion__plan_hand_over(b.plan) < 0)
            fail_msg("%s", pinion_context_error(b.ctx));
        assert_ptr_equal(b.plan->domain, b.domain);
        assert_true(b.plan->task_capacity >= b.plan->task_count);
        check_tasks(&w);
        check_input(&b);
        assert_int_equal(w.hand_overs + b.count, b.plan->task_count);
        empty += w.empty;
        awaited += w.awaited;
        hand_overs += w.hand_overs;
        prologues += b.prologue > 0;
        for (size_t s = 0; s < b.plan->storage_count; s++)
            on_device += b.plan->storages[s].home == PINION__HELD_BY_DEVICE;
        two_inputs += b.plan->input_bytes > b.domain->alignment;
        end(&b);
    }
    print_message("%d hand-overs, %d without contents; %d prologues, %d plans with two inputs\n", hand_overs, empty,
                  prologues, two_inputs);
    assert_true(hand_overs > 20 * plans && empty > 5 * plans && on_device > plans && awaited > 0 && prologues > 1 &&
                two_inputs > 1);
}

/* Nothing changes where all work on the host. */
static void test_host_only(void **state)
{
    (void)state;
    bench b;
    make_plan(&b, 1);
    const pinion__task *tasks = b.plan->tasks;
    size_t count = b.plan->task_count;
    b.plan->domain = b.other; /* of an earlier attempt */
    assert_int_equal(pinion__plan_hand_over(b.plan), PINION_OK);
    assert_ptr_equal(b.plan->tasks, tasks);
    assert_int_equal(b.plan->task_count, count);
    assert_null(b.plan->domain);
    end(&b);
}

static int alternate(void *user, int index)
{
    (void)user;
    return index % PROCESSORS;
}

/* One plan, one domain: devices of two OpenCL contexts cannot share its arena. The domain of a processor that does
 * nothing does not matter. */
static void test_two_domains(void **state)
{
    (void)state;
    bench b;
    make_plan(&b, 1);
    snprintf(b.domain->name, sizeof b.domain->name, "opencl");
    snprintf(b.other->name, sizeof b.other->name, "opencl#2");
    b.processors[2]->domain = b.other;
    b.plan->tasks[0].processor = 2;
    b.plan->tasks[b.plan->task_count - 1].processor = 1;
    assert_int_equal(pinion__plan_hand_over(b.plan), PINION_EUNSUPPORTED);
    assert_string_equal(pinion_context_error(b.ctx),
                        "a plan for processors in the memory of 'opencl#2' and of 'opencl'; "
                        "expected one of them, and the host");
    pinion_plan_options options = training_options(SAMPLES);
    const pinion__plan_tuning tuning = {.processor_of = alternate};
    pinion_plan *plan = NULL;
    assert_int_equal(pinion__plan_create_tuned(b.network, &options, &tuning, b.processors, PROCESSORS, &plan),
                     PINION_EUNSUPPORTED);
    assert_null(plan);
    b.plan->tasks[0].processor = 1;
    assert_int_equal(pinion__plan_hand_over(b.plan), PINION_OK);
    assert_ptr_equal(b.plan->domain, b.domain);
    b.processors[2]->domain = b.domain;
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_host_only),
        cmocka_unit_test(test_two_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
