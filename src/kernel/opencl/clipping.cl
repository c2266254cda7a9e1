/* SPDX-License-Identifier: Apache-2.0
 *
 * Global-norm clipping. Slots are doubles, which small devices do not have: their bits are made of and taken apart by
 * integers. Squares are added up in float, block by block, each block scaled by a power of two that brings its largest
 * element to about 1, so that nothing overflows or vanishes that would not in double; blocks are added with what their
 * roundings lose. A slot has a float's precision and a double's range.
 */
#include "rows.cl"

#define MANTISSA_BITS 52
#define MANTISSA 0x000fffffffffffffUL
#define EXPONENT 0x7ff0000000000000UL
#define BIAS 1023
#define CHAINS 4

typedef struct sum {
    float high, low;
} sum;

static inline void add(sum *to, float value)
{
    const float before = to->high, after = before + value;
    to->low += fabs(before) > fabs(value) ? before - after + value : value - after + before;
    to->high = after;
}

/* The bits of the double (high + low) * 2^exponent, high >= 0; too small for a normal one: 0. */
static inline ulong double_of(sum of, int exponent)
{
    if (isnan(of.high))
        return EXPONENT | 1UL << (MANTISSA_BITS - 1);
    if (isinf(of.high))
        return EXPONENT;
    if (of.high == 0.0f)
        return 0UL;
    int e = ilogb(of.high);
    const int up = MANTISSA_BITS - e;
    long mantissa = convert_long(ldexp(of.high, up)) + convert_long_rte(ldexp(of.low, up));
    if (mantissa < 1L << MANTISSA_BITS) {
        mantissa <<= 1;
        e--;
    } else if (mantissa >= 1L << (MANTISSA_BITS + 1)) {
        mantissa >>= 1;
        e++;
    }
    e += exponent + BIAS;
    return e <= 0 ? 0UL : e >= 2 * BIAS + 1 ? EXPONENT : (ulong)e << MANTISSA_BITS | ((ulong)mantissa & MANTISSA);
}

static inline int exponent_of(ulong bits)
{
    const int biased = (int)((bits & EXPONENT) >> MANTISSA_BITS);
    return biased == 2 * BIAS + 1 ? 0 : biased - BIAS;
}

/* The double with these bits, >= 0, divided by 2^exponent. */
static inline sum sum_of(ulong bits, int exponent)
{
    sum of = {0.0f, 0.0f};
    if ((bits & EXPONENT) == EXPONENT) {
        of.high = bits & MANTISSA ? NAN : INFINITY;
    } else if (bits & EXPONENT) {
        const int rest = 29, e = exponent_of(bits) - exponent - MANTISSA_BITS;
        const ulong mantissa = (bits & MANTISSA) | 1UL << MANTISSA_BITS;
        of.high = ldexp((float)(mantissa >> rest), e + rest);
        of.low = ldexp((float)(mantissa & ((1UL << rest) - 1)), e);
    }
    return of;
}

/* The largest element of v, or their sum in a tree. */
static inline float across(vf v, const bool largest)
{
    float part[VECTOR];
    VF_JOIN(vstore, VECTOR)(v, 0, (float *)part);
    for (int left = VECTOR / 2; left > 0; left /= 2)
        for (int i = 0; i < left; i++)
            part[i] = largest ? fmax(part[i], part[i + left]) : part[i] + part[i + left];
    return part[0];
}

/* The larger one of a >= 0 and |b|; a where b is not a number. */
static inline vf larger(vf a, vf b)
{
    a = vf_where(b > a, b, a);
    return vf_where(-b > a, -b, a);
}

/* Of each block of BLOCK elements of a row the sum of squares, then, behind the sums, the exponents that belong to
 * them. An item is a block. */
__kernel void squares(const __global float *x, int x_offset, int x_ld, __global float *partial, int partial_offset,
                      ROWS_PARAMETERS)
{
    const int blocks = (count + BLOCK - 1) / BLOCK, id = (int)get_global_id(0), first = id % blocks * BLOCK;
    const int left = min(count - first, BLOCK);
    if (id >= rows * blocks)
        return;
    const __global float *from = x + x_offset + id / blocks * x_ld + first;
    vf size[CHAINS], total[CHAINS];
#pragma unroll
    for (int k = 0; k < CHAINS; k++)
        size[k] = total[k] = vf_set1(0.0f);
    int i = 0;
    for (; i + CHAINS * VECTOR <= left; i += CHAINS * VECTOR)
#pragma unroll
        for (int k = 0; k < CHAINS; k++)
            size[k] = larger(size[k], vf_load(from + i + k * VECTOR));
    for (; i < left; i += VECTOR)
        size[0] = larger(size[0], vf_load_some(from + i, left - i));
    const float most = across(larger(larger(size[0], size[1]), larger(size[2], size[3])), true);
    const int exponent = most > 0.0f && most < INFINITY ? ilogb(most) : 0;
    /* In two steps, as one factor may be too large for a float. */
    const vf down = vf_set1(ldexp(1.0f, -exponent / 2)), rest = vf_set1(ldexp(1.0f, exponent / 2 - exponent));
    for (i = 0; i + CHAINS * VECTOR <= left; i += CHAINS * VECTOR)
#pragma unroll
        for (int k = 0; k < CHAINS; k++) {
            const vf v = vf_load(from + i + k * VECTOR) * down * rest;
            total[k] += v * v;
        }
    for (; i < left; i += VECTOR) {
        const vf v = vf_load_some(from + i, left - i) * down * rest;
        total[0] += v * v;
    }
    partial[partial_offset + id] = across((total[0] + total[1]) + (total[2] + total[3]), false);
    partial[partial_offset + rows * blocks + id] = (float)(2 * exponent);
}

__kernel void squares_finish(const __global float *partial, int partial_offset, __global float *slot, int slot_offset,
                             int blocks)
{
    const __global float *part = partial + partial_offset, *exponents = part + blocks;
    if (get_global_id(0) > 0)
        return;
    float most = -INFINITY;
    for (int b = 0; b < blocks; b++)
        if (part[b] != 0.0f)
            most = fmax(most, exponents[b]);
    sum total = {0.0f, 0.0f};
    for (int b = 0; b < blocks; b++)
        if (part[b] != 0.0f)
            add(&total, ldexp(part[b], (int)(exponents[b] - most)));
    *(__global ulong *)(slot + slot_offset) = double_of(total, most > -INFINITY ? (int)most : 0);
}

/* scale = min(1, clip_norm / (sqrt(sum of the slots) + 1e-6)), 1 without clipping; a NaN stays one. */
__kernel void clip_scale(const __global float *slots, int slots_offset, __global float *scale, int scale_offset,
                         int count, float clip_norm)
{
    const __global ulong *bits = (const __global ulong *)(slots + slots_offset);
    if (get_global_id(0) > 0)
        return;
    int exponent = -BIAS;
    for (int i = 0; i < count; i++)
        exponent = max(exponent, exponent_of(bits[i]));
    exponent += exponent & 1;
    sum total = {0.0f, 0.0f};
    for (int i = 0; i < count; i++) {
        const sum one = sum_of(bits[i], exponent);
        add(&total, one.high);
        total.low += one.low;
    }
    const float squares = isfinite(total.high) ? total.high + total.low : total.high;
    const float wanted = clip_norm / (ldexp(sqrt(squares), exponent / 2) + 1e-6f);
    scale[scale_offset] = clip_norm > 0.0f && !(wanted > 1.0f) ? wanted : 1.0f;
}
