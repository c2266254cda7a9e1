/* SPDX-License-Identifier: Apache-2.0
 *
 * The fully connected layer on x (n,1,1,c) with weights w (k,1,1,c), and its gradients:
 *
 *     y[n,k]  = b[k] + sum x[n,c] * w[k,c]      (b is 0 where it is absent)
 *     dx[n,c] = sum dy[n,k] * w[k,c]
 *     dw[k,c] = sum x[n,c] * dy[n,k]
 *     db[k]   = sum dy[n,k]                     (where db is present)
 *
 * What is stored is activation(y + addend), and partial statistics of it (ref.h), as asked for; with args->update each
 * dw updates its weight instead of being stored (update.h). Source: torch.nn.Linear; the gradients are the adjoints of
 * the first line.
 */
#include "kernel/ref/update.h"

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
            pinion__put_output(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_ADDEND, (size_t)n, k, sum);
        }
    }
    pinion__put_stats(y, &args->operand[PINION__CONV_FORWARD_STATS]);
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
    const pinion__view *dw = pinion__weights_view(args);
    float *db = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data;
    for (int k = 0; k < dw->n; k++) {
        for (int c = 0; c < dw->c; c++) {
            double sum = 0;
            for (int n = 0; n < dy->n; n++)
                sum += (double)pinion__pixel(x, n, 0, 0)[c] * (double)pinion__pixel(dy, n, 0, 0)[k];
            pinion__put_weight_gradient(args, (size_t)k, c, sum);
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
