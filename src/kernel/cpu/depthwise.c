/* SPDX-License-Identifier: Apache-2.0
 *
 * One pixel of a depthwise convolution (depthwise.h), several vectors of channels at a time to keep the units busy.
 */
#include "kernel/cpu/depthwise.h"

enum { MANY = 4 };

PINION__INLINE void channels_of(const pinion__depthwise_tap *taps, int count, ptrdiff_t c, const float *bias,
                                bool accumulate, float *out, const int vectors)
{
    pinion__vf sums[MANY];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        const ptrdiff_t at = c + v * PINION__LANES;
        sums[v] = bias == NULL ? pinion__vf_zero() : pinion__vf_load(bias + at);
        if (accumulate)
            sums[v] = pinion__vf_add(sums[v], pinion__vf_load(out + at));
    }
    for (int t = 0; t < count; t++) {
        const float *source = taps[t].source + c, *filter = taps[t].filter + c;
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sums[v] = pinion__vf_fma(pinion__vf_load(source + v * PINION__LANES),
                                     pinion__vf_load(filter + v * PINION__LANES), sums[v]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        pinion__vf_store(out + c + v * PINION__LANES, sums[v]);
}

static void last_channels(const pinion__depthwise_tap *taps, int count, ptrdiff_t c, int channels, const float *bias,
                          bool accumulate, float *out)
{
    pinion__vf sum = bias == NULL ? pinion__vf_zero() : pinion__vf_load_part(bias + c, channels);
    if (accumulate)
        sum = pinion__vf_add(sum, pinion__vf_load_part(out + c, channels));
    for (int t = 0; t < count; t++)
        sum = pinion__vf_fma(pinion__vf_load_part(taps[t].source + c, channels),
                             pinion__vf_load_part(taps[t].filter + c, channels), sum);
    pinion__vf_store_part(out + c, sum, channels);
}

void PINION__CPU_SHARED(depthwise_pixel)(const pinion__depthwise_tap *taps, int count, int channels, const float *bias,
                                         bool accumulate, float *out)
{
    int c = 0;
    for (; c + MANY * PINION__LANES <= channels; c += MANY * PINION__LANES)
        channels_of(taps, count, c, bias, accumulate, out, MANY);
    for (; c + PINION__LANES <= channels; c += PINION__LANES)
        channels_of(taps, count, c, bias, accumulate, out, 1);
    if (c < channels)
        last_channels(taps, count, c, channels - c, bias, accumulate, out);
}
