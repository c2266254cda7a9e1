/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a bias: sums over the pixels of dy, in blocks, then over the blocks in their order.
 */
#include "vector.cl"

/* Id: VECTOR channels of a block of pixels. */
__kernel void sum_block(const __global float *dy, int dy_offset, int ld, int channels, int pixels, int block,
                        __global float *sums, int sums_offset)
{
    const int strips = (channels + VECTOR - 1) / VECTOR, begin = (int)get_global_id(0) / strips * block;
    const int c = (int)get_global_id(0) % strips * VECTOR;
    if (begin >= pixels)
        return;
    vf sum = vf_set1(0.0f);
    for (int i = begin; i < min(begin + block, pixels); i++)
        sum += vf_load_some(dy + dy_offset + i * ld + c, channels - c);
    vf_store_some(sums + sums_offset + begin / block * channels + c, sum, channels - c);
}

/* Id: VECTOR channels. */
__kernel void sum_blocks(const __global float *sums, int sums_offset, int channels, int blocks, __global float *db,
                         int db_offset, int accumulate)
{
    const int c = (int)get_global_id(0) * VECTOR;
    if (c >= channels)
        return;
    vf sum = vf_set1(0.0f);
    for (int i = 0; i < blocks; i++)
        sum += vf_load_some(sums + sums_offset + i * channels + c, channels - c);
    vf_put(db + db_offset + c, sum, channels - c, accumulate);
}
