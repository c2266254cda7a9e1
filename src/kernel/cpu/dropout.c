/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout, forward and backward: the same loop on other operands, as the mask is drawn again in backward. Element e of
 * the batch is kept where draw e (lane e%4 of call e/4, counted from step*2^40), its upper 24 bits taken as a fraction,
 * is not below the rate. The generator runs on 64 calls at a time, side by side, so that the compiler has vectors to
 * make of it; the draws are those of pinion__random4.
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

/* Calls first … first+CALLS-1 of pinion__random4, one after the other in out. */
static void random_calls(uint64_t seed, uint32_t stream, uint64_t first, uint32_t out[DRAWS])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0[CALLS], c1[CALLS], c2[CALLS], c3[CALLS];
    for (uint32_t call = 0; call < CALLS; call++) {
        c0[call] = (uint32_t)(first + call);
        c1[call] = (uint32_t)((first + call) >> 32);
        c2[call] = PINION__RANDOM_DROPOUT;
        c3[call] = stream;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int call = 0; call < CALLS; call++) {
            uint64_t product0 = (uint64_t)0xD2511F53U * c0[call];
            uint64_t product1 = (uint64_t)0xCD9E8D57U * c2[call];
            c0[call] = (uint32_t)(product1 >> 32) ^ c1[call] ^ key0;
            c2[call] = (uint32_t)(product0 >> 32) ^ c3[call] ^ key1;
            c1[call] = (uint32_t)product1;
            c3[call] = (uint32_t)product0;
        }
        key0 += 0x9E3779B9U;
        key1 += 0xBB67AE85U;
    }
    for (int call = 0; call < CALLS; call++) {
        out[4 * call] = c0[call];
        out[4 * call + 1] = c1[call];
        out[4 * call + 2] = c2[call];
        out[4 * call + 3] = c3[call];
    }
}

static void draw(const masking *work, uint64_t first_call, size_t calls, uint32_t out[DRAWS])
{
    uint64_t seed = work->args->step->seed;
    uint32_t stream = (uint32_t)work->args->layer;
    if (calls > CALLS / 4)
        random_calls(seed, stream, first_call, out);
    else
        for (size_t call = 0; call < calls; call++)
            pinion__random4(seed, PINION__RANDOM_DROPOUT, stream, first_call + call, out + 4 * call);
}

static void apply(const uint32_t *restrict draws, uint32_t limit, float scale, const float *restrict x,
                  float *restrict y, size_t count, bool accumulate)
{
    if (accumulate)
        for (size_t i = 0; i < count; i++)
            y[i] += draws[i] < limit ? 0.0F : x[i] * scale;
    else
        for (size_t i = 0; i < count; i++)
            y[i] = draws[i] < limit ? 0.0F : x[i] * scale;
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
