/* SPDX-License-Identifier: Apache-2.0
 *
 * Activation functions as a clamp to [low, high] (pinion__launch_bounds of activation.h): with none the bounds are
 * infinite. A NaN stays a NaN, which fmin and fmax would not let it.
 */
#ifndef ACTIVATION_CL
#define ACTIVATION_CL

#include "vector.cl"

static inline vf activate(vf v, float low, float high)
{
    v = vf_where(v < vf_set1(low), vf_set1(low), v);
    return vf_where(v > vf_set1(high), vf_set1(high), v);
}

/* The gradient dy where an activation that gave y, or was given it, passes it, else 0. Not for `none`, whose bounds
 * would stop it at infinite y. */
static inline vf gradient_behind(vf y, vf dy, float low, float high)
{
    return vf_where((y > vf_set1(low)) & (y < vf_set1(high)), dy, vf_set1(0.0f));
}

#endif
