/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of finished gradients of weights. The formulas of the optimisers stand here once, on one vector, for the
 * update tasks (put_gradient.cl) and for the backward_weights passes that do the update themselves. With g the
 * gradient:
 *
 *     sgd      g = g + decay*w    v = momentum*v + g    w = w + look*g + ahead*v
 *     adamw    m = beta1*m + new1*g    v = beta2*v + new2*g^2    w = keep*w + rate * m / (sqrt(widen*v) + epsilon)
 *
 * where look, ahead, keep, new1, new2, rate and widen come from the host (update.c).
 *
 * A sink is the place where a pass puts its gradients: what it does is the build option SINK. A kernel has
 * SINK_PARAMETERS among its parameters, `const sink to = SINK_OF;`, and gives each vector of gradients to sink_put
 * once, complete. An element's offset is that of its place in dw or, with an update, in w; weights, gradient and
 * moments are laid out alike (same shape, same ld).
 */
#ifndef UPDATE_CL
#define UPDATE_CL

#include "vector.cl"

#define SINK_STORE 0
#define SINK_ADD 1
#define SINK_SGD 2
#define SINK_ADAMW 3

#define SINK_PARAMETERS                                                                                                \
    __global float *sink_at, int sink_at_offset, __global float *sink_first, int sink_first_offset,                    \
        __global float *sink_second, int sink_second_offset, float sink_0, float sink_1, float sink_2, float sink_3,   \
        float sink_4, float sink_5, float sink_6, float sink_7
#define SINK_OF                                                                                                        \
    {                                                                                                                  \
        sink_at + sink_at_offset, sink_first + sink_first_offset, sink_second + sink_second_offset, sink_0, sink_1,    \
            sink_2, sink_3, sink_4, sink_5, sink_6, sink_7                                                             \
    }

typedef struct sink {
    __global float *at, *first, *second; /* dw or w, moments */
    float of0, of1, of2, of3, of4, of5, of6, of7;
} sink;

static inline void sink_sgd(const sink *to, int offset, vf g, int count)
{
    const vf decay = vf_set1(to->of0), momentum = vf_set1(to->of1), look = vf_set1(to->of2), ahead = vf_set1(to->of3);
    const vf w = vf_load_some(to->at + offset, count);
    g = decay * w + g;
    const vf v = momentum * vf_load_some(to->first + offset, count) + g;
    vf_store_some(to->first + offset, v, count);
    vf_store_some(to->at + offset, ahead * v + (look * g + w), count);
}

static inline void sink_adamw(const sink *to, int offset, vf g, int count)
{
    const vf keep = vf_set1(to->of0), beta1 = vf_set1(to->of1), new1 = vf_set1(to->of2), beta2 = vf_set1(to->of3);
    const vf new2 = vf_set1(to->of4), epsilon = vf_set1(to->of5), rate = vf_set1(to->of6), widen = vf_set1(to->of7);
    const vf m = new1 * g + beta1 * vf_load_some(to->first + offset, count);
    const vf v = new2 * g * g + beta2 * vf_load_some(to->second + offset, count);
    const vf w = keep * vf_load_some(to->at + offset, count);
    vf_store_some(to->first + offset, m, count);
    vf_store_some(to->second + offset, v, count);
    vf_store_some(to->at + offset, rate * (m / (sqrt(widen * v) + epsilon)) + w, count);
}

static inline void sink_put(const sink *to, int offset, vf gradient, int count)
{
#if SINK == SINK_STORE
    vf_store_some(to->at + offset, gradient, count);
#elif SINK == SINK_ADD
    vf_store_some(to->at + offset, vf_load_some(to->at + offset, count) + gradient, count);
#elif SINK == SINK_SGD
    sink_sgd(to, offset, gradient, count);
#else
    sink_adamw(to, offset, gradient, count);
#endif
}

#endif
