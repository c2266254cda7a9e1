/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout, forward and backward: the same work on other operands, as the mask is drawn again in backward. Element e of
 * the batch is kept where draw e (lane e%4 of call e/4 of pinion__random4, counted from step*2^40) is not below `limit`.
 * An item is VECTOR calls of the generator, one in each lane: 4*VECTOR draws that stand side by side. VECTOR is at least
 * 4.
 */
#include "vector.cl"

typedef VF_JOIN(uint, VECTOR) vu;

/* Vectors of half the width, and pairs of draws as single numbers. */
#if VECTOR == 16
#define HALF 8
typedef ulong8 vp;
#define PAIRS_OF(v) as_ulong4(v)
#elif VECTOR == 8
#define HALF 4
typedef ulong4 vp;
#define PAIRS_OF(v) as_ulong2(v)
#else
#define HALF 2
typedef ulong2 vp;
#define PAIRS_OF(v) as_ulong(v)
#endif

/* Both halves of a product with `factor`. */
static inline void mul_wide(vu a, uint factor, vu *low, vu *high)
{
#if VECTOR >= 8 /* wide vectors multiply every second number; mul_hi is taken apart by some drivers */
    const vp pairs = VF_JOIN(as_ulong, HALF)(a), mask = (vp)(0xFFFFFFFFul);
    const vp even = (pairs & mask) * (vp)(factor), odd = (pairs >> 32) * (vp)(factor);
    *low = VF_JOIN(as_uint, VECTOR)((even & mask) | (odd << 32));
    *high = VF_JOIN(as_uint, VECTOR)((even >> 32) | (odd & ~mask));
#else
    *low = a * (vu)(factor);
    *high = mul_hi(a, (vu)(factor));
#endif
}

/* Ten rounds of Philox4x32 on the counters c0 ... c3 of VECTOR calls. */
static inline void philox(vu *c0, vu *c1, vu *c2, vu *c3, uint key0, uint key1)
{
    for (int round = 0; round < 10; round++) {
        vu low0, high0, low1, high1;
        mul_wide(*c0, 0xD2511F53u, &low0, &high0);
        mul_wide(*c2, 0xCD9E8D57u, &low1, &high1);
        *c0 = high1 ^ *c1 ^ (vu)(key0);
        *c2 = high0 ^ *c3 ^ (vu)(key1);
        *c1 = low1;
        *c3 = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

__constant uint lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static inline vu merge(VF_JOIN(uint, HALF) a, VF_JOIN(uint, HALF) b)
{
    vu merged;
    merged.even = a;
    merged.odd = b;
    return merged;
}

/* The same for pairs of draws. */
static inline vu merge_pairs(VF_JOIN(uint, HALF) a, VF_JOIN(uint, HALF) b)
{
    vp merged;
    merged.even = PAIRS_OF(a);
    merged.odd = PAIRS_OF(b);
    return VF_JOIN(as_uint, VECTOR)(merged);
}

/* Draws of the calls first, first+1, ... in order. */
static inline void draw(vu out[4], ulong first, uint purpose, uint stream, uint key0, uint key1)
{
    const vu base = (vu)((uint)first);
    vu c0 = base + VF_JOIN(vload, VECTOR)(0, lane_numbers), c2 = (vu)(purpose), c3 = (vu)(stream);
    vu c1 = (vu)((uint)(first >> 32)) - VF_JOIN(as_uint, VECTOR)(c0 < base);
    philox(&c0, &c1, &c2, &c3, key0, key1);
    const vu low01 = merge(c0.lo, c1.lo), low23 = merge(c2.lo, c3.lo);
    const vu high01 = merge(c0.hi, c1.hi), high23 = merge(c2.hi, c3.hi);
    out[0] = merge_pairs(low01.lo, low23.lo), out[1] = merge_pairs(low01.hi, low23.hi);
    out[2] = merge_pairs(high01.lo, high23.lo), out[3] = merge_pairs(high01.hi, high23.hi);
}

/* Elements in `rows` rows of `count`, a dense tensor being one row. The first element has draw 4*first + skip. */
__kernel void dropout(const __global float *x, int x_offset, int x_ld, __global float *y, int y_offset, int y_ld,
                      int rows, int count, ulong first, int skip, uint purpose, uint stream, uint key0, uint key1,
                      uint limit, float scale, int accumulate)
{
    const int id = (int)get_global_id(0), begin = id * 4 * VECTOR - skip, elements = rows * count;
    if (begin >= elements)
        return;
    vu draws[4];
    draw(draws, first + (ulong)id * VECTOR, purpose, stream, key0, key1);
    x += x_offset, y += y_offset;
    if (rows == 1 && begin >= 0 && begin + 4 * VECTOR <= elements) {
        for (int i = 0; i < 4; i++) {
            const int at = begin + i * VECTOR;
            const vi kept = draws[i] >= (vu)(limit);
            vf_put(y + at, vf_where(kept, vf_load(x + at) * vf_set1(scale), vf_set1(0.0f)), VECTOR, accumulate);
        }
        return;
    }
    uint single[4 * VECTOR];
    for (int i = 0; i < 4; i++)
        VF_JOIN(vstore, VECTOR)(draws[i], i, (uint *)single);
    for (int i = max(0, -begin); i < min(4 * VECTOR, elements - begin); i++) {
        const int row = (begin + i) / count, column = (begin + i) - row * count;
        const float kept = single[i] >= limit ? x[row * x_ld + column] * scale : 0.0f;
        __global float *at = y + row * y_ld + column;
        *at = accumulate ? *at + kept : kept;
    }
}
