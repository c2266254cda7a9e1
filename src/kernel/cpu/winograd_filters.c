/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters to frequencies (winograd.h), a panel of columns at a time. Forward: columns are output channels, rows input
 * channels, so blocks of filters are transposed; backward_data: columns are input channels, rows output channels, taps
 * turned round.
 */
#include "kernel/cpu/transpose.h"
#include "kernel/cpu/winograd.h"

enum { TAPS = 9 };

PINION__INLINE void transform(const pinion__vf *taps, const int step, float *out, ptrdiff_t plane)
{
    pinion__vf half[PINION__WINOGRAD_IN * 3], whole[PINION__WINOGRAD_IN];
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++)
        pinion__winograd_g(taps + (ptrdiff_t)j * step, 3 * step, half + j, 3);
#pragma GCC unroll 6
    for (int i = 0; i < PINION__WINOGRAD_IN; i++) {
        pinion__winograd_g(half + (ptrdiff_t)3 * i, 1, whole, 1);
#pragma GCC unroll 6
        for (int j = 0; j < PINION__WINOGRAD_IN; j++)
            pinion__vf_store(out + (i * PINION__WINOGRAD_IN + j) * plane, whole[j]);
    }
}

static pinion__vf load(const float *from, int count)
{
    return count >= PINION__LANES ? pinion__vf_load(from) : pinion__vf_load_part(from, count);
}

/* LANES filters from k on (fewer at the end) to LANES columns. */
static void forward_columns(const pinion__view *w, int k, float *out, ptrdiff_t plane)
{
    pinion__vf taps[TAPS][PINION__LANES], picked[TAPS];
    for (int c = 0; c < w->c; c += PINION__LANES) {
        const int channels = w->c - c < PINION__LANES ? w->c - c : PINION__LANES;
        for (int t = 0; t < TAPS; t++) {
            pinion__vf block[PINION__LANES];
#pragma GCC unroll 16
            for (int i = 0; i < PINION__LANES; i++)
                block[i] = k + i < w->n ? load(pinion__tap(w, k + i, 0, t) + c, channels) : pinion__vf_zero();
            pinion__vf_transpose(block);
#pragma GCC unroll 16
            for (int i = 0; i < PINION__LANES; i++)
                taps[t][i] = block[i];
        }
        for (int i = 0; i < channels; i++) {
            for (int t = 0; t < TAPS; t++)
                picked[t] = taps[t][i];
            transform(picked, 1, out + (ptrdiff_t)(c + i) * PINION__TILE_COLUMNS, plane);
        }
    }
}

/* LANES channels from c on (fewer at the end) to LANES columns. */
static void backward_columns(const pinion__view *w, int c, float *out, ptrdiff_t plane)
{
    const int channels = w->c - c < PINION__LANES ? w->c - c : PINION__LANES;
    pinion__vf taps[TAPS];
    for (int k = 0; k < w->n; k++) {
        for (int t = 0; t < TAPS; t++)
            taps[t] = channels > 0 ? load(pinion__tap(w, k, 0, TAPS - 1 - t) + c, channels) : pinion__vf_zero();
        transform(taps, 1, out + (ptrdiff_t)k * PINION__TILE_COLUMNS, plane);
    }
}

void PINION__CPU_SHARED(winograd_filters)(const pinion__view *w, bool backward, int column, float *out, ptrdiff_t plane)
{
    for (int v = 0; v < PINION__TILE_VECTORS; v++) {
        const int at = v * PINION__LANES;
        if (backward)
            backward_columns(w, column + at, out + at, plane);
        else
            forward_columns(w, column + at, out + at, plane);
    }
}
