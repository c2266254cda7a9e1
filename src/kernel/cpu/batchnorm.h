/* SPDX-License-Identifier: Apache-2.0
 *
 * What the passes of batch normalisation share: loops over pixels with constants for each channel, and the cut of the
 * pixels into items and blocks over which sums are formed.
 *
 * Sums run along pixels in registers, a few vectors of channels at a time. An item is cut into blocks of pixels that
 * stay in the first-level cache while the strips of channels go over them; items and blocks follow from the shape.
 */
#ifndef PINION_KERNEL_CPU_BATCHNORM_H
#define PINION_KERNEL_CPU_BATCHNORM_H

#include "kernel/cpu/elementwise.h"

enum { PINION__STRIP_VECTORS = 4, PINION__CHANNELWISE_VIEWS = 3, PINION__CHANNELWISE_CONSTANTS = 4 };

/* Vectors of channels from `first` on that are worked on together, `count` elements in each; `unroll` pixels are summed
 * apart where one vector alone would wait for itself. */
typedef struct pinion__strip {
    int vectors, unroll, count;
} pinion__strip;

/* Pixels of an item: never so few that the partial sums outweigh what they are sums of. */
static inline pinion__cut pinion__cut_pixels(const pinion__view *view)
{
    enum { FEWEST = 16 };
    pinion__cut cut = pinion__cut_units(pinion__view_pixels(view), (size_t)view->c);
    if (cut.each < FEWEST)
        cut = (pinion__cut){.units = cut.units, .each = FEWEST, .items = (cut.units + FEWEST - 1) / FEWEST};
    return cut;
}

/* Pixels of a block of an item. */
static inline size_t pinion__block_pixels(int c)
{
    enum { ELEMENTS = 8192, FEWEST = 16, MOST = 256 };
    size_t pixels = ELEMENTS / (size_t)c;
    return pixels < FEWEST ? FEWEST : pixels > MOST ? MOST : pixels;
}

/* ---- y = map(x, …; constants of the channel) ---- */

typedef void pinion__channelwise_map(float *const at[], const float *const constants[], int count, bool accumulate);

typedef struct pinion__channelwise {
    float *data[PINION__CHANNELWISE_VIEWS];
    ptrdiff_t ld[PINION__CHANNELWISE_VIEWS];
    const float *constants[PINION__CHANNELWISE_CONSTANTS]; /* c floats each; unused ones repeat another */
    size_t c;
    bool accumulate;
    pinion__cut cut;
} pinion__channelwise;

PINION__INLINE void pinion__channelwise_at(float *const pixel[], const float *const constants[], size_t channel,
                                           int count, bool accumulate, pinion__channelwise_map *map)
{
    float *const at[PINION__CHANNELWISE_VIEWS] = {pixel[0] + channel, pixel[1] + channel, pixel[2] + channel};
    const float *const of[PINION__CHANNELWISE_CONSTANTS] = {constants[0] + channel, constants[1] + channel,
                                                            constants[2] + channel, constants[3] + channel};
    map(at, of, count, accumulate);
}

PINION__INLINE void pinion__channelwise_pixel(float *const pixel[], const float *const constants[], size_t c,
                                              bool accumulate, pinion__channelwise_map *map)
{
    size_t i = 0;
    for (; i + 2 * PINION__LANES <= c; i += 2 * PINION__LANES) {
        pinion__channelwise_at(pixel, constants, i, PINION__LANES, accumulate, map);
        pinion__channelwise_at(pixel, constants, i + PINION__LANES, PINION__LANES, accumulate, map);
    }
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        pinion__channelwise_at(pixel, constants, i, PINION__LANES, accumulate, map);
    if (i < c)
        pinion__channelwise_at(pixel, constants, i, (int)(c - i), accumulate, map);
}

/* The pixels of one item, items from the last to the first: what a pass over the same tensor just read last is still in
 * the cache. */
PINION__INLINE void pinion__channelwise_item(const pinion__channelwise *loop, size_t item, pinion__channelwise_map *map)
{
    item = loop->cut.items - 1 - item;
    for (size_t i = pinion__cut_first(&loop->cut, item); i < pinion__cut_end(&loop->cut, item); i++) {
        float *pixel[PINION__CHANNELWISE_VIEWS];
        for (int v = 0; v < PINION__CHANNELWISE_VIEWS; v++)
            pixel[v] = loop->data[v] + (ptrdiff_t)i * loop->ld[v];
        if (loop->accumulate)
            pinion__channelwise_pixel(pixel, loop->constants, loop->c, true, map);
        else
            pinion__channelwise_pixel(pixel, loop->constants, loop->c, false, map);
    }
}

/* Views of one shape (1 … 3) and arrays of one constant a channel (1 … 4). */
static inline pinion__channelwise pinion__channelwise_cut(const pinion__view *const views[], int count,
                                                          const float *const constants[], int constant_count,
                                                          bool accumulate)
{
    pinion__channelwise loop = {
        .c = (size_t)views[0]->c,
        .accumulate = accumulate,
        .cut = pinion__cut_units(pinion__view_pixels(views[0]), (size_t)views[0]->c),
    };
    for (int i = 0; i < PINION__CHANNELWISE_VIEWS; i++) {
        loop.data[i] = views[i < count ? i : 0]->data;
        loop.ld[i] = views[i < count ? i : 0]->ld;
    }
    for (int i = 0; i < PINION__CHANNELWISE_CONSTANTS; i++)
        loop.constants[i] = constants[i < constant_count ? i : 0];
    return loop;
}

/* ---- the normalising map of training and of stored statistics ---- */

enum { PINION__NORMALISE_MEAN, PINION__NORMALISE_SCALE, PINION__NORMALISE_SHIFT, PINION__NORMALISE_CONSTANTS };

/* y = (x - mean)*scale + shift */
PINION__INLINE void pinion__normalise(float *const at[], const float *const constants[], int count, bool accumulate)
{
    pinion__vf x = pinion__vf_load_some(at[0], count);
    pinion__vf mean = pinion__vf_load_some(constants[PINION__NORMALISE_MEAN], count);
    pinion__vf scale = pinion__vf_load_some(constants[PINION__NORMALISE_SCALE], count);
    pinion__vf shift = pinion__vf_load_some(constants[PINION__NORMALISE_SHIFT], count);
    pinion__vf_put(at[1], pinion__vf_fma(pinion__vf_sub(x, mean), scale, shift), count, accumulate);
}

/* The constants of one channel from values in double: what the rounding of the mean loses goes into the shift. */
static inline void pinion__normalise_constants(float *const constants[], int c, double mean, double scale, double beta)
{
    float rounded = (float)mean;
    constants[PINION__NORMALISE_MEAN][c] = rounded;
    constants[PINION__NORMALISE_SCALE][c] = (float)scale;
    constants[PINION__NORMALISE_SHIFT][c] = (float)(beta - (mean - (double)rounded) * scale);
}

#endif
