/* SPDX-License-Identifier: Apache-2.0
 *
 * A ledger that accounts for a placement by running the tasks one after the other, as often as they run, and making
 * hand-overs one by one. It shares no code with placement.
 */
#ifndef TESTS_PLAN_PLACEMENT_LEDGER_H
#define TESTS_PLAN_PLACEMENT_LEDGER_H

#include "plan/placement_bed.h"

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

#endif
