/* SPDX-License-Identifier: Apache-2.0
 *
 * Max pooling. Padding counts as minus infinity, so it never wins; of equal values the first in row-major order of the
 * window wins:
 *
 *     y[n,p,q,c]     = max over r, s of x[n, p*stride_h + r - pad_h, q*stride_w + s - pad_w, c]
 *     index[n,p,q,c] = r*S + s of that maximum, S columns in the window; kept where the operand is present
 *     dx[n,h,w,c]    = sum dy[n,p,q,c] over the windows whose index points at (h, w)
 *
 * A NaN wins over everything before it and stays, unless another follows. Source: torch.nn.MaxPool2d, whose index is
 * counted in the image instead.
 */
#include "kernel/ref/ref.h"
#include <math.h>

typedef struct maximum {
    float value;
    int index;
} maximum;

static maximum maximum_of(const pinion_pool *pool, const pinion__view *x, int n, int p, int q, int c)
{
    maximum best = {-INFINITY, -1};
    for (int r = 0; r < pool->r; r++) {
        for (int s = 0; s < pool->s; s++) {
            int row = p * pool->stride_h + r - pool->pad_h;
            int column = q * pool->stride_w + s - pool->pad_w;
            if (row < 0 || row >= x->h || column < 0 || column >= x->w)
                continue;
            float value = pinion__pixel(x, n, row, column)[c];
            if (best.index < 0 || value > best.value || isnan(value))
                best = (maximum){value, r * pool->s + s};
        }
    }
    return best;
}

static uint8_t *index_at(const pinion__view *index, int n, int p, int q)
{
    ptrdiff_t pixel = ((ptrdiff_t)n * index->h + p) * index->w + q;
    return (uint8_t *)index->data + pixel * index->ld;
}

static void run_maxpool_forward(const pinion__args *args)
{
    const pinion_pool *pool = args->attributes;
    const pinion__view *x = &args->operand[PINION__MAXPOOL_FORWARD_X];
    const pinion__view *y = &args->operand[PINION__MAXPOOL_FORWARD_Y];
    const pinion__view *index = &args->operand[PINION__MAXPOOL_FORWARD_INDEX];
    for (int n = 0; n < y->n; n++) {
        for (int p = 0; p < y->h; p++) {
            for (int q = 0; q < y->w; q++) {
                for (int c = 0; c < y->c; c++) {
                    maximum best = maximum_of(pool, x, n, p, q, c);
                    pinion__pixel(y, n, p, q)[c] = best.value;
                    if (index->data)
                        index_at(index, n, p, q)[c] = (uint8_t)best.index;
                }
            }
        }
    }
}

static double gradient_at(const pinion__args *args, int n, int h, int w, int c)
{
    const pinion_pool *pool = args->attributes;
    const pinion__view *dy = &args->operand[PINION__MAXPOOL_BACKWARD_DATA_DY];
    const pinion__view *index = &args->operand[PINION__MAXPOOL_BACKWARD_DATA_INDEX];
    double sum = 0;
    for (int r = 0; r < pool->r; r++) {
        for (int s = 0; s < pool->s; s++) {
            int p = pinion__window_at(h, r, pool->pad_h, pool->stride_h, dy->h);
            int q = pinion__window_at(w, s, pool->pad_w, pool->stride_w, dy->w);
            if (p >= 0 && q >= 0 && index_at(index, n, p, q)[c] == r * pool->s + s)
                sum += (double)pinion__pixel(dy, n, p, q)[c];
        }
    }
    return sum;
}

static void run_maxpool_backward_data(const pinion__args *args)
{
    const pinion__view *dx = &args->operand[PINION__MAXPOOL_BACKWARD_DATA_DX];
    for (int n = 0; n < dx->n; n++)
        for (int h = 0; h < dx->h; h++)
            for (int w = 0; w < dx->w; w++)
                for (int c = 0; c < dx->c; c++)
                    pinion__put(&pinion__pixel(dx, n, h, w)[c], gradient_at(args, n, h, w, c), args->accumulate);
}

PINION__REF_KERNEL(maxpool_forward);
PINION__REF_KERNEL(maxpool_backward_data);
