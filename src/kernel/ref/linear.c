/* SPDX-License-Identifier: Apache-2.0
 *
 * The fully connected layer on x (n,1,1,c) with weights w (k,1,1,c), and its gradients:
 *
 *     y[n,k]  = b[k] + sum x[n,c] * w[k,c]      (b is 0 where it is absent)
 *     dx[n,c] = sum dy[n,k] * w[k,c]
 *     dw[k,c] = sum x[n,c] * dy[n,k]
 *     db[k]   = sum dy[n,k]                     (where db is present)
 *
 * Source: torch.nn.Linear; the gradients are the adjoints of the first line.
 */
#include "kernel/ref/ref.h"

static void run_linear_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__CONV_FORWARD_X];
    const pinion__view *w = &args->operand[PINION__CONV_FORWARD_W];
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    for (int n = 0; n < y->n; n++) {
        for (int k = 0; k < y->c; k++) {
            double sum = pinion__element(&args->operand[PINION__CONV_FORWARD_B], k);
            for (int c = 0; c < x->c; c++)
                sum += (double)pinion__pixel(x, n, 0, 0)[c] * (double)pinion__pixel(w, k, 0, 0)[c];
            pinion__put(&pinion__pixel(y, n, 0, 0)[k], sum, false);
        }
    }
}

static void run_linear_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_DATA_DY];
    const pinion__view *w = &args->operand[PINION__CONV_BACKWARD_DATA_W];
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    for (int n = 0; n < dx->n; n++) {
        for (int c = 0; c < dx->c; c++) {
            double sum = 0;
            for (int k = 0; k < dy->c; k++)
                sum += (double)pinion__pixel(dy, n, 0, 0)[k] * (double)pinion__pixel(w, k, 0, 0)[c];
            pinion__put(&pinion__pixel(dx, n, 0, 0)[c], sum, args->accumulate);
        }
    }
}

static void run_linear_backward_weights(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    const pinion__view *dw = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DW];
    float *db = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data;
    for (int k = 0; k < dw->n; k++) {
        for (int c = 0; c < dw->c; c++) {
            double sum = 0;
            for (int n = 0; n < dy->n; n++)
                sum += (double)pinion__pixel(x, n, 0, 0)[c] * (double)pinion__pixel(dy, n, 0, 0)[k];
            pinion__put(&pinion__pixel(dw, k, 0, 0)[c], sum, args->accumulate);
        }
        double sum = 0;
        for (int n = 0; n < dy->n; n++)
            sum += (double)pinion__pixel(dy, n, 0, 0)[k];
        if (db)
            pinion__put(&db[k], sum, args->accumulate);
    }
}

PINION__REF_KERNEL(linear_forward);
PINION__REF_KERNEL(linear_backward_data);
PINION__REF_KERNEL(linear_backward_weights);
