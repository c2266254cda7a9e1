/* SPDX-License-Identifier: Apache-2.0
 *
 * Loaders and the slots of a runner.
 */
#include "learn/feed.h"

static bool uses_slots(const pinion_runner *runner)
{
    return pinion__runner_plan(runner)->input_bytes > 0;
}

static int get_slots(pinion_runner *runner, int count, pinion__loader_slot *slots)
{
    pinion_context *ctx = pinion__runner_plan(runner)->ctx;
    int status = PINION_OK;
    for (int i = 0; i < count; i++)
        PINION_TRY(pinion_runner_input(runner, i, &slots[i].images, &slots[i].labels));
fail:
    return status;
}

int pinion__feed_prepare(pinion_runner *runner, int slots)
{
    pinion__loader_slot all[PINION_INPUT_SLOTS];
    return uses_slots(runner) ? get_slots(runner, slots, all) : PINION_OK;
}

int pinion__feed_create(pinion_runner *runner, int slots, const pinion__loader_options *options, pinion__loader **out)
{
    pinion_context *ctx = pinion__runner_plan(runner)->ctx;
    int status = PINION_OK;
    pinion__loader_options given = *options;
    pinion__loader_slot all[PINION_INPUT_SLOTS];
    if (uses_slots(runner)) {
        PINION_TRY(get_slots(runner, slots, all));
        given.slots = all;
        given.ahead = slots - 1;
    }
    PINION_TRY(pinion__loader_create(ctx, &given, out));
fail:
    return status;
}
