/* SPDX-License-Identifier: Apache-2.0
 *
 * Copying a part of an activation with its padding (padded.h).
 */
#include "kernel/cpu/padded.h"

static void zero(float *out, ptrdiff_t floats)
{
    memset(out, 0, (size_t)floats * sizeof(float));
}

static void copy_pixels(const float *from, ptrdiff_t ld, int pixels, int channels, float *out)
{
    if (ld == channels) {
        memcpy(out, from, (size_t)pixels * (size_t)channels * sizeof(float));
        return;
    }
    for (int i = 0; i < pixels; i++, from += ld, out += channels)
        for (int c = 0; c < channels; c++)
            out[c] = from[c];
}

void PINION__CPU_SHARED(pad)(const pinion__padded *padded, const pinion__conv *conv, const pinion__view *x, int image,
                             int images, int y, float *out)
{
    const int left = conv->pad_w < padded->columns ? conv->pad_w : padded->columns;
    const int right = left + x->w < padded->columns ? left + x->w : padded->columns;
    for (int n = image; n < image + images; n++)
        for (int r = 0; r < padded->rows; r++, out += padded->row) {
            const int row = y * conv->stride_h - conv->pad_h + r;
            if (row < 0 || row >= x->h) {
                zero(out, padded->row);
                continue;
            }
            const float *from = (const float *)x->data + ((ptrdiff_t)n * x->h + row) * x->w * x->ld;
            zero(out, left * padded->pixel);
            copy_pixels(from, x->ld, right - left, x->c, out + left * padded->pixel);
            zero(out + right * padded->pixel, (padded->columns - right) * padded->pixel);
        }
    zero(out, PINION__LANES);
}
