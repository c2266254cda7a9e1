/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training: from partial statistics to the constants that normalise. They are those of SLICES (1
 * or 4) slices of the batch, of which the later ones may be absent. An item is a vector of channels.
 *
 * Distances of the blocks' means from the first one's are what is averaged, so that the mean comes with the bits that
 * its rounding loses, without double precision, which small devices do not have; M2 is Chan's formula for all blocks at
 * once.
 */
#include "batchnorm.cl"
#include "blocks.cl"

typedef struct slice {
    const __global float *at; /* mean of the first block at the item's channels */
    int ld;
    block_cut cut;
} slice;

#define SLICE_PARAMETERS(i)                                                                                            \
    const __global float *stats##i, int stats##i##_offset, int stats##i##_ld, int blocks##i, int per_image##i,         \
        int image_pixels##i, int row_pixels##i, int pixels##i
#define SLICE_OF(i)                                                                                                    \
    {stats##i + stats##i##_offset + c, stats##i##_ld,                                                                  \
     {blocks##i, per_image##i, image_pixels##i, row_pixels##i, pixels##i}}

#if SLICES == 1
#define SLICES_PARAMETERS SLICE_PARAMETERS(0)
#define SLICES_OF {SLICE_OF(0)}
#else
#define SLICES_PARAMETERS SLICE_PARAMETERS(0), SLICE_PARAMETERS(1), SLICE_PARAMETERS(2), SLICE_PARAMETERS(3)
#define SLICES_OF {SLICE_OF(0), SLICE_OF(1), SLICE_OF(2), SLICE_OF(3)}
#endif

/* kept: mean, scale and shift of normalise.cl. invstd may be absent. share = momentum, rest = 1 - momentum. */
__kernel void finish(SLICES_PARAMETERS, const __global float *gamma, int gamma_offset, const __global float *beta,
                     int beta_offset, __global float *running_mean, int running_mean_offset,
                     __global float *running_var, int running_var_offset, __global float *kept, int kept_offset,
                     int kept_ld, __global float *invstd, int invstd_offset, int channels, float epsilon, float share,
                     float rest)
{
    const int c = (int)get_global_id(0) * VECTOR, count = min(channels - c, VECTOR);
    if (count <= 0)
        return;
    const slice slices[SLICES] = SLICES_OF;
    const vf first = vf_load_some(slices[0].at, count);
    vf apart = vf_set1(0.0f), m2 = vf_set1(0.0f), lost = vf_set1(0.0f);
    int pixels = 0;
    for (int s = 0; s < SLICES; s++) {
        pixels += slices[s].cut.pixels;
        for (int b = 0; b < slices[s].cut.blocks; b++) {
            const float of = (float)(block_begin(&slices[s].cut, b + 1) - block_begin(&slices[s].cut, b));
            apart += vf_set1(of) * (vf_load_some(slices[s].at + b * 2 * slices[s].ld, count) - first);
        }
    }
    const vf m = vf_set1((float)pixels);
    apart /= m;
    for (int s = 0; s < SLICES; s++)
        for (int b = 0; b < slices[s].cut.blocks; b++) {
            const float of = (float)(block_begin(&slices[s].cut, b + 1) - block_begin(&slices[s].cut, b));
            const __global float *part = slices[s].at + b * 2 * slices[s].ld;
            const vf distance = vf_load_some(part, count) - first - apart;
            const vf more = vf_load_some(part + slices[s].ld, count) + vf_set1(of) * distance * distance;
            const vf sum = m2 + more;
            lost += vf_where(fabs(m2) > fabs(more), m2 - sum + more, more - sum + m2);
            m2 = sum;
        }
    m2 += lost;
    const vf mean = first + apart, moved = mean - first;
    const vf rounded = (first - (mean - moved)) + (apart - moved); /* the exact mean - mean */
    const vf deviation = inverse_root(m2 / m + vf_set1(epsilon));
    const vf scale = vf_load_some(gamma + gamma_offset + c, count) * deviation;
    __global float *into = kept + kept_offset + c;
    vf_store_some(into, mean, count);
    vf_store_some(into + kept_ld, scale, count);
    vf_store_some(into + 2 * kept_ld, vf_load_some(beta + beta_offset + c, count) - rounded * scale, count);
    __global float *average = running_mean + running_mean_offset + c, *variance = running_var + running_var_offset + c;
    const vf unbiased = m2 / vf_set1(pixels > 1 ? (float)(pixels - 1) : 1.0f);
    vf_store_some(average, vf_set1(rest) * vf_load_some(average, count) + vf_set1(share) * mean, count);
    vf_store_some(variance, vf_set1(rest) * vf_load_some(variance, count) + vf_set1(share) * unbiased, count);
    if (invstd)
        vf_store_some(invstd + invstd_offset + c, deviation, count);
}
