/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy. The target is (1-e)*onehot + e/classes with label smoothing e; in distillation it is
 * given. An item of the forward pass is a sample; one of the backward pass is a vector of a sample's classes. The row's
 * maximum is subtracted first, and sums are formed of distances to it, so that single precision does.
 */
#include "channels.cl"

/* The largest but for NaNs, which stay in the exponentials. */
static inline float row_max(const __global float *x, int classes)
{
    vf most = vf_set1(x[0]);
    float part[VECTOR], max = x[0];
    int k = 0;
    for (; k + VECTOR <= classes; k += VECTOR) {
        const vf value = vf_load(x + k);
        most = vf_where(value > most, value, most);
    }
    VF_JOIN(vstore, VECTOR)(most, 0, (float *)part);
    for (int i = 0; i < VECTOR; i++)
        max = part[i] > max ? part[i] : max;
    for (; k < classes; k++)
        max = x[k] > max ? x[k] : max;
    return max;
}

/* What a row's loss is made from: its maximum, the logarithm of the sum of exponentials, and the sum of distances to the
 * maximum. p becomes the probabilities, where it is given. */
typedef struct row_sums {
    float max, log_sum, far;
} row_sums;

static inline row_sums row_softmax(const __global float *x, __global float *p, int classes)
{
    const float max = row_max(x, classes);
    vf sums = vf_set1(0.0f), distances = vf_set1(0.0f);
    int k = 0;
    for (; k + VECTOR <= classes; k += VECTOR) {
        const vf distance = vf_load(x + k) - vf_set1(max), power = exp(distance);
        sums += power;
        distances -= distance;
        if (p)
            vf_store(p + k, power);
    }
    float z = sum_of_lanes(sums), far = sum_of_lanes(distances);
    for (; k < classes; k++) {
        const float power = exp(x[k] - max);
        z += power;
        far -= x[k] - max;
        if (p)
            p[k] = power;
    }
    for (k = 0; p && k < classes; k += VECTOR) {
        const int count = min(classes - k, VECTOR);
        vf_store_some(p + k, vf_load_some(p + k, count) / vf_set1(z), count);
    }
    const row_sums row = {max, log(z), far};
    return row;
}

__kernel void softmax_forward(const __global float *x, int x_offset, int x_ld, const __global int *labels,
                              int labels_offset, int labels_ld, __global float *p, int p_offset, int p_ld,
                              __global float *y, int y_offset, int y_ld, int samples, int classes, float smoothing)
{
    const int n = (int)get_global_id(0);
    if (n >= samples)
        return;
    x += x_offset + n * x_ld;
    const row_sums row = row_softmax(x, p ? p + p_offset + n * p_ld : 0, classes);
    const float own = row.max - x[labels[labels_offset + n * labels_ld]];
    y[y_offset + n * y_ld] =
        row.log_sum + (1.0f - smoothing) * own + (smoothing > 0.0f ? smoothing * (row.far / classes) : 0.0f);
}

__kernel void distillation_forward(const __global float *x, int x_offset, int x_ld, const __global float *targets,
                                   int targets_offset, int targets_ld, __global float *p, int p_offset, int p_ld,
                                   __global float *y, int y_offset, int y_ld, int samples, int classes)
{
    const int n = (int)get_global_id(0);
    if (n >= samples)
        return;
    x += x_offset + n * x_ld;
    targets += targets_offset + n * targets_ld;
    const row_sums row = row_softmax(x, p ? p + p_offset + n * p_ld : 0, classes);
    vf losses = vf_set1(0.0f);
    for (int k = 0; k < classes; k += VECTOR) {
        const int count = min(classes - k, VECTOR);
        losses += vf_load_some(targets + k, count) * (row.log_sum + (row.max - vf_load_some(x + k, count)));
    }
    y[y_offset + n * y_ld] = sum_of_lanes(losses);
}

__kernel void softmax_backward(const __global float *p, int p_offset, int p_ld, const __global int *labels,
                               int labels_offset, int labels_ld, __global float *dx, int dx_offset, int dx_ld,
                               int samples, int classes, float scale, int accumulate, float smoothing)
{
    const channels_item at = channels_item_of(samples, 1, classes);
    if (at.image < 0)
        return;
    const int label = labels[labels_offset + at.image * labels_ld] - at.c;
    const float rest = smoothing / (float)classes;
    float target[VECTOR];
    for (int i = 0; i < VECTOR; i++)
        target[i] = i == label ? 1.0f - smoothing + rest : rest;
    const vf given = vf_load_some(p + p_offset + at.image * p_ld + at.c, at.count);
    vf_put(dx + dx_offset + at.image * dx_ld + at.c, (given - VF_JOIN(vload, VECTOR)(0, (const float *)target)) * vf_set1(scale),
           at.count, accumulate);
}

__kernel void distillation_backward(const __global float *p, int p_offset, int p_ld, const __global float *targets,
                                    int targets_offset, int targets_ld, __global float *dx, int dx_offset, int dx_ld,
                                    int samples, int classes, float scale, int accumulate)
{
    const channels_item at = channels_item_of(samples, 1, classes);
    if (at.image < 0)
        return;
    const vf own = vf_load_some(p + p_offset + at.image * p_ld + at.c, at.count);
    const vf target = vf_load_some(targets + targets_offset + at.image * targets_ld + at.c, at.count);
    vf_put(dx + dx_offset + at.image * dx_ld + at.c, (own - target) * vf_set1(scale), at.count, accumulate);
}
