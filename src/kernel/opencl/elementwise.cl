/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes in which element i of the output comes from element i of the inputs, which outputs may lie over.
 */
#include "activation.cl"
#include "rows.cl"

/* y = activation(x): a clamp. */
__kernel void clamp_forward(const __global float *x, int x_offset, int x_ld, __global float *y, int y_offset, int y_ld,
                            ROWS_PARAMETERS, float low, float high)
{
    const row_item at = ROW_ITEM;
    x += x_offset + at.row * x_ld;
    y += y_offset + at.row * y_ld;
    for (int i = at.first; i < at.end; i += VECTOR)
        vf_store_some(y + i, activate(vf_load_some(x + i, ROW_LEFT(at, i)), low, high), ROW_LEFT(at, i));
}

/* dx = dy where the activation that gave y passes it, else 0. */
__kernel void clamp_backward(const __global float *y, int y_offset, int y_ld, const __global float *dy, int dy_offset,
                             int dy_ld, __global float *dx, int dx_offset, int dx_ld, ROWS_PARAMETERS, float low,
                             float high, int accumulate)
{
    const row_item at = ROW_ITEM;
    y += y_offset + at.row * y_ld;
    dy += dy_offset + at.row * dy_ld;
    dx += dx_offset + at.row * dx_ld;
    for (int i = at.first; i < at.end; i += VECTOR) {
        const vf gradient = vf_load_some(dy + i, ROW_LEFT(at, i)), seen = vf_load_some(y + i, ROW_LEFT(at, i));
        vf_put(dx + i, gradient_behind(seen, gradient, low, high), ROW_LEFT(at, i), accumulate);
    }
}

/* y = activation(a + b) */
__kernel void add_forward(const __global float *a, int a_offset, int a_ld, const __global float *b, int b_offset,
                          int b_ld, __global float *y, int y_offset, int y_ld, ROWS_PARAMETERS, float low,
                          float high)
{
    const row_item at = ROW_ITEM;
    a += a_offset + at.row * a_ld;
    b += b_offset + at.row * b_ld;
    y += y_offset + at.row * y_ld;
    for (int i = at.first; i < at.end; i += VECTOR) {
        const vf sum = vf_load_some(a + i, ROW_LEFT(at, i)) + vf_load_some(b + i, ROW_LEFT(at, i));
        vf_store_some(y + i, activate(sum, low, high), ROW_LEFT(at, i));
    }
}

/* y = activation(y + bias + addend), either of which may be absent: a row is a pixel. */
__kernel void finish_product(__global float *y, int y_offset, int y_ld, const __global float *bias, int bias_offset,
                             const __global float *addend, int addend_offset, int addend_ld, int with_bias,
                             int with_addend, ROWS_PARAMETERS, float low, float high)
{
    const row_item at = ROW_ITEM;
    y += y_offset + at.row * y_ld;
    addend += addend_offset + at.row * addend_ld;
    bias += bias_offset;
    for (int i = at.first; i < at.end; i += VECTOR) {
        vf sum = vf_load_some(y + i, ROW_LEFT(at, i));
        if (with_bias)
            sum += vf_load_some(bias + i, ROW_LEFT(at, i));
        if (with_addend)
            sum += vf_load_some(addend + i, ROW_LEFT(at, i));
        vf_store_some(y + i, activate(sum, low, high), ROW_LEFT(at, i));
    }
}

/* dx = dy */
__kernel void pass_backward(const __global float *dy, int dy_offset, int dy_ld, __global float *dx, int dx_offset,
                            int dx_ld, ROWS_PARAMETERS, int accumulate)
{
    const row_item at = ROW_ITEM;
    dy += dy_offset + at.row * dy_ld;
    dx += dx_offset + at.row * dx_ld;
    for (int i = at.first; i < at.end; i += VECTOR)
        vf_put(dx + i, vf_load_some(dy + i, ROW_LEFT(at, i)), ROW_LEFT(at, i), accumulate);
}
