/* SPDX-License-Identifier: Apache-2.0
 *
 * What the passes of batch normalisation share: loops over pixels with constants for each channel, the normalising
 * expression, and the cut of pixels into items over which sums are formed.
 */
#ifndef PINION_KERNEL_CPU_BATCHNORM_H
#define PINION_KERNEL_CPU_BATCHNORM_H

#include "kernel/cpu/activation.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/cut.h"
#include "kernel/cpu/elementwise.h"

/* What batch normalisation gives before addend and activation. Backward passes ask it again for the activation's
 * derivative and must see the same bits, so it stands here once. */
PINION__INLINE pinion__vf pinion__vf_normalise(pinion__vf x, pinion__vf mean, pinion__vf scale, pinion__vf shift)
{
    return pinion__vf_fma(pinion__vf_sub(x, mean), scale, shift);
}

/* ---- out = map(x, …; constants of the channel) ---- */

enum { PINION__CHANNELWISE_VIEWS = 3, PINION__CHANNELWISE_CONSTANTS = 6, PINION__CHANNELWISE_NARROW = 2 };

/* One vector of channels of one pixel: at[v] in each view, of[i] each constant. `option` is the kernel's own, known
 * when it is compiled, as `accumulate` is. */
typedef void pinion__channelwise_map(float *const at[], const pinion__vf of[], int count, pinion__bounds bounds,
                                     bool option, bool accumulate);

typedef struct pinion__channelwise {
    float *data[PINION__CHANNELWISE_VIEWS];
    ptrdiff_t ld[PINION__CHANNELWISE_VIEWS];
    const float *constants[PINION__CHANNELWISE_CONSTANTS]; /* c floats each */
    size_t c;
    pinion__bounds bounds;
    bool option, accumulate;
    pinion__cut cut; /* in pixels */
} pinion__channelwise;

/* What an item function hands to the loops: constants in use and the map. */
typedef struct pinion__channelwise_work {
    int constants;
    pinion__channelwise_map *map;
    bool option, accumulate;
} pinion__channelwise_work;

PINION__INLINE void pinion__channelwise_load(const pinion__channelwise *loop, size_t channel, int constants, int count,
                                             pinion__vf of[])
{
#pragma GCC unroll 6
    for (int i = 0; i < constants; i++)
        of[i] = pinion__vf_load_some(loop->constants[i] + channel, count);
}

PINION__INLINE void pinion__channelwise_at(const pinion__channelwise *loop, float *const pixel[], size_t channel,
                                           const pinion__vf of[], int count, pinion__channelwise_work work)
{
    float *const at[PINION__CHANNELWISE_VIEWS] = {pixel[0] + channel, pixel[1] + channel, pixel[2] + channel};
    work.map(at, of, count, loop->bounds, work.option, work.accumulate);
}

/* Constants of a strip of channels in registers, over the pixels. */
PINION__INLINE void pinion__channelwise_strip(const pinion__channelwise *loop, size_t first, size_t end, size_t channel,
                                              int count, pinion__channelwise_work work)
{
    pinion__vf of[PINION__CHANNELWISE_CONSTANTS];
    pinion__channelwise_load(loop, channel, work.constants, count, of);
    float *pixel[PINION__CHANNELWISE_VIEWS];
    for (int v = 0; v < PINION__CHANNELWISE_VIEWS; v++)
        pixel[v] = loop->data[v] + (ptrdiff_t)first * loop->ld[v];
#pragma GCC unroll 4
    for (size_t left = end - first; left > 0; left--) {
        pinion__channelwise_at(loop, pixel, channel, of, count, work);
        for (int v = 0; v < PINION__CHANNELWISE_VIEWS; v++)
            pixel[v] += loop->ld[v];
    }
}

/* A pixel from end to end, constants from the first-level cache. */
PINION__INLINE void pinion__channelwise_pixel(const pinion__channelwise *loop, float *const pixel[],
                                              pinion__channelwise_work work)
{
    pinion__vf of[PINION__CHANNELWISE_CONSTANTS], next[PINION__CHANNELWISE_CONSTANTS];
    size_t channel = 0;
    for (; channel + 2 * PINION__LANES <= loop->c; channel += 2 * PINION__LANES) {
        pinion__channelwise_load(loop, channel, work.constants, PINION__LANES, of);
        pinion__channelwise_load(loop, channel + PINION__LANES, work.constants, PINION__LANES, next);
        pinion__channelwise_at(loop, pixel, channel, of, PINION__LANES, work);
        pinion__channelwise_at(loop, pixel, channel + PINION__LANES, next, PINION__LANES, work);
    }
    for (; channel + PINION__LANES <= loop->c; channel += PINION__LANES) {
        pinion__channelwise_load(loop, channel, work.constants, PINION__LANES, of);
        pinion__channelwise_at(loop, pixel, channel, of, PINION__LANES, work);
    }
    if (channel < loop->c) {
        const int left = (int)(loop->c - channel);
        pinion__channelwise_load(loop, channel, work.constants, left, of);
        pinion__channelwise_at(loop, pixel, channel, of, left, work);
    }
}

/* Items go from the last to the first: what the pass before over the same tensor wrote or read last is still in the
 * cache. */
PINION__INLINE void pinion__channelwise_pixels(const pinion__channelwise *loop, size_t item,
                                               pinion__channelwise_work work)
{
    item = loop->cut.items - 1 - item;
    const size_t first = pinion__cut_first(&loop->cut, item), end = pinion__cut_end(&loop->cut, item);
    if (loop->c > PINION__CHANNELWISE_NARROW * PINION__LANES) {
        for (size_t i = first; i < end; i++) {
            float *const pixel[PINION__CHANNELWISE_VIEWS] = {loop->data[0] + (ptrdiff_t)i * loop->ld[0],
                                                             loop->data[1] + (ptrdiff_t)i * loop->ld[1],
                                                             loop->data[2] + (ptrdiff_t)i * loop->ld[2]};
            pinion__channelwise_pixel(loop, pixel, work);
        }
        return;
    }
    size_t channel = 0;
    for (; channel + PINION__LANES <= loop->c; channel += PINION__LANES)
        pinion__channelwise_strip(loop, first, end, channel, PINION__LANES, work);
    if (channel < loop->c)
        pinion__channelwise_strip(loop, first, end, channel, (int)(loop->c - channel), work);
}

/* What a kernel's item function calls with its map. The copy of the loop cannot be what the map's stores change. */
PINION__INLINE void pinion__channelwise_item(const pinion__channelwise *shared, size_t item, int constants,
                                             pinion__channelwise_map *map)
{
    const pinion__channelwise copy = *shared, *const loop = &copy;
    if (loop->option && loop->accumulate)
        pinion__channelwise_pixels(loop, item, (pinion__channelwise_work){constants, map, true, true});
    else if (loop->option)
        pinion__channelwise_pixels(loop, item, (pinion__channelwise_work){constants, map, true, false});
    else if (loop->accumulate)
        pinion__channelwise_pixels(loop, item, (pinion__channelwise_work){constants, map, false, true});
    else
        pinion__channelwise_pixels(loop, item, (pinion__channelwise_work){constants, map, false, false});
}

/* The loop over views of one shape; a view that is absent is never touched. The caller sets constants and flags. */
static inline pinion__channelwise pinion__channelwise_cut(const pinion__view *const views[], int count)
{
    pinion__channelwise loop = {
        .c = (size_t)views[0]->c,
        .cut = pinion__cut_units(pinion__view_pixels(views[0]), (size_t)views[0]->c),
    };
    for (int i = 0; i < PINION__CHANNELWISE_VIEWS; i++) {
        const pinion__view *view = i < count && views[i]->data ? views[i] : views[0];
        loop.data[i] = view->data;
        loop.ld[i] = view->ld;
    }
    return loop;
}

/* ---- sums along pixels, channel by channel ---- */

/* Pixels of an item: never so few that the partial sums outweigh what they are sums of. */
static inline pinion__cut pinion__cut_pixels(const pinion__view *view)
{
    enum { FEWEST = 16 };
    pinion__cut cut = pinion__cut_units(pinion__view_pixels(view), (size_t)view->c);
    if (cut.each < FEWEST)
        cut = (pinion__cut){.units = cut.units, .each = FEWEST, .items = (cut.units + FEWEST - 1) / FEWEST};
    return cut;
}

/* Pixels of a block of an item: they stay in the first-level cache while the strips of channels go over them. */
static inline size_t pinion__block_pixels(int c)
{
    enum { ELEMENTS = 8192, FEWEST = 16, MOST = 256 };
    size_t pixels = ELEMENTS / (size_t)c;
    return pixels < FEWEST ? FEWEST : pixels > MOST ? MOST : pixels;
}

/* Channels of an item of the loops that combine partial sums. */
enum { PINION__COMBINE_CHANNELS = 64 };

static inline size_t pinion__combine_items(int c)
{
    return ((size_t)c + PINION__COMBINE_CHANNELS - 1) / PINION__COMBINE_CHANNELS;
}

static inline int pinion__combine_count(int c, size_t item)
{
    int left = c - (int)item * PINION__COMBINE_CHANNELS;
    return left < PINION__COMBINE_CHANNELS ? left : PINION__COMBINE_CHANNELS;
}

#endif
