/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights and bias of a convolution that does the work of the stored batch normalisation behind it.
 */
#include "batchnorm.cl"
#include "rows.cl"

/* Rows are pixels of the weights, of which a filter has `taps`; 0: a row has all channels (depthwise). An item is
 * some vectors of a row. */
__kernel void weights(const __global float *w, int w_offset, int w_ld, const __global float *gamma, int gamma_offset,
                      const __global float *variance, int variance_offset, __global float *folded, int folded_offset,
                      int folded_ld, ROWS_PARAMETERS, int taps, float epsilon)
{
    const row_item at = ROW_ITEM;
    w += w_offset + at.row * w_ld;
    folded += folded_offset + at.row * folded_ld;
    gamma += gamma_offset;
    variance += variance_offset;
    for (int i = at.first; i < at.end; i += VECTOR) {
        const int left = ROW_LEFT(at, i);
        const vf scale = taps > 0 ? vf_set1(gamma[at.row / taps]) : vf_load_some(gamma + i, left);
        const vf spread = taps > 0 ? vf_set1(variance[at.row / taps]) : vf_load_some(variance + i, left);
        vf_store_some(folded + i, vf_load_some(w + i, left) * (scale * inverse_root(spread + vf_set1(epsilon))), left);
    }
}

/* An item is a vector of the output's channels; b may be absent. */
__kernel void bias(const __global float *b, int b_offset, const __global float *gamma, int gamma_offset,
                   const __global float *beta, int beta_offset, const __global float *mean, int mean_offset,
                   const __global float *variance, int variance_offset, __global float *folded, int folded_offset,
                   int channels, float epsilon)
{
    const int c = (int)get_global_id(0) * VECTOR, count = min(channels - c, VECTOR);
    if (count <= 0)
        return;
    const vf scale = vf_load_some(gamma + gamma_offset + c, count) *
                     inverse_root(vf_load_some(variance + variance_offset + c, count) + vf_set1(epsilon));
    vf centred = -vf_load_some(mean + mean_offset + c, count);
    if (b)
        centred += vf_load_some(b + b_offset + c, count);
    vf_store_some(folded + folded_offset + c, centred * scale + vf_load_some(beta + beta_offset + c, count), count);
}
