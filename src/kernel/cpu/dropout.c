/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout, forward and backward: the same loop on other operands, as the mask is drawn again in backward. Element e of
 * the batch is kept where draw e (lane e%4 of call e/4, counted from step*2^40), its upper 24 bits taken as a fraction,
 * is not below the rate. The generator runs on a vector of calls at a time; the draws are those of pinion__random4.
 */
#include "base/random.h"
#include "kernel/cpu/elementwise.h"

enum { X, Y, VIEWS };
enum { CALLS = 64, DRAWS = 4 * CALLS, ROUNDS = 10 };

typedef struct masking {
    const pinion__args *args;
    pinion__elementwise loop;
    uint64_t first; /* draw of element 0 of the view */
    uint32_t limit; /* kept: draw not below it */
    float scale;
} masking;

/* Ten rounds on a vector of calls, counters 0 … 3 each. */
PINION__INLINE void philox(pinion__vi c[4], uint32_t key0, uint32_t key1)
{
#pragma GCC unroll 10
    for (int round = 0; round < ROUNDS; round++) {
        pinion__vi low0, high0, low1, high1;
        pinion__vi_mul_wide(c[0], 0xD2511F53U, &low0, &high0);
        pinion__vi_mul_wide(c[2], 0xCD9E8D57U, &low1, &high1);
        c[0] = pinion__vi_xor(pinion__vi_xor(high1, c[1]), pinion__vi_set1((int32_t)key0));
        c[2] = pinion__vi_xor(pinion__vi_xor(high0, c[3]), pinion__vi_set1((int32_t)key1));
        c[1] = low1;
        c[3] = low0;
        key0 += 0x9E3779B9U;
        key1 += 0xBB67AE85U;
    }
}

/* Calls first … first+CALLS-1 of pinion__random4, one after the other in out; the upper half of their numbers is the
 * same. Lanes take the calls of a vector in the
 * order in which the transposition brings the draws of each side by side. */
static void random_calls(uint64_t seed, uint32_t stream, uint64_t first, uint32_t out[DRAWS])
{
    int32_t order[PINION__LANES];
    for (int lane = 0; lane < PINION__LANES; lane++)
        order[lane] = PINION__LANES / 4 * (lane % 4) + lane / 4;
    const pinion__vi offsets = pinion__vi_load(order);
    for (int begin = 0; begin < CALLS; begin += PINION__LANES) {
        const uint64_t counter = first + (uint64_t)begin;
        const pinion__vi low = pinion__vi_add(pinion__vi_set1((int32_t)(uint32_t)counter), offsets);
        const pinion__vi high = pinion__vi_set1((int32_t)(uint32_t)(counter >> 32));
        pinion__vi c[4] = {low, high, pinion__vi_set1(PINION__RANDOM_DROPOUT), pinion__vi_set1((int32_t)stream)};
        philox(c, (uint32_t)seed, (uint32_t)(seed >> 32));
        pinion__vi_transpose4(c);
        for (int i = 0; i < 4; i++)
            pinion__vi_store((int32_t *)out + 4 * begin + i * PINION__LANES, c[i]);
    }
}

static void draw(const masking *work, uint64_t first_call, size_t calls, uint32_t out[DRAWS])
{
    uint64_t seed = work->args->step->seed;
    uint32_t stream = (uint32_t)work->args->layer;
    bool carries = (uint32_t)first_call > UINT32_MAX - CALLS;
    if (calls > CALLS / 4 && !carries)
        random_calls(seed, stream, first_call, out);
    else
        for (size_t call = 0; call < calls; call++)
            pinion__random4(seed, PINION__RANDOM_DROPOUT, stream, first_call + call, out + 4 * call);
}

/* A vector of elements: 0 where the draw, as an unsigned number, is below the limit. */
PINION__INLINE void vector(const uint32_t *draws, pinion__vi limit, pinion__vf scale, const float *x, float *y,
                           bool accumulate)
{
    const pinion__vi sign = pinion__vi_set1(INT32_MIN), draw = pinion__vi_load((const int32_t *)draws);
    const pinion__vi dropped = pinion__vi_gt(limit, pinion__vi_xor(draw, sign));
    const pinion__vf kept = pinion__vf_mul(pinion__vf_load(x), scale);
    pinion__vf_put(y, pinion__vf_select(dropped, pinion__vf_zero(), kept), PINION__LANES, accumulate);
}

static void apply(const uint32_t *draws, uint32_t limit, float scale, const float *x, float *y, size_t count,
                  bool accumulate)
{
    const pinion__vi limits = pinion__vi_xor(pinion__vi_set1((int32_t)limit), pinion__vi_set1(INT32_MIN));
    const pinion__vf scales = pinion__vf_set1(scale);
    size_t i = 0;
    for (; i + PINION__LANES <= count; i += PINION__LANES)
        vector(draws + i, limits, scales, x + i, y + i, accumulate);
    for (; i < count; i++)
        y[i] = (accumulate ? y[i] : 0.0F) + (draws[i] < limit ? 0.0F : x[i] * scale);
}

/* Elements whose draws are first, first + 1, … */
static void row(const masking *work, const float *x, float *y, uint64_t first, size_t count)
{
    uint32_t draws[DRAWS];
    size_t done = 0;
    while (done < count) {
        size_t skip = (size_t)((first + done) % 4);
        size_t want = count - done < DRAWS - skip ? count - done : DRAWS - skip;
        draw(work, (first + done) / 4, (skip + want + 3) / 4, draws);
        apply(draws + skip, work->limit, work->scale, x + done, y + done, want, work->loop.accumulate);
        done += want;
    }
}

static void rows_item(void *user, size_t item, int lane)
{
    (void)lane;
    const masking *work = user;
    const pinion__elementwise *loop = &work->loop;
    for (size_t at = pinion__cut_first(&loop->cut, item); at < pinion__cut_end(&loop->cut, item); at++)
        row(work, loop->data[X] + (ptrdiff_t)at * loop->step[X], loop->data[Y] + (ptrdiff_t)at * loop->step[Y],
            work->first + at * loop->width, pinion__elementwise_count(loop, at));
}

static void run(const pinion__args *args)
{
    const pinion_dropout *dropout = args->attributes;
    const pinion__view *views[VIEWS] = {[X] = &args->operand[X], [Y] = &args->operand[Y]};
    uint64_t sample = (uint64_t)views[Y]->h * (uint64_t)views[Y]->w * (uint64_t)views[Y]->c;
    masking work = {
        .args = args,
        .loop = pinion__elementwise_cut(views, VIEWS),
        .first = (args->step->number << 40) + (uint64_t)args->first_sample * sample,
        .limit = (uint32_t)ceil((double)dropout->rate * 0x1p24) << 8,
        .scale = (float)(1.0 / (1.0 - (double)dropout->rate)),
    };
    work.loop.accumulate = args->accumulate;
    pinion__parallel(args->workers, work.loop.cut.items, rows_item, &work);
}

PINION__CPU_KERNEL(dropout_forward) = {.run = run};
PINION__CPU_KERNEL(dropout_backward_data) = {.run = run};
