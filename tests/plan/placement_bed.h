/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of placement share: problems made of layers like training steps have them (chains, residuals, towers,
 * diamonds) or at random, with mock processors; and a ledger that accounts for a placement by running the tasks one
 * after the other, as often as they run, and making hand-overs one by one. It shares no code with placement.
 */
#ifndef TESTS_PLAN_PLACEMENT_BED_H
#define TESTS_PLAN_PLACEMENT_BED_H

#include "plan/placement.h"

#include "base/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

enum {
    MAX_TASKS = 1600,
    MAX_STORAGES = 4000,
    MAX_USES = 20000,
    MAX_PROCESSORS = 16,
    MAX_EDGES = 64,
    MAX_READERS = 1000
};

typedef struct bed {
    pinion__placement_problem problem;
    double ms[MAX_TASKS * MAX_PROCESSORS], times[MAX_TASKS], slowdown[MAX_PROCESSORS * MAX_PROCESSORS];
    int unit[MAX_TASKS], edges[MAX_EDGES][2];
    bool device[MAX_PROCESSORS];
    uint32_t rivals[MAX_PROCESSORS];
    pinion__hand_over_costs costs;
    pinion__placement_storage storages[MAX_STORAGES];
    pinion__placement_use uses[MAX_USES];
    /* Uses as they are made, in the order of tasks. */
    struct made_use {
        int storage;
        pinion__placement_use use;
    } made[MAX_USES];
    int made_count;
    uint64_t state; /* of its random numbers */
    char names[MAX_TASKS][32];
} bed;

static inline uint32_t bed_draw(bed *b, uint32_t below)
{
    b->state = b->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint32_t x = (uint32_t)(b->state >> 33) ^ (uint32_t)(b->state >> 47);
    return x % below;
}

/* In [low, high), on a grid so coarse that ties are common where `coarse` says so. */
static inline double bed_uniform(bed *b, double low, double high)
{
    return low + (high - low) * bed_draw(b, 1 << 20) / (1 << 20);
}

static inline bed *bed_create(pinion_context *ctx, uint64_t seed, int processors)
{
    bed *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int i = 0; i < 4; i++)
        (void)bed_draw(b, 2);
    b->problem = (pinion__placement_problem){.ctx = ctx,
                                             .processor_count = processors,
                                             .ms = b->ms,
                                             .storages = b->storages,
                                             .uses = b->uses,
                                             .device = b->device,
                                             .costs = &b->costs,
                                             .unit = b->unit,
                                             .edges = (const int(*)[2])b->edges,
                                             .rivals = b->rivals};
    return b;
}

static inline int bed_storage(bed *b, size_t bytes)
{
    assert_true(b->problem.storage_count < MAX_STORAGES);
    b->storages[b->problem.storage_count].bytes = bytes;
    return b->problem.storage_count++;
}

static inline int bed_task(bed *b, const char *name, int unit)
{
    assert_true(b->problem.task_count < MAX_TASKS);
    b->unit[b->problem.task_count] = unit;
    snprintf(b->names[b->problem.task_count], sizeof b->names[0], "%s", name);
    return b->problem.task_count++;
}

/* A use by the task made last; two of one storage become one. */
static inline void bed_use(bed *b, int storage, bool reads, bool writes)
{
    int task = b->problem.task_count - 1;
    for (int i = b->made_count - 1; i >= 0 && b->made[i].use.task == task; i--)
        if (b->made[i].storage == storage) {
            b->made[i].use.reads |= reads;
            b->made[i].use.writes |= writes;
            return;
        }
    assert_true(b->made_count < MAX_USES);
    b->made[b->made_count].storage = storage;
    b->made[b->made_count++].use = (pinion__placement_use){.task = task, .reads = reads, .writes = writes};
}

static inline void bed_read(bed *b, int storage)
{
    bed_use(b, storage, true, false);
}

static inline void bed_write(bed *b, int storage)
{
    bed_use(b, storage, false, true);
}

/* Sorts the uses by storage. */
static inline void bed_finish(bed *b)
{
    int count = 0;
    for (int s = 0; s < b->problem.storage_count; s++) {
        b->storages[s].first_use = count;
        for (int i = 0; i < b->made_count; i++)
            if (b->made[i].storage == s)
                b->uses[count++] = b->made[i].use;
        b->storages[s].use_count = count - b->storages[s].first_use;
    }
}

/* Hand-overs of the reference board: 100 us + bytes / 2 GB/s. */
static inline void bed_costs(bed *b, bool copies, double fixed_ms, double ms_per_byte)
{
    b->costs.copies = copies;
    for (int from = 0; from < PINION__HOLDERS; from++)
        for (int to = 0; to < PINION__HOLDERS; to++)
            b->costs.at[from][to] = (pinion__hand_over_cost){fixed_ms, ms_per_byte};
}

enum { BOARD_BYTES_PER_MS = 2000000 };

static inline void bed_board(bed *b, bool copies)
{
    bed_costs(b, copies, 0.1, 1.0 / BOARD_BYTES_PER_MS);
}

/* ---- Networks ---- */

enum { MAX_LAYERS = 128, MAX_INPUTS = 3 };

typedef struct mock_layer {
    int inputs[MAX_INPUTS], input_count; /* layers; -1: the images */
    bool weights;
    size_t activation_bytes, weight_bytes;
    double ms; /* forward on a processor of speed 1 */
} mock_layer;

typedef struct mock_network {
    mock_layer layers[MAX_LAYERS];
    int count;
    bool separate_updates; /* update tasks behind all others; else backward_weights updates */
    bool clips;            /* with a norm that every gradient adds to and every update reads */
} mock_network;

static inline void bed_forward(bed *b, const mock_network *net, const int *activation, const int *weight)
{
    char name[32];
    for (int l = 0; l < net->count; l++) {
        const mock_layer *layer = &net->layers[l];
        snprintf(name, sizeof name, "%d forward", l);
        (void)bed_task(b, name, 2 * l);
        for (int i = 0; i < layer->input_count; i++)
            bed_read(b, layer->inputs[i] < 0 ? activation[net->count] : activation[layer->inputs[i]]);
        if (layer->weights)
            bed_read(b, weight[l]);
        bed_write(b, activation[l]);
    }
}

/* The tasks of a training step. What the speed ratios of processors refer to is in `work`: [task]. */
static inline void bed_train(bed *b, const mock_network *net, double *work)
{
    int activation[MAX_LAYERS + 1], gradient[MAX_LAYERS], weight[MAX_LAYERS], of_weight[MAX_LAYERS];
    bool written[MAX_LAYERS] = {false};
    char name[32];
    for (int l = 0; l < net->count; l++) {
        activation[l] = bed_storage(b, net->layers[l].activation_bytes);
        gradient[l] = bed_storage(b, net->layers[l].activation_bytes);
        weight[l] = net->layers[l].weights ? bed_storage(b, net->layers[l].weight_bytes) : -1;
        of_weight[l] =
            net->layers[l].weights && net->separate_updates ? bed_storage(b, net->layers[l].weight_bytes) : -1;
    }
    activation[net->count] = bed_storage(b, net->layers[0].activation_bytes); /* the images */
    b->storages[activation[net->count]].host_home = true;
    int norm = net->clips ? bed_storage(b, 4) : -1, losses = bed_storage(b, 64);
    bed_forward(b, net, activation, weight);
    for (int t = 0; t < b->problem.task_count; t++)
        work[t] = net->layers[t].ms;
    work[bed_task(b, "loss", -1)] = 0.05;
    bed_read(b, activation[net->count - 1]);
    bed_write(b, gradient[net->count - 1]);
    bed_write(b, losses);
    bool first_norm = true;
    for (int l = net->count - 1; l >= 0; l--) {
        const mock_layer *layer = &net->layers[l];
        for (int i = 0; i < layer->input_count; i++) {
            if (layer->inputs[i] < 0)
                continue;
            snprintf(name, sizeof name, "%d backward_data", l);
            work[bed_task(b, name, 2 * l + 1)] = layer->ms;
            bed_read(b, gradient[l]);
            if (layer->weights)
                bed_read(b, weight[l]);
            else
                bed_read(b, activation[l]);
            bed_use(b, gradient[layer->inputs[i]], written[layer->inputs[i]], true);
            written[layer->inputs[i]] = true;
        }
        if (!layer->weights)
            continue;
        snprintf(name, sizeof name, "%d backward_weights", l);
        work[bed_task(b, name, 2 * l + 1)] = layer->ms;
        for (int i = 0; i < layer->input_count; i++)
            bed_read(b, layer->inputs[i] < 0 ? activation[net->count] : activation[layer->inputs[i]]);
        bed_read(b, gradient[l]);
        if (net->separate_updates)
            bed_write(b, of_weight[l]);
        else
            bed_use(b, weight[l], true, true);
        if (net->clips && net->separate_updates) {
            snprintf(name, sizeof name, "%d grad_square", l);
            work[bed_task(b, name, -1)] = 0.02;
            bed_read(b, of_weight[l]);
            bed_use(b, norm, !first_norm, true);
            first_norm = false;
        }
    }
    for (int l = 0; l < net->count && net->separate_updates; l++) {
        if (!net->layers[l].weights)
            continue;
        snprintf(name, sizeof name, "%d update", l);
        work[bed_task(b, name, -1)] = 0.05;
        bed_read(b, of_weight[l]);
        bed_use(b, weight[l], true, true);
        if (net->clips)
            bed_read(b, norm);
    }
    bed_finish(b);
}

/* ---- The ledger ---- */

/* Who has the valid bytes. */
typedef struct hands {
    bool host, device;
} hands;

static inline enum pinion__holder hands_name(hands of)
{
    return of.host && of.device ? PINION__HELD_BY_BOTH : of.host ? PINION__HELD_BY_HOST : PINION__HELD_BY_DEVICE;
}

static inline hands hands_after(hands before, bool device, bool writes, bool copies)
{
    if (writes)
        return (hands){.host = !device, .device = device};
    if (device ? before.device : before.host)
        return before;
    if (device && !copies) /* unmapped as a whole */
        return (hands){.host = false, .device = true};
    return (hands){.host = true, .device = true};
}

static inline double ledger_move(const bed *b, int storage, hands from, hands to, bool contents)
{
    if (from.host == to.host && from.device == to.device)
        return 0;
    pinion__hand_over_cost cost = b->costs.at[hands_name(from)][hands_name(to)];
    if (b->costs.copies && !contents)
        return cost.fixed_ms;
    return cost.fixed_ms + cost.ms_per_byte * (double)b->storages[storage].bytes;
}

static inline int ledger_times(const bed *b, int task)
{
    return b->problem.times ? (int)b->problem.times[task] : 1;
}

/* The use of a storage by a task; NULL: none. */
static inline const pinion__placement_use *ledger_use(const bed *b, int storage, int task)
{
    for (int i = 0; i < b->storages[storage].use_count; i++)
        if (b->uses[b->storages[storage].first_use + i].task == task)
            return &b->uses[b->storages[storage].first_use + i];
    return NULL;
}

/* Does anybody who comes first after the storage was at home want its contents? */
static inline bool ledger_wanted(const bed *b, int storage)
{
    bool wanted = b->storages[storage].host_home;
    int before = -1;
    for (int t = 0; t < b->problem.task_count; t++) {
        const pinion__placement_use *use = ledger_use(b, storage, t);
        if (use && (before < 0 || ledger_times(b, before) != ledger_times(b, t)))
            wanted |= use->reads;
        if (use)
            before = t;
    }
    return wanted;
}

/* ms of all hand-overs of a storage in a step that begins with it at `home`: the tasks of each run of equal times, as
 * often as they run. */
static inline double ledger_storage(const bed *b, int storage, const int *processor, bool home_device)
{
    const pinion__placement_storage *of = &b->storages[storage];
    const hands home = {.host = !home_device, .device = home_device};
    const bool wanted = ledger_wanted(b, storage);
    hands now = home;
    double sum = 0;
    for (int first = 0, end; first < of->use_count; first = end) {
        const pinion__placement_use *uses = &b->uses[of->first_use];
        const int times = ledger_times(b, uses[first].task);
        for (end = first; end < of->use_count && ledger_times(b, uses[end].task) == times;)
            end++;
        for (int round = 0; round < times; round++) {
            for (int i = first; i < end; i++) {
                hands next = hands_after(now, b->device[processor[uses[i].task]], uses[i].writes, b->costs.copies);
                sum += ledger_move(b, storage, now, next, uses[i].reads);
                now = next;
            }
            sum += ledger_move(b, storage, now, home, wanted);
            now = home;
        }
    }
    return sum;
}

static inline double ledger_home(const bed *b, int storage, const int *processor)
{
    double host = ledger_storage(b, storage, processor, false);
    return b->storages[storage].host_home ? host : fmin(host, ledger_storage(b, storage, processor, true));
}

static inline double ledger_cost(const bed *b, const int *processor)
{
    double sum = 0;
    for (int t = 0; t < b->problem.task_count; t++) {
        double ms = b->ms[t * b->problem.processor_count + processor[t]];
        if (!isfinite(ms))
            return HUGE_VAL;
        for (int i = 0; i < ledger_times(b, t); i++)
            sum += ms;
    }
    for (int s = 0; s < b->problem.storage_count; s++)
        sum += ledger_home(b, s, processor);
    return sum;
}

/* ---- Random problems ---- */

enum bed_kind { BED_CHAIN, BED_RESIDUAL, BED_TOWERS, BED_DIAMOND, BED_RANDOM, BED_KINDS };

static inline void add_layer(mock_network *net, int a, int b, bool weights)
{
    mock_layer *layer = &net->layers[net->count++];
    *layer = (mock_layer){.inputs = {a, b}, .input_count = b < -1 ? 1 : 2, .weights = weights, .ms = 1};
}

enum { NONE = -2 };

static inline void draw_network(bed *b, enum bed_kind kind, mock_network *net, int size)
{
    *net = (mock_network){.separate_updates = bed_draw(b, 3) == 0, .clips = bed_draw(b, 2) == 0};
    add_layer(net, -1, NONE, true);
    for (int i = 0; i < size; i++) {
        int at = net->count - 1;
        if (kind == BED_CHAIN) {
            add_layer(net, at, NONE, bed_draw(b, 3) > 0);
        } else if (kind == BED_RESIDUAL) { /* the tensor before has several readers */
            add_layer(net, at, NONE, bed_draw(b, 3) > 0);
            add_layer(net, at + 1, at, false);
        } else if (kind == BED_TOWERS) { /* two chains */
            add_layer(net, i == 0 ? -1 : at - 1, NONE, true);
        } else {
            add_layer(net, at, NONE, bed_draw(b, 2) > 0);
            add_layer(net, at, NONE, bed_draw(b, 2) > 0);
            add_layer(net, at + 1, at + 2, false);
        }
    }
    if (kind == BED_TOWERS && net->count > 1)
        add_layer(net, net->count - 2, net->count - 1, false);
    for (int l = 0; l < net->count; l++) {
        net->layers[l].activation_bytes = (size_t)(1 + bed_draw(b, 8)) * 100000;
        net->layers[l].weight_bytes = (size_t)(1 + bed_draw(b, 8)) * 50000;
    }
}

static inline void draw_tangle(bed *b, int tasks, int storages)
{
    for (int s = 0; s < storages; s++)
        (void)bed_storage(b, (size_t)(1 + bed_draw(b, 10)) * 100000);
    for (int t = 0; t < tasks; t++) {
        (void)bed_task(b, "task", (int)bed_draw(b, 4) - 1);
        for (int s = 0; s < storages; s++)
            if (bed_draw(b, 2) == 0)
                bed_use(b, s, bed_draw(b, 4) > 0, bed_draw(b, 3) == 0);
    }
    for (int i = 0; i < b->made_count; i++)
        b->made[i].use.reads |= !b->made[i].use.writes;
    bed_finish(b);
}

static inline void draw_times(bed *b)
{
    int tasks = b->problem.task_count;
    int prologue = (int)bed_draw(b, (uint32_t)tasks / 2 + 1), end = tasks - (int)bed_draw(b, (uint32_t)tasks / 2 + 1);
    int parts = 2 + (int)bed_draw(b, 3);
    bool once = bed_draw(b, 2);
    for (int t = 0; t < tasks; t++)
        b->times[t] = t < prologue ? (once ? 0 : 1) : t < end ? parts : 1;
    b->problem.times = b->times;
}

/* ms of all tasks on all processors, hand-over costs, some impossible entries. Coarse numbers, so that ties occur. */
static inline void draw_board(bed *b, bool free_of_holes)
{
    const int processors = b->problem.processor_count;
    const bool coarse = bed_draw(b, 2), holes = !free_of_holes && bed_draw(b, 2) == 0;
    for (int p = 0; p < processors; p++)
        b->device[p] = bed_draw(b, 2);
    if (processors > 1 && bed_draw(b, 4))
        b->device[1] = !b->device[0];
    for (int t = 0; t < b->problem.task_count; t++) {
        double work = coarse ? 1 + bed_draw(b, 3) : bed_uniform(b, 0.05, 3);
        int sure = (int)bed_draw(b, (uint32_t)processors);
        for (int p = 0; p < processors; p++) {
            double *ms = &b->ms[t * processors + p];
            *ms = coarse ? work + 0.5 * bed_draw(b, 3) : work * bed_uniform(b, 0.6, 1.7);
            if (holes && p != sure && bed_draw(b, 4) == 0)
                *ms = HUGE_VAL;
        }
    }
    bed_board(b, bed_draw(b, 2));
    for (int from = 0; from < PINION__HOLDERS; from++)
        for (int to = 0; to < PINION__HOLDERS; to++) {
            b->costs.at[from][to].fixed_ms = coarse ? 0.25 * bed_draw(b, 4) : bed_uniform(b, 0, 0.3);
            b->costs.at[from][to].ms_per_byte = coarse ? 0 : bed_uniform(b, 0, 2.0 / BOARD_BYTES_PER_MS);
        }
    for (int s = 0; s < b->problem.storage_count; s++)
        b->storages[s].host_home |= bed_draw(b, 8) == 0;
    if (bed_draw(b, 3) == 0 && b->problem.task_count > 1)
        draw_times(b);
}

static inline bed *bed_draw_problem(pinion_context *ctx, uint64_t seed, int processors, int size)
{
    bed *b = bed_create(ctx, seed, processors);
    enum bed_kind kind = (enum bed_kind)bed_draw(b, BED_KINDS);
    if (kind == BED_RANDOM) {
        draw_tangle(b, 2 + (int)bed_draw(b, (uint32_t)(3 * size)), 1 + (int)bed_draw(b, (uint32_t)(2 * size)));
    } else {
        mock_network net;
        double work[MAX_TASKS];
        draw_network(b, kind, &net, (int)bed_draw(b, (uint32_t)size + 1));
        bed_train(b, &net, work);
    }
    draw_board(b, false);
    return b;
}

/* conv, batch norm and, but for the shortcut, relu. */
static inline int add_conv(mock_network *net, int input, double ms, size_t activation, size_t weights, bool relu)
{
    for (int i = 0; i < (relu ? 3 : 2); i++) {
        add_layer(net, i == 0 ? input : net->count - 1, NONE, i < 2);
        mock_layer *layer = &net->layers[net->count - 1];
        layer->ms = i == 0 ? ms : 0.05 * ms;
        layer->activation_bytes = activation;
        layer->weight_bytes = i == 0 ? weights : 4096;
    }
    return net->count - 1;
}

/* ResNet-18 for images of 32 x 32 at batch 8, clipped by its norm: about 300 tasks. */
static inline void draw_resnet18(mock_network *net)
{
    *net = (mock_network){.separate_updates = true, .clips = true};
    size_t activation = (size_t)8 * 32 * 32 * 64 * 4, weights = (size_t)64 * 64 * 9 * 4;
    int at = add_conv(net, -1, 0.4, activation, weights / 16, true);
    for (int stage = 0; stage < 4; stage++)
        for (int block = 0; block < 2; block++) {
            bool shrinks = stage > 0 && block == 0;
            activation = shrinks ? activation / 2 : activation;
            weights = shrinks ? weights * 4 : weights;
            int shortcut = shrinks ? add_conv(net, at, 0.2, activation, weights / 18, false) : at;
            int inner = add_conv(net, at, shrinks ? 1 : 2, activation, weights, true);
            inner = add_conv(net, inner, 2, activation, weights, false);
            add_layer(net, inner, shortcut, false);
            at = net->count - 1;
            net->layers[at].activation_bytes = activation;
            net->layers[at].ms = 0.1;
            add_layer(net, at, NONE, false);
            net->layers[++at].activation_bytes = activation;
            net->layers[at].ms = 0.1;
        }
    add_layer(net, at, NONE, false); /* pool, fc */
    add_layer(net, at + 1, NONE, true);
    for (int l = at + 1; l < net->count; l++) {
        net->layers[l].activation_bytes = 16384;
        net->layers[l].weight_bytes = 20480;
        net->layers[l].ms = 0.05;
    }
}

/* Its training step on processors of nearly the same speed, of which every second works in the domain. */
static inline bed *bed_resnet18(pinion_context *ctx, int processors)
{
    bed *b = bed_create(ctx, 18, processors);
    mock_network net;
    double work[MAX_TASKS];
    draw_resnet18(&net);
    bed_train(b, &net, work);
    for (int p = 0; p < processors; p++)
        b->device[p] = p % 2 == 1;
    for (int t = 0; t < b->problem.task_count; t++)
        for (int p = 0; p < processors; p++)
            b->ms[t * processors + p] = 8 * work[t] * bed_uniform(b, 0.6, 1.7);
    bed_board(b, false);
    return b;
}

static inline pinion_context *open_context(void)
{
    pinion_context *ctx = NULL;
    pinion_context_options options = pinion_context_options_default();
    options.log = NULL;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return ctx;
}

static inline void close_context(pinion_context *ctx)
{
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    pinion_context_destroy(ctx);
}

static inline void expect_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9 * (1 + fabs(a) + fabs(b))))
        fail_msg("%.12g is not %.12g", a, b);
}

#endif
