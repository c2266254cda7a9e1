/* SPDX-License-Identifier: Apache-2.0
 *
 * adamw: weight, gradient and both moments in one pass. With t = step->number + 1:
 *
 *     g = dw*scale    m = beta1*m + (1-beta1)*g    v = beta2*v + (1-beta2)*g^2
 *     w = w*(1 - rate*decay) - rate/(1-beta1^t) * m / (sqrt(v / (1-beta2^t)) + epsilon)
 *
 * The corrections are computed once a call, in double: 1 - beta2^t has three digits at t = 1.
 */
#include "kernel/cpu/elementwise.h"

#include <math.h>

enum { W, DW, M, V, VIEWS };

typedef struct constants {
    float scale, keep, beta1, new1, beta2, new2, epsilon;
    float rate;  /* -rate / (1 - beta1^t) */
    float widen; /* 1 / (1 - beta2^t) */
} constants;

PINION__INLINE void update(float *const at[], int count, bool accumulate, const void *user)
{
    (void)accumulate;
    const constants *with = user;
    pinion__vf g = pinion__vf_mul(pinion__vf_load_some(at[DW], count), pinion__vf_set1(with->scale));
    pinion__vf m = pinion__vf_mul(pinion__vf_load_some(at[M], count), pinion__vf_set1(with->beta1));
    m = pinion__vf_fma(pinion__vf_set1(with->new1), g, m);
    pinion__vf v = pinion__vf_mul(pinion__vf_load_some(at[V], count), pinion__vf_set1(with->beta2));
    v = pinion__vf_fma(pinion__vf_mul(pinion__vf_set1(with->new2), g), g, v);
    pinion__vf root = pinion__vf_sqrt(pinion__vf_mul(v, pinion__vf_set1(with->widen)));
    pinion__vf direction = pinion__vf_div(m, pinion__vf_add(root, pinion__vf_set1(with->epsilon)));
    pinion__vf w = pinion__vf_mul(pinion__vf_load_some(at[W], count), pinion__vf_set1(with->keep));
    pinion__vf_store_some(at[M], m, count);
    pinion__vf_store_some(at[V], v, count);
    pinion__vf_store_some(at[W], pinion__vf_fma(pinion__vf_set1(with->rate), direction, w), count);
}

static void update_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, update);
}

static void run(const pinion__args *args)
{
    const pinion__adamw *adamw = args->attributes;
    const float *scale = args->operand[PINION__ADAMW_UPDATE_SCALE].data;
    double rate = (double)args->step->learning_rate, t = (double)args->step->number + 1.0;
    double beta1 = (double)adamw->beta1, beta2 = (double)adamw->beta2;
    constants with = {
        .scale = scale ? *scale : 1.0F,
        .keep = (float)(1.0 - rate * (double)adamw->weight_decay),
        .beta1 = adamw->beta1,
        .new1 = (float)(1.0 - beta1),
        .beta2 = adamw->beta2,
        .new2 = (float)(1.0 - beta2),
        .epsilon = adamw->epsilon,
        .rate = (float)(-rate / (1.0 - pow(beta1, t))),
        .widen = (float)(1.0 / (1.0 - pow(beta2, t))),
    };
    const pinion__view *views[VIEWS] = {
        [W] = &args->operand[PINION__ADAMW_UPDATE_W],
        [DW] = &args->operand[PINION__ADAMW_UPDATE_DW],
        [M] = &args->operand[PINION__ADAMW_UPDATE_M],
        [V] = &args->operand[PINION__ADAMW_UPDATE_V],
    };
    pinion__elementwise_over(args, views, VIEWS, &with, update_item);
}

PINION__CPU_KERNEL(adamw_update) = {.run = run};
