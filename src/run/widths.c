/* SPDX-License-Identifier: Apache-2.0
 *
 * Widths of a dynamic network. The width and how many groups have memory stand in one atomic word, so that any thread
 * may set the width while groups are released: it never exceeds what is there. Nothing else changes with the width: the
 * plan's tasks stand group by group, and an inference ends earlier.
 *
 * Releasing gives whole pages back to the system: prepared weights of a group begin at a page, so do its weights in the
 * network's block; of the arena those pages go that only later groups use. The addresses stay, so nothing is bound
 * anew. Memory of a device's domain is kept.
 */
#include "base/clock.h"
#include "base/pages.h"
#include "net/residence.h"
#include "run/state.h"

enum { SHIFT = 8, MASK = (1 << SHIFT) - 1 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

static unsigned pack(int width, int resident)
{
    return (unsigned)width | (unsigned)resident << SHIFT;
}

static int width_of(unsigned widths)
{
    return (int)(widths & MASK);
}

static int resident_of(unsigned widths)
{
    return (int)(widths >> SHIFT);
}

void pinion__runner_make_widths(pinion_runner *runner)
{
    const int groups = runner->plan->width, whole = runner->plan->network->width;
    atomic_init(&runner->widths, pack(whole > 0 ? least(groups, whole) : groups, groups));
}

static int check_width(const pinion_runner *runner, const char *call, int width)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    PINION_FAIL_IF(plan->options.mode != PINION_INFER, PINION_EINVAL, "%s: the plan is for training", call);
    PINION_FAIL_IF(plan->width == 0, PINION_EINVAL, "%s: network '%s' is not cut into groups", call,
                   plan->network->name);
    PINION_FAIL_IF(width < 1 || width > plan->width, PINION_EINVAL, "%s: width is %d; expected 1 to %d", call, width,
                   plan->width);
fail:
    return status;
}

/* Do groups 1 … width of the network have weights? */
static int check_weights(const pinion_runner *runner, int width)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    const pinion_network *network = runner->plan->network;
    const int whole = network->width;
    PINION_FAIL_IF(width > whole, PINION_EINVAL, "width %d: network '%s' has weights of %d of its %d groups", width,
                   network->name, whole, network->groups);
fail:
    return status;
}

int pinion_runner_set_width(pinion_runner *runner, int width)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    PINION_TRY(check_width(runner, "pinion_runner_set_width", width));
    unsigned old = atomic_load(&runner->widths);
    do {
        PINION_FAIL_IF(width > resident_of(old), PINION_EINVAL,
                       "width %d: groups beyond %d were released; pinion_runner_restore brings them back", width,
                       resident_of(old));
        PINION_TRY(check_weights(runner, width));
    } while (!atomic_compare_exchange_weak(&runner->widths, &old, pack(width, resident_of(old))));
fail:
    return status;
}

int pinion_runner_get_width(const pinion_runner *runner)
{
    return runner ? width_of(atomic_load(&runner->widths)) : 0;
}

int pinion__runner_take_width(const pinion_runner *runner, int *width)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    *width = 1;
    if (runner->plan->width == 0)
        return PINION_OK;
    *width = width_of(atomic_load(&runner->widths));
    PINION_TRY(check_weights(runner, *width));
fail:
    return status;
}

/* ---- releasing and restoring ---- */

/* The groups that have memory are at least so many from now on or, where it was released, at most; and the width is
 * none of the others. */
static void set_resident(pinion_runner *runner, int groups, bool released)
{
    unsigned old = atomic_load(&runner->widths), next;
    do {
        int resident = resident_of(old);
        if (released ? groups < resident : groups > resident)
            resident = groups;
        next = pack(least(width_of(old), resident), resident);
    } while (!atomic_compare_exchange_weak(&runner->widths, &old, next));
}

/* The prepared weights of groups from `first` on, up to `end`. */
static unsigned char *prepared_range(const pinion_runner *runner, int first, int end, size_t *bytes)
{
    const size_t *ends = runner->plan->prepared_end, begin = first > 0 ? ends[first - 1] : 0;
    *bytes = ends[end - 1] - begin;
    return runner->prepared.host + begin;
}

static bool own_pages(const pinion_runner *runner, const pinion__room *room)
{
    return !runner->lender && !room->memory;
}

static size_t release_prepared(pinion_runner *runner, int width)
{
    size_t bytes;
    if (!own_pages(runner, &runner->prepared))
        return 0;
    for (int group = width; group < runner->plan->width; group++)
        runner->groups[group].is_prepared = false;
    unsigned char *begin = prepared_range(runner, width, runner->plan->width, &bytes);
    return pinion__pages_give_back(begin, bytes);
}

/* Does a task of the first groups use the storage? Its first user is the first in the order of groups. */
static bool is_used_by(const pinion_plan *plan, const pinion__storage *storage, int width)
{
    const int end = storage->first < plan->prologue ? plan->prologue_end[width - 1] : plan->width_end[width - 1];
    return storage->place == PINION__PLACE_ARENA && storage->first >= 0 && storage->first < end;
}

/* The end of the run of bytes from `at` on of which the first groups use all or (used: false) nothing. */
static size_t find_end(const pinion_plan *plan, int width, size_t at, bool *used)
{
    size_t end = plan->arena_bytes;
    *used = false;
    for (size_t s = 0; s < plan->storage_count && !*used; s++) {
        const pinion__storage *storage = &plan->storages[s];
        if (!is_used_by(plan, storage, width))
            continue;
        *used = storage->offset <= at && at < storage->offset + storage->bytes;
        if (*used)
            end = storage->offset + storage->bytes;
        else if (storage->offset > at && storage->offset < end)
            end = storage->offset;
    }
    return end;
}

static size_t release_arena(pinion_runner *runner, int width)
{
    const pinion_plan *plan = runner->plan;
    size_t released = 0;
    bool used;
    for (size_t at = 0, end; at < plan->arena_bytes && own_pages(runner, &runner->arena); at = end) {
        end = find_end(plan, width, at, &used);
        if (!used)
            released += pinion__pages_give_back(runner->arena.host + at, end - at);
    }
    return released;
}

int pinion_runner_release(pinion_runner *runner, int width, pinion_residence *out)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    const int64_t begin = pinion__now_ns();
    PINION_TRY(check_width(runner, "pinion_runner_release", width));
    set_resident(runner, width, true);
    size_t bytes = release_prepared(runner, width) + release_arena(runner, width);
    bytes += pinion__network_release_groups((pinion_network *)runner->plan->network, width);
    if (out)
        *out = (pinion_residence){.bytes = bytes, .ms = 1e-6 * (double)(pinion__now_ns() - begin)};
fail:
    return status;
}

/* Of what restoring may take, how much is in memory. */
static size_t count_resident(const pinion_runner *runner, int width)
{
    const pinion_network *network = runner->plan->network;
    size_t bytes, count = 0;
    const unsigned char *prepared = prepared_range(runner, 0, width, &bytes);
    if (own_pages(runner, &runner->prepared))
        count += pinion__pages_resident(prepared, bytes);
    if (!network->shared)
        count += pinion__pages_resident(network->block, network->block_bytes);
    return count;
}

int pinion_runner_restore(pinion_runner *runner, int width, pinion_residence *out)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    const int64_t begin = pinion__now_ns();
    PINION_TRY(check_width(runner, "pinion_runner_restore", width));
    const size_t before = count_resident(runner, width);
    PINION_TRY(pinion__network_restore_groups((pinion_network *)runner->plan->network, width));
    PINION_TRY(check_weights(runner, width));
    PINION_TRY(pinion__runner_begin(runner));
    PINION_TRY(pinion__infer_prepare(runner, width));
    PINION_TRY(pinion__runner_go_home(runner));
    pinion__runner_finish(runner);
    set_resident(runner, width, false);
    const size_t after = count_resident(runner, width);
    if (out)
        *out = (pinion_residence){.bytes = after > before ? after - before : 0,
                                  .ms = 1e-6 * (double)(pinion__now_ns() - begin)};
fail:
    return status;
}
