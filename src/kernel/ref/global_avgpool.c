/* SPDX-License-Identifier: Apache-2.0
 *
 * Average over the whole image, to 1 x 1 x c:
 *
 *     y[n,c]      = sum x[n,h,w,c] / (H*W)
 *     dx[n,h,w,c] = dy[n,c] / (H*W)
 *
 * Source: Lin, Chen, Yan: Network In Network (ICLR 2014), section 3.2; torch.nn.AdaptiveAvgPool2d(1).
 */
#include "kernel/ref/ref.h"

static void run_global_avgpool_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__AVGPOOL_FORWARD_X];
    const pinion__view *y = &args->operand[PINION__AVGPOOL_FORWARD_Y];
    for (int n = 0; n < x->n; n++) {
        for (int c = 0; c < x->c; c++) {
            double sum = 0;
            for (int h = 0; h < x->h; h++)
                for (int w = 0; w < x->w; w++)
                    sum += (double)pinion__pixel(x, n, h, w)[c];
            pinion__put(&pinion__pixel(y, n, 0, 0)[c], sum / ((double)x->h * x->w), false);
        }
    }
}

static void run_global_avgpool_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DX];
    for (int n = 0; n < dx->n; n++)
        for (int h = 0; h < dx->h; h++)
            for (int w = 0; w < dx->w; w++)
                for (int c = 0; c < dx->c; c++)
                    pinion__put(&pinion__pixel(dx, n, h, w)[c],
                                (double)pinion__pixel(dy, n, 0, 0)[c] / ((double)dx->h * dx->w), args->accumulate);
}

PINION__REF_KERNEL(global_avgpool_forward);
PINION__REF_KERNEL(global_avgpool_backward_data);
