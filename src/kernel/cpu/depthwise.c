/* SPDX-License-Identifier: Apache-2.0
 *
 * One pixel of a depthwise convolution (depthwise.h), several vectors of channels at a time to keep the units busy.
 */
#include "kernel/cpu/depthwise.h"

enum { MANY = 4 };

PINION__INLINE void channels_of(const pinion__depthwise_tap *taps, int taps_count, ptrdiff_t c,
                                const pinion__depthwise_end *end, float *out, const int vectors, const int count)
{
    pinion__vf sums[MANY];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        const ptrdiff_t at = c + v * PINION__LANES;
        sums[v] = end->bias ? pinion__vf_load_some(end->bias + at, count) : pinion__vf_zero();
        if (end->addend)
            sums[v] = pinion__vf_add(sums[v], pinion__vf_load_some(end->addend + at, count));
    }
    for (int t = 0; t < taps_count; t++) {
        const float *source = taps[t].source + c, *filter = taps[t].filter + c;
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sums[v] = pinion__vf_fma(pinion__vf_load_some(source + v * PINION__LANES, count),
                                     pinion__vf_load_some(filter + v * PINION__LANES, count), sums[v]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        pinion__vf_store_some(out + c + v * PINION__LANES, pinion__vf_clamp(sums[v], end->bounds), count);
}

void PINION__CPU_SHARED(depthwise_pixel)(const pinion__depthwise_tap *taps, int count, int channels,
                                         const pinion__depthwise_end *end, float *out)
{
    int c = 0;
    for (; c + MANY * PINION__LANES <= channels; c += MANY * PINION__LANES)
        channels_of(taps, count, c, end, out, MANY, PINION__LANES);
    for (; c + PINION__LANES <= channels; c += PINION__LANES)
        channels_of(taps, count, c, end, out, 1, PINION__LANES);
    if (c < channels)
        channels_of(taps, count, c, end, out, 1, channels - c);
}
