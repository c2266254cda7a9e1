/* SPDX-License-Identifier: Apache-2.0
 *
 * Where each storage lies in the arena. A storage lives from the first to the last task that uses it in the serial
 * order; two may share bytes only if their lives do not meet. Offsets are assigned one storage after another, each in
 * the smallest gap that holds it between those placed before whose lives meet its own: "greedy by size for offset
 * calculation", Pisarchyk and Lee: "Efficient Memory Management for Deep Neural Net Inference", MLSys 2020 workshops
 * (arXiv 2001.03288), algorithm 3. Which order packs best depends on the network, so a few are tried and the smallest
 * arena is kept; ties are broken by number, so a layout is a function of the plan alone.
 *
 * Storages whose home is the host lie in front, those of a domain's devices behind: they never share bytes.
 */
#include "plan/build.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

enum order { BY_SIZE, BY_AREA, BY_LIFE, BY_START, ORDERS };

typedef pinion__block block;

static void use(pinion__storage *storage, int task)
{
    if (storage->first < 0)
        storage->first = task;
    storage->last = task;
}

/* The last task that a schedule starts before task `last` ends: bytes that pass to it would hold it back. Slices of a
 * batch and groups of a dynamic network follow each other closely, and no schedule is kept to the letter: there a part
 * of the step is added. */
static int last_beside(const pinion_plan *plan, int last, double slack)
{
    double end = plan->tasks[last].end_ms + slack;
    int beside = last;
    for (int t = last + 1; t < (int)plan->task_count; t++)
        if (plan->tasks[t].end_ms > 0 && plan->tasks[t].start_ms < end)
            beside = t;
    return beside;
}

static void find_lives(pinion_plan *plan)
{
    const int parts = 32;
    double slack = 0;
    for (int t = 0; (plan->cut.count || plan->width) && t < (int)plan->task_count; t++)
        slack = plan->tasks[t].end_ms / parts > slack ? plan->tasks[t].end_ms / parts : slack;
    for (size_t s = 0; s < plan->storage_count; s++)
        plan->storages[s].first = plan->storages[s].last = -1;
    for (int t = 0; t < (int)plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        for (int i = 0; i < PINION__MAX_OPERANDS; i++)
            if (task->operand[i] >= 0)
                use(&plan->storages[plan->tensors[task->operand[i]].storage], t);
        if (task->scratch >= 0)
            use(&plan->storages[task->scratch], t);
        if (task->hand_over.present)
            use(&plan->storages[task->hand_over.storage], t);
    }
    for (size_t s = 0; s < plan->storage_count; s++) {
        pinion__storage *storage = &plan->storages[s];
        if (storage->first < 0)
            continue;
        storage->last = last_beside(plan, storage->last, slack);
        if (storage->kept || storage->carried)
            storage->last = (int)plan->task_count;
        if (storage->carried)
            storage->first = 0;
    }
}

size_t pinion__plan_alignment(const pinion_plan *plan)
{
    size_t largest = ALIGNMENT;
    for (int i = 0; i < plan->processor_count; i++) {
        const pinion__processor *processor = plan->processors[i];
        if (processor->alignment > largest)
            largest = processor->alignment;
        if (processor->domain && processor->domain->alignment > largest)
            largest = processor->domain->alignment;
    }
    return largest;
}

static bool in_arena(const pinion__storage *storage)
{
    return storage->place == PINION__PLACE_ARENA && storage->first >= 0;
}

size_t pinion__plan_live_bytes(const pinion_plan *plan)
{
    size_t align = pinion__plan_alignment(plan), most = 0;
    for (int t = 0; t < (int)plan->task_count; t++) {
        size_t live = 0;
        for (size_t s = 0; s < plan->storage_count; s++) {
            const pinion__storage *storage = &plan->storages[s];
            if (in_arena(storage) && storage->first <= t && t <= storage->last)
                live += (storage->bytes + align - 1) / align * align;
        }
        most = live > most ? live : most;
    }
    return most;
}

static size_t collect(const pinion_plan *plan, bool separate, enum pinion__holder home, block *blocks)
{
    size_t count = 0, align = pinion__plan_alignment(plan);
    for (size_t s = 0; s < plan->storage_count; s++) {
        const pinion__storage *storage = &plan->storages[s];
        if (!in_arena(storage) || storage->home != home)
            continue;
        blocks[count++] = (block){.bytes = (storage->bytes + align - 1) / align * align,
                                  .first = separate ? 0 : storage->first,
                                  .last = separate ? (int)plan->task_count : storage->last,
                                  .storage = (int)s};
    }
    return count;
}

static int compare(const void *left, const void *right)
{
    const block *a = left, *b = right;
    if (a->key != b->key)
        return a->key > b->key ? -1 : 1;
    return a->storage < b->storage ? -1 : 1;
}

static void sort(block *blocks, size_t count, enum order order)
{
    for (size_t i = 0; i < count; i++) {
        block *at = &blocks[i];
        double life = at->last - at->first + 1, bytes = (double)at->bytes;
        at->key = order == BY_SIZE ? bytes : order == BY_AREA ? bytes * life : order == BY_LIFE ? life : -at->first;
    }
    qsort(blocks, count, sizeof *blocks, compare);
}

/* The offset of the best gap for `item` between `placed` blocks, which stand by rising offset. */
static size_t best_gap(const block *item, const block *const *placed, size_t count)
{
    size_t end = 0, best = SIZE_MAX, best_bytes = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const block *other = placed[i];
        if (other->last < item->first || item->last < other->first)
            continue;
        if (other->offset >= end + item->bytes && other->offset - end < best_bytes) {
            best = end;
            best_bytes = other->offset - end;
        }
        if (other->offset + other->bytes > end)
            end = other->offset + other->bytes;
    }
    return best != SIZE_MAX ? best : end;
}

/* Assigns offsets in the order of the array; returns the arena's size. */
static size_t pack(block *blocks, size_t count, const block **placed)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        block *item = &blocks[i];
        item->offset = best_gap(item, placed, i);
        size_t at = i;
        for (; at > 0 && placed[at - 1]->offset > item->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = item;
        if (item->offset + item->bytes > total)
            total = item->offset + item->bytes;
    }
    return total;
}

int pinion__layout_pack(pinion_context *ctx, pinion__block *blocks, size_t count, size_t *total)
{
    int status = PINION_OK;
    const block **placed = NULL;
    PINION_TRY(pinion__alloc(ctx, count + 1, sizeof *placed, "the layout of a plan", &placed));
    size_t least = SIZE_MAX;
    for (int order = 0; order < ORDERS; order++) {
        sort(blocks, count, (enum order)order);
        size_t bytes = pack(blocks, count, placed);
        for (size_t i = 0; i < count && bytes < least; i++)
            blocks[i].best = blocks[i].offset;
        least = bytes < least ? bytes : least;
    }
    *total = least;
fail:
    pinion__release(ctx, placed);
    return status;
}

int pinion__plan_layout(pinion_plan *plan, bool separate)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    block *blocks = NULL;
    find_lives(plan);
    PINION_TRY(pinion__alloc(ctx, plan->storage_count + 1, sizeof *blocks, "the layout of a plan", &blocks));
    plan->arena_bytes = 0;
    for (int home = PINION__HELD_BY_HOST; home <= PINION__HELD_BY_DEVICE; home++) {
        size_t count = collect(plan, separate, (enum pinion__holder)home, blocks), bytes;
        PINION_TRY(pinion__layout_pack(ctx, blocks, count, &bytes));
        for (size_t i = 0; i < count; i++)
            plan->storages[blocks[i].storage].offset = plan->arena_bytes + blocks[i].best;
        plan->arena_bytes += bytes;
    }
fail:
    pinion__release(ctx, blocks);
    return status;
}
