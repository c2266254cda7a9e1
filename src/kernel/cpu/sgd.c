/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd with momentum, plain or Nesterov's: weight, gradient and velocity in one pass.
 *
 *     g = dw*scale + decay*w    v = momentum*v + g    w = w - rate*(nesterov ? g + momentum*v : v)
 */
#include "kernel/cpu/elementwise.h"

enum { W, DW, VELOCITY, VIEWS };

/* The step along the direction of both kinds: w - rate*(look*g + ahead*v), (look, ahead) = (1, momentum) or (0, 1). */
typedef struct constants {
    float scale, decay, momentum, look, ahead;
} constants;

PINION__INLINE void update(float *const at[], int count, bool accumulate, const void *user)
{
    (void)accumulate;
    const constants *with = user;
    pinion__vf w = pinion__vf_load_some(at[W], count);
    pinion__vf g = pinion__vf_mul(pinion__vf_load_some(at[DW], count), pinion__vf_set1(with->scale));
    g = pinion__vf_fma(pinion__vf_set1(with->decay), w, g);
    pinion__vf v = pinion__vf_load_some(at[VELOCITY], count);
    v = pinion__vf_fma(pinion__vf_set1(with->momentum), v, g);
    w = pinion__vf_fma(pinion__vf_set1(with->look), g, w);
    w = pinion__vf_fma(pinion__vf_set1(with->ahead), v, w);
    pinion__vf_store_some(at[VELOCITY], v, count);
    pinion__vf_store_some(at[W], w, count);
}

static void update_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, update);
}

static void run(const pinion__args *args)
{
    const pinion__sgd *sgd = args->attributes;
    const float *scale = args->operand[PINION__SGD_UPDATE_SCALE].data;
    float rate = args->step->learning_rate;
    constants with = {
        .scale = scale ? *scale : 1.0F,
        .decay = sgd->weight_decay,
        .momentum = sgd->momentum,
        .look = sgd->nesterov ? -rate : 0.0F,
        .ahead = sgd->nesterov ? -rate * sgd->momentum : -rate,
    };
    const pinion__view *views[VIEWS] = {
        [W] = &args->operand[PINION__SGD_UPDATE_W],
        [DW] = &args->operand[PINION__SGD_UPDATE_DW],
        [VELOCITY] = &args->operand[PINION__SGD_UPDATE_VELOCITY],
    };
    pinion__elementwise_over(args, views, VIEWS, &with, update_item);
}

PINION__CPU_KERNEL(sgd_update) = {.run = run};
