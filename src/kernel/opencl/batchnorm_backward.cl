/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of batch normalisation in training. ds is dy where an activation behind the normalisation passes it. MASK
 * says how that is known: 0 there is none, 1 from x once more, 2 from the output y (ds is stored then).
 */
#include "batchnorm.cl"

static inline vf masked(vf x, vf dy, vf mean, vf scale, vf shift, float low, float high)
{
#if MASK == 1
    return gradient_behind(normalised(x, mean, scale, shift), dy, low, high);
#else
    return dy;
#endif
}

#ifdef BLOCK_PIXELS

#define CHAINS (VECTORS == 1 ? 4 : 1) /* one vector alone would wait for itself */

/* Sums of ds and of ds*(x - mean) of each block of BLOCK_PIXELS pixels, two rows of `channels`. An item is a block
 * and a strip of VECTORS vectors of channels (1 where channels are left over), its id block*strips + strip. ds may
 * lie over dy. */
__kernel void sums(const __global float *x, int x_offset, int x_ld, const __global float *dy, int dy_offset, int dy_ld,
                   const __global float *y, int y_offset, int y_ld, __global float *ds, int ds_offset, int ds_ld,
                   const __global float *constants, int constants_offset, int constants_ld, __global float *partial,
                   int partial_offset, int channels, int pixels, float low, float high)
{
    const int width = VECTORS * VECTOR, strips = (channels + width - 1) / width;
    const int b = (int)get_global_id(0) / strips, c = (int)get_global_id(0) % strips * width;
    const int begin = b * BLOCK_PIXELS, end = min(begin + BLOCK_PIXELS, pixels), count = min(channels - c, VECTOR);
    if (begin >= pixels)
        return;
    vf mean[VECTORS], scale[VECTORS], shift[VECTORS], plain[CHAINS][VECTORS], centred[CHAINS][VECTORS];
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const __global float *of = constants + constants_offset + c + v * VECTOR;
        mean[v] = vf_load_some(of, count);
        scale[v] = MASK == 1 ? vf_load_some(of + constants_ld, count) : mean[v];
        shift[v] = MASK == 1 ? vf_load_some(of + 2 * constants_ld, count) : mean[v];
#pragma unroll
        for (int i = 0; i < CHAINS; i++)
            plain[i][v] = centred[i][v] = vf_set1(0.0f);
    }
    for (int pixel = begin; pixel < end; pixel += CHAINS)
#pragma unroll
        for (int i = 0; i < CHAINS; i++)
            if (pixel + i < end)
#pragma unroll
                for (int v = 0; v < VECTORS; v++) {
                    const int at = pixel + i, channel = c + v * VECTOR;
                    const vf value = vf_load_some(x + x_offset + at * x_ld + channel, count);
                    vf gradient = vf_load_some(dy + dy_offset + at * dy_ld + channel, count);
                    gradient = masked(value, gradient, mean[v], scale[v], shift[v], low, high);
#if MASK == 2
                    gradient = gradient_behind(vf_load_some(y + y_offset + at * y_ld + channel, count), gradient, low,
                                               high);
                    vf_store_some(ds + ds_offset + at * ds_ld + channel, gradient, count);
#endif
                    plain[i][v] += gradient;
                    centred[i][v] += gradient * (value - mean[v]);
                }
    __global float *into = partial + partial_offset + b * 2 * channels + c;
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
#pragma unroll
        for (int i = 1; i < CHAINS; i++) {
            plain[0][v] += plain[i][v];
            centred[0][v] += centred[i][v];
        }
        vf_store_some(into + v * VECTOR, plain[0][v], count);
        vf_store_some(into + channels + v * VECTOR, centred[0][v], count);
    }
}

/* sum += value, and what its rounding loses to `lost`. */
static inline void add(vf *sum, vf *lost, vf value)
{
    const vf before = *sum, after = before + value;
    *lost += vf_where(fabs(before) > fabs(value), before - after + value, value - after + before);
    *sum = after;
}

/* Blocks in their order. An item is a vector of channels. */
__kernel void sums_finish(const __global float *partial, int partial_offset, const __global float *invstd,
                          int invstd_offset, __global float *dgamma, int dgamma_offset, __global float *dbeta,
                          int dbeta_offset, int channels, int blocks, int accumulate)
{
    const int c = (int)get_global_id(0) * VECTOR, count = min(channels - c, VECTOR);
    if (count <= 0)
        return;
    vf plain = vf_set1(0.0f), plain_lost = plain, centred = plain, centred_lost = plain;
    const __global float *part = partial + partial_offset + c;
    for (int b = 0; b < blocks; b++, part += 2 * channels) {
        add(&plain, &plain_lost, vf_load_some(part, count));
        add(&centred, &centred_lost, vf_load_some(part + channels, count));
    }
    const vf dot = (centred + centred_lost) * vf_load_some(invstd + invstd_offset + c, count);
    vf_put(dgamma + dgamma_offset + c, dot, count, accumulate);
    vf_put(dbeta + dbeta_offset + c, plain + plain_lost, count, accumulate);
}

#else

/* dx = gamma*invstd*(ds - dbeta/m - (x - mean)*invstd*dgamma/m) = a*ds + (b*(x - mean) + k), m = batch_pixels. An
 * item is PIXELS pixels of a strip of channels. dx may lie over dy. */
__kernel void gradient(const __global float *x, int x_offset, int x_ld, const __global float *dy, int dy_offset,
                       int dy_ld, const __global float *gamma, int gamma_offset, const __global float *constants,
                       int constants_offset, int constants_ld, const __global float *invstd, int invstd_offset,
                       const __global float *dgamma, int dgamma_offset, const __global float *dbeta, int dbeta_offset,
                       __global float *dx, int dx_offset, int dx_ld, int channels, int pixels, float low, float high,
                       int batch_pixels, int accumulate)
{
    const channel_item at = channel_item_of(channels, pixels);
    if (at.pixel >= at.end)
        return;
    vf mean[VECTORS], scale[VECTORS], shift[VECTORS], a[VECTORS], b[VECTORS], k[VECTORS];
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const int c = at.channel + v * VECTOR;
        const __global float *of = constants + constants_offset + c;
        mean[v] = vf_load_some(of, at.count);
        scale[v] = MASK == 1 ? vf_load_some(of + constants_ld, at.count) : mean[v];
        shift[v] = MASK == 1 ? vf_load_some(of + 2 * constants_ld, at.count) : mean[v];
        const vf deviation = vf_load_some(invstd + invstd_offset + c, at.count);
        a[v] = vf_load_some(gamma + gamma_offset + c, at.count) * deviation;
        const vf over = -a[v] / vf_set1((float)batch_pixels);
        b[v] = over * deviation * vf_load_some(dgamma + dgamma_offset + c, at.count);
        k[v] = over * vf_load_some(dbeta + dbeta_offset + c, at.count);
    }
    x += x_offset + at.channel;
    dy += dy_offset + at.channel;
    dx += dx_offset + at.channel;
    for (int pixel = at.pixel; pixel < at.end; pixel++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++) {
            const vf value = vf_load_some(x + pixel * x_ld + v * VECTOR, at.count);
            vf ds = vf_load_some(dy + pixel * dy_ld + v * VECTOR, at.count);
            ds = masked(value, ds, mean[v], scale[v], shift[v], low, high);
            ds = a[v] * ds + (b[v] * (value - mean[v]) + k[v]);
            vf_put(dx + pixel * dx_ld + v * VECTOR, ds, at.count, accumulate);
        }
}

#endif
