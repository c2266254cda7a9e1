/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters to frequencies (winograd.h), a panel of columns at a time. Forward: columns are output channels, rows input
 * channels, so blocks of filters are transposed; backward_data: columns are input channels, rows output channels, taps
 * turned round. Weights are read in 9 or 144 places at a time, which the processor does not foresee: the next lines are
 * asked for ahead.
 */
#include "kernel/cpu/transpose.h"
#include "kernel/cpu/winograd.h"
#include "kernel/cpu/winograd_transform.h"

enum { TAPS = 9, AHEAD = 4 };

PINION__INLINE void transform(const int outputs, const pinion__vf *taps, const int step, float *out, ptrdiff_t plane)
{
    const int in = outputs + 2;
    pinion__vf half[PINION__WINOGRAD_IN * 3], whole[PINION__WINOGRAD_IN];
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++)
        pinion__winograd_g(outputs, taps + (ptrdiff_t)j * step, 3 * step, half + j, 3);
#pragma GCC unroll 6
    for (int i = 0; i < in; i++) {
        pinion__winograd_g(outputs, half + (ptrdiff_t)3 * i, 1, whole, 1);
#pragma GCC unroll 6
        for (int j = 0; j < in; j++)
            pinion__vf_store(out + (i * in + j) * plane, whole[j]);
    }
}

static pinion__vf load(const float *from, int count)
{
    return count >= PINION__LANES ? pinion__vf_load(from) : pinion__vf_load_part(from, count);
}

/* LANES filters from k on (fewer at the end) to LANES columns. */
PINION__INLINE void forward_columns(const pinion__winograd_panel *panel, const int outputs, int k, float *out)
{
    const pinion__view *w = panel->w;
    const int end = panel->row + panel->rows;
    pinion__vf taps[TAPS][PINION__LANES], picked[TAPS];
    for (int c = panel->row; c < end; c += PINION__LANES) {
        const int channels = w->c - c < PINION__LANES ? w->c - c : PINION__LANES;
        for (int t = 0; t < TAPS; t++) {
            pinion__vf block[PINION__LANES];
#pragma GCC unroll 16
            for (int i = 0; i < PINION__LANES; i++) {
                const float *from = pinion__tap(w, k + i < w->n ? k + i : k, 0, t) + c;
                __builtin_prefetch(from + PINION__LANES);
                block[i] = k + i < w->n ? load(from, channels) : pinion__vf_zero();
            }
            pinion__vf_transpose(block);
#pragma GCC unroll 16
            for (int i = 0; i < PINION__LANES; i++)
                taps[t][i] = block[i];
        }
        for (int i = 0; i < channels; i++) {
#pragma GCC unroll 9
            for (int t = 0; t < TAPS; t++)
                picked[t] = taps[t][i];
            transform(outputs, picked, 1, out + (ptrdiff_t)(c - panel->row + i) * PINION__TILE_COLUMNS, panel->plane);
        }
    }
}

/* LANES channels from c on (fewer at the end) of filter k to LANES columns. */
PINION__INLINE void backward_columns(const pinion__winograd_panel *panel, const int outputs, int k, int c, float *out)
{
    const pinion__view *w = panel->w;
    const int channels = w->c - c < PINION__LANES ? w->c - c : PINION__LANES;
    pinion__vf taps[TAPS];
#pragma GCC unroll 9
    for (int t = 0; t < TAPS; t++)
        taps[t] = pinion__vf_zero();
    if (channels > 0)
#pragma GCC unroll 9
        for (int t = 0; t < TAPS; t++) {
            const float *from = pinion__tap(w, k, 0, TAPS - 1 - t) + c;
            __builtin_prefetch(from + (ptrdiff_t)AHEAD * TAPS * w->ld);
            taps[t] = load(from, channels);
        }
    transform(outputs, taps, 1, out, panel->plane);
}

PINION__INLINE void filters(const pinion__winograd_panel *panel, const int outputs)
{
    if (!panel->backward) {
        for (int v = 0; v < PINION__TILE_COLUMNS; v += PINION__LANES)
            if (panel->column + v < panel->w->n)
                forward_columns(panel, outputs, panel->column + v, panel->to + v);
        return;
    }
    for (int k = 0; k < panel->rows; k++)
        for (int v = 0; v < PINION__TILE_COLUMNS; v += PINION__LANES)
            backward_columns(panel, outputs, panel->row + k, panel->column + v,
                             panel->to + (ptrdiff_t)k * PINION__TILE_COLUMNS + v);
}

void PINION__CPU_SHARED(winograd_filters)(const pinion__winograd_panel *panel)
{
    if (panel->out == 4)
        filters(panel, 4);
    else
        filters(panel, 2);
}
