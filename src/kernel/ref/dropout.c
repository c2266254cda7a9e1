/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout in training, scaled so that inference needs nothing:
 *
 *     y  = keep(element) ? x  / (1 - rate) : 0
 *     dx = keep(element) ? dy / (1 - rate) : 0
 *     keep(element) = uniform(seed, PINION__RANDOM_DROPOUT, stream = layer, step*2^40 + element) >= rate
 *     element = ((sample*h + row)*w + column)*c + channel,  sample = first_sample + n
 *
 * with seed and step (its number) from args->step and `uniform` = pinion__random_uniform: element e is lane e mod 4 of
 * call e div 4. The mask is the same for every kernel, however the batch is cut. Source: Srivastava et al.: Dropout
 * (JMLR 15, 2014), in the "inverted" form of torch.nn.Dropout.
 */
#include "base/random.h"
#include "kernel/ref/ref.h"

static bool keep(const pinion__args *args, const pinion__view *view, int n, int h, int w, int c)
{
    const pinion_dropout *dropout = args->attributes;
    uint64_t sample = (uint64_t)args->first_sample + (uint64_t)n;
    uint64_t row = sample * (uint64_t)view->h + (uint64_t)h;
    uint64_t element = (row * (uint64_t)view->w + (uint64_t)w) * (uint64_t)view->c + (uint64_t)c;
    uint64_t index = (args->step->number << 40) + element;
    return pinion__random_uniform(args->step->seed, PINION__RANDOM_DROPOUT, (uint32_t)args->layer, index) >=
           dropout->rate;
}

static void apply(const pinion__args *args, const pinion__view *from, const pinion__view *to, bool accumulate)
{
    double scale = 1 / (1 - (double)((const pinion_dropout *)args->attributes)->rate);
    for (int n = 0; n < to->n; n++) {
        for (int h = 0; h < to->h; h++) {
            for (int w = 0; w < to->w; w++) {
                for (int c = 0; c < to->c; c++) {
                    double kept = keep(args, to, n, h, w, c) ? (double)pinion__pixel(from, n, h, w)[c] * scale : 0;
                    pinion__put(&pinion__pixel(to, n, h, w)[c], kept, accumulate);
                }
            }
        }
    }
}

static void run_dropout_forward(const pinion__args *args)
{
    apply(args, &args->operand[PINION__DROPOUT_FORWARD_X], &args->operand[PINION__DROPOUT_FORWARD_Y], false);
}

static void run_dropout_backward_data(const pinion__args *args)
{
    apply(args, &args->operand[PINION__DROPOUT_BACKWARD_DATA_DY], &args->operand[PINION__DROPOUT_BACKWARD_DATA_DX],
          args->accumulate);
}

PINION__REF_KERNEL(dropout_forward);
PINION__REF_KERNEL(dropout_backward_data);
