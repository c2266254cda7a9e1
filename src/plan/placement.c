/* SPDX-License-Identifier: Apache-2.0
 *
 * What a placement costs, and the simple rules that make one.
 */
#include "plan/placement_walk.h"

void pinion__placement_fini(pinion_context *ctx, pinion__placement *placement)
{
    pinion__release(ctx, placement->processor);
    *placement = (pinion__placement){.ms = (double)NAN};
}

#define TIE 1e-9 /* what sums of the same terms may differ by */

/* All hand-overs of a storage in a step. */
static double walk(const pinion__placement_problem *problem, const pinion__placement_storage *storage,
                   const int *processor, enum pinion__holder home)
{
    enum pinion__holder holder = home;
    double sum = 0;
    for (int i = 0; i < storage->use_count; i++) {
        const pinion__placement_use *use = &problem->uses[storage->first_use + i];
        double ms =
            pinion__placement_step(problem, storage->bytes, use, problem->device[processor[use->task]], &holder);
        if (pinion__placement_returns(problem, storage, i)) {
            ms += pinion__placement_return_ms(problem, storage, holder, home);
            holder = home;
        }
        sum += ms * pinion__placement_times(problem, use->task);
    }
    return sum;
}

enum pinion__holder pinion__placement_home(const pinion__placement_problem *problem, int storage, const int *processor,
                                           double *ms)
{
    const pinion__placement_storage *of = &problem->storages[storage];
    enum pinion__holder home = PINION__HELD_BY_HOST;
    double host = walk(problem, of, processor, PINION__HELD_BY_HOST);
    if (!of->host_home && host > 0) {
        double device = walk(problem, of, processor, PINION__HELD_BY_DEVICE);
        if (device < host * (1 - TIE)) {
            home = PINION__HELD_BY_DEVICE;
            host = device;
        }
    }
    if (ms)
        *ms = host;
    return home;
}

double pinion__placement_cost(const pinion__placement_problem *problem, const int *processor)
{
    double sum = 0;
    for (int t = 0; t < problem->task_count; t++) {
        double ms = pinion__placement_ms(problem, t, processor[t]);
        if (!isfinite(ms))
            return HUGE_VAL;
        sum += ms * pinion__placement_times(problem, t);
    }
    for (int s = 0; s < problem->storage_count; s++) {
        double ms = 0;
        (void)pinion__placement_home(problem, s, processor, &ms);
        sum += ms;
    }
    return sum;
}

int pinion__place_single(const pinion__placement_problem *problem, int processor, pinion__placement *out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__placement_init(problem, out));
    for (int t = 0; t < problem->task_count; t++)
        out->processor[t] = processor;
    double ms = pinion__placement_cost(problem, out->processor);
    PINION_FAIL_IF(!isfinite(ms), PINION_EUNSUPPORTED, "processor %d has no kernel for some of the tasks", processor);
    out->ms = ms;
fail:
    return status;
}

int pinion__place_greedy(const pinion__placement_problem *problem, pinion__placement *out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__placement_init(problem, out));
    for (int t = 0; t < problem->task_count; t++)
        out->processor[t] = pinion__placement_fastest(problem, t);
    out->ms = pinion__placement_cost(problem, out->processor);
fail:
    return status;
}
