/* SPDX-License-Identifier: Apache-2.0
 *
 * Finished gradients of `rows` rows of `count` elements go through the sink of update.cl. An item is some vectors of a
 * row.
 */
#include "update.cl"
#include "rows.cl"

/* Gradients that a pass left in its scratch. */
__kernel void put_gradient(const __global float *gradient, int gradient_offset, int gradient_ld, int sink_ld,
                           ROWS_PARAMETERS, SINK_PARAMETERS)
{
    const sink to = SINK_OF;
    const row_item at = ROW_ITEM;
    gradient += gradient_offset + at.row * gradient_ld;
    for (int i = at.first; i < at.end; i += VECTOR)
        sink_put(&to, at.row * sink_ld + i, vf_load_some(gradient + i, ROW_LEFT(at, i)), ROW_LEFT(at, i));
}

#if SINK == SINK_SGD || SINK == SINK_ADAMW
/* An update task: the sum of dw and of further gradients that may be absent, times a factor that may be absent.
 * Operands need not be laid out alike. */
__kernel void update(const __global float *dw, int dw_offset, int dw_ld, const __global float *further0,
                     int further0_offset, int further0_ld, const __global float *further1, int further1_offset,
                     int further1_ld, const __global float *further2, int further2_offset, int further2_ld,
                     const __global float *factor, int factor_offset, int w_ld, int first_ld, int second_ld,
                     ROWS_PARAMETERS, SINK_PARAMETERS)
{
    const row_item at = ROW_ITEM;
    const float scale = factor ? factor[factor_offset] : 1.0f;
    sink to = SINK_OF;
    to.at += at.row * w_ld;
    to.first += at.row * first_ld;
    to.second += at.row * second_ld;
    for (int i = at.first; i < at.end; i += VECTOR) {
        const int left = ROW_LEFT(at, i);
        vf g = vf_load_some(dw + dw_offset + at.row * dw_ld + i, left);
        if (further0)
            g += vf_load_some(further0 + further0_offset + at.row * further0_ld + i, left);
        if (further1)
            g += vf_load_some(further1 + further1_offset + at.row * further1_ld + i, left);
        if (further2)
            g += vf_load_some(further2 + further2_offset + at.row * further2_ld + i, left);
        sink_put(&to, i, g * vf_set1(scale), left);
    }
}
#endif
