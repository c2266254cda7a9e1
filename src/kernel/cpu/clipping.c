/* SPDX-License-Identifier: Apache-2.0
 *
 * Global-norm clipping: the sum of squares of one gradient, in double, and the factor made of all of them. The squares
 * of floats are exact in double; a row has 32 running sums, rows and items are added up in their order.
 */
#include "kernel/cpu/elementwise.h"

#include <math.h>

enum { SUMS = 32 };

typedef struct squares {
    pinion__elementwise loop;
    double *partial; /* one an item */
} squares;

static double row_squares(const float *x, size_t count)
{
    double sum[SUMS] = {0.0};
    size_t i = 0;
    for (; i + SUMS <= count; i += SUMS)
        for (size_t j = 0; j < SUMS; j++)
            sum[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t j = 0; i + j < count; j++)
        sum[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t half = SUMS / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            sum[j] += sum[j + half];
    return sum[0];
}

static void squares_item(void *user, size_t item, int lane)
{
    (void)lane;
    const squares *work = user;
    const pinion__elementwise *loop = &work->loop;
    double sum = 0.0;
    for (size_t row = pinion__cut_first(&loop->cut, item); row < pinion__cut_end(&loop->cut, item); row++)
        sum += row_squares(loop->data[0] + (ptrdiff_t)row * loop->step[0], pinion__elementwise_count(loop, row));
    work->partial[item] = sum;
}

static pinion__elementwise cut_gradient(const pinion__args *args)
{
    const pinion__view *dw = &args->operand[PINION__GRAD_SQUARE_UPDATE_DW];
    return pinion__elementwise_cut(&dw, 1);
}

static size_t grad_square_scratch(const pinion__args *args)
{
    return cut_gradient(args).cut.items * sizeof(double);
}

static void grad_square(const pinion__args *args)
{
    squares work = {.loop = cut_gradient(args), .partial = args->scratch};
    size_t items = work.loop.cut.items;
    pinion__parallel(args->workers, items, squares_item, &work);
    double sum = 0.0;
    for (size_t i = 0; i < items; i++)
        sum += work.partial[i];
    *(double *)args->operand[PINION__GRAD_SQUARE_UPDATE_SLOT].data = sum;
}

/* A norm that is NaN makes the scale NaN: a diverged training must be seen. */
static void clip_scale(const pinion__args *args)
{
    const pinion__view *slots = &args->operand[PINION__CLIP_SCALE_UPDATE_SLOTS];
    double sum = 0.0;
    for (int i = 0; i < slots->c; i++)
        sum += ((const double *)slots->data)[i];
    double wanted = (double)args->step->clip_norm;
    double scale = wanted / (sqrt(sum) + 1e-6);
    *(float *)args->operand[PINION__CLIP_SCALE_UPDATE_SCALE].data =
        wanted > 0.0 && !(scale > 1.0) ? (float)scale : 1.0F;
}

PINION__CPU_KERNEL(grad_square_update) = {.scratch_bytes = grad_square_scratch, .run = grad_square};
PINION__CPU_KERNEL(clip_scale_update) = {.run = clip_scale};
