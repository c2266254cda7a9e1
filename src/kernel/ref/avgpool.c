/* SPDX-License-Identifier: Apache-2.0
 *
 * Average pooling; padding counts as zeros that are averaged in:
 *
 *     y[n,p,q,c]  = sum x[n, p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] / (R*S)
 *     dx[n,h,w,c] = sum dy[n,p,q,c] / (R*S)     over the windows that hold (h, w)
 *
 * for a window of R x S, where x outside the image is 0. Source: torch.nn.AvgPool2d with its default count_include_pad.
 */
#include "kernel/ref/ref.h"

static double average_at(const pinion_pool *pool, const pinion__view *x, int n, int p, int q, int c)
{
    double sum = 0;
    for (int r = 0; r < pool->r; r++) {
        for (int s = 0; s < pool->s; s++) {
            int row = p * pool->stride_h + r - pool->pad_h;
            int column = q * pool->stride_w + s - pool->pad_w;
            if (row >= 0 && row < x->h && column >= 0 && column < x->w)
                sum += (double)pinion__pixel(x, n, row, column)[c];
        }
    }
    return sum / ((double)pool->r * pool->s);
}

static void run_avgpool_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__AVGPOOL_FORWARD_X];
    const pinion__view *y = &args->operand[PINION__AVGPOOL_FORWARD_Y];
    for (int n = 0; n < y->n; n++)
        for (int p = 0; p < y->h; p++)
            for (int q = 0; q < y->w; q++)
                for (int c = 0; c < y->c; c++)
                    pinion__put(&pinion__pixel(y, n, p, q)[c], average_at(args->attributes, x, n, p, q, c), false);
}

static double gradient_at(const pinion_pool *pool, const pinion__view *dy, int n, int h, int w, int c)
{
    double sum = 0;
    for (int r = 0; r < pool->r; r++) {
        for (int s = 0; s < pool->s; s++) {
            int p = pinion__window_at(h, r, pool->pad_h, pool->stride_h, dy->h);
            int q = pinion__window_at(w, s, pool->pad_w, pool->stride_w, dy->w);
            if (p >= 0 && q >= 0)
                sum += (double)pinion__pixel(dy, n, p, q)[c];
        }
    }
    return sum / ((double)pool->r * pool->s);
}

static void run_avgpool_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DX];
    for (int n = 0; n < dx->n; n++)
        for (int h = 0; h < dx->h; h++)
            for (int w = 0; w < dx->w; w++)
                for (int c = 0; c < dx->c; c++)
                    pinion__put(&pinion__pixel(dx, n, h, w)[c], gradient_at(args->attributes, dy, n, h, w, c),
                                args->accumulate);
}

PINION__REF_KERNEL(avgpool_forward);
PINION__REF_KERNEL(avgpool_backward_data);
