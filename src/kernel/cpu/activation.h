/* SPDX-License-Identifier: Apache-2.0
 *
 * The activation functions of fused passes, one vector at a time. Each is a clamp to [low, high], so that code which
 * stores an output needs no branch and no instance an activation: with none the bounds are infinite. A NaN stays a NaN.
 */
#ifndef PINION_KERNEL_CPU_ACTIVATION_H
#define PINION_KERNEL_CPU_ACTIVATION_H

#include "kernel/cpu/vec.h"
#include "op/op.h"

typedef struct pinion__bounds {
    float low, high;
} pinion__bounds;

static inline pinion__bounds pinion__bounds_of(enum pinion__activation activation)
{
    return (pinion__bounds){activation == PINION__ACTIVATION_NONE ? -INFINITY : 0.0F,
                            activation == PINION__ACTIVATION_RELU6 ? 6.0F : INFINITY};
}

PINION__INLINE pinion__vf pinion__vf_clamp(pinion__vf v, pinion__bounds to)
{
    return pinion__vf_min(pinion__vf_set1(to.high), pinion__vf_max(pinion__vf_set1(to.low), v));
}

/* The gradient dy where an activation that gave y, or was given it, passes it, else 0. Not for `none`, whose bounds
 * would stop it at infinite y. */
PINION__INLINE pinion__vf pinion__vf_gradient(pinion__vf y, pinion__vf dy, pinion__bounds of)
{
    pinion__vi inside =
        pinion__vi_and(pinion__vf_gt(y, pinion__vf_set1(of.low)), pinion__vf_lt(y, pinion__vf_set1(of.high)));
    return pinion__vf_and(inside, dy);
}

#endif
