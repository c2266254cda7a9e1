/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of fp32 and int32 as wide as the instruction set this file is compiled for: 16 lanes on AVX-512, 8 on AVX2, 4
 * on SSE2 and NEON and anywhere else. The types are those of the compilers' vector extensions; intrinsics stand behind
 * them where a compiler does badly: partial loads and stores, maxima, square roots, and everything on armv7, where gcc
 * turns float vectors into scalars because NEON flushes denormals.
 *
 * Loads and stores stand in vec_memory.h. A mask is a vector of int32 with all bits of a lane set or none. Everything
 * is a function, never an operator, in kernel code: the operators do not mean vector code on all targets.
 */
#ifndef PINION_KERNEL_CPU_VEC_H
#define PINION_KERNEL_CPU_VEC_H

#include "kernel/cpu/vec_memory.h"

#include <math.h>

/* ---- arithmetic ---- */

PINION__INLINE pinion__vf pinion__vf_set1(float x)
{
#if defined(__AVX512F__)
    return (pinion__vf)_mm512_set1_ps(x);
#elif defined(__AVX2__)
    return (pinion__vf)_mm256_set1_ps(x);
#elif defined(__ARM_NEON)
    return vdupq_n_f32(x);
#else
    return (pinion__vf){x, x, x, x};
#endif
}

/* One float of memory in all lanes. On NEON it does not pass through another register, as set1 of a value may. */
PINION__INLINE pinion__vf pinion__vf_broadcast(const float *p)
{
#if defined(__ARM_NEON)
    return vld1q_dup_f32(p);
#else
    return pinion__vf_set1(*p);
#endif
}

PINION__INLINE pinion__vi pinion__vi_set1(int32_t x)
{
#if defined(__AVX512F__)
    return (pinion__vi)_mm512_set1_epi32(x);
#elif defined(__AVX2__)
    return (pinion__vi)_mm256_set1_epi32(x);
#elif defined(__ARM_NEON)
    return vdupq_n_s32(x);
#else
    return (pinion__vi){x, x, x, x};
#endif
}

PINION__INLINE pinion__vf pinion__vf_zero(void)
{
    return pinion__vf_set1(0.0F);
}

PINION__INLINE pinion__vf pinion__vf_add(pinion__vf a, pinion__vf b)
{
#if defined(__ARM_NEON)
    return vaddq_f32(a, b);
#else
    return a + b;
#endif
}

PINION__INLINE pinion__vf pinion__vf_sub(pinion__vf a, pinion__vf b)
{
#if defined(__ARM_NEON)
    return vsubq_f32(a, b);
#else
    return a - b;
#endif
}

PINION__INLINE pinion__vf pinion__vf_mul(pinion__vf a, pinion__vf b)
{
#if defined(__ARM_NEON)
    return vmulq_f32(a, b);
#else
    return a * b;
#endif
}

/* Lane by lane in scalars on armv7, which has no vector division. */
PINION__INLINE pinion__vf pinion__vf_div(pinion__vf a, pinion__vf b)
{
    return a / b;
}

/* a*b + c, in one rounding where the instruction set has it. */
PINION__INLINE pinion__vf pinion__vf_fma(pinion__vf a, pinion__vf b, pinion__vf c)
{
#if defined(__AVX512F__)
    return (pinion__vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (pinion__vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON)
    return vfmaq_f32(c, a, b); /* VFPv4 on armv7; vmla there would round twice */
#else
    return a * b + c;
#endif
}

/* The larger and the smaller. With a NaN in b the result is NaN on every target; with one in a it may be b: give
 * constants first. */
PINION__INLINE pinion__vf pinion__vf_max(pinion__vf a, pinion__vf b)
{
#if defined(__AVX512F__)
    return (pinion__vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (pinion__vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (pinion__vf)_mm_max_ps((__m128)a, (__m128)b);
#elif defined(__ARM_NEON)
    return vmaxq_f32(a, b);
#else
    const pinion__vi greater = a > b;
    return (pinion__vf)((greater & (pinion__vi)a) | (~greater & (pinion__vi)b));
#endif
}

PINION__INLINE pinion__vf pinion__vf_min(pinion__vf a, pinion__vf b)
{
#if defined(__AVX512F__)
    return (pinion__vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (pinion__vf)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (pinion__vf)_mm_min_ps((__m128)a, (__m128)b);
#elif defined(__ARM_NEON)
    return vminq_f32(a, b);
#else
    const pinion__vi less = a < b;
    return (pinion__vf)((less & (pinion__vi)a) | (~less & (pinion__vi)b));
#endif
}

PINION__INLINE pinion__vf pinion__vf_sqrt(pinion__vf a)
{
#if defined(__AVX512F__)
    return (pinion__vf)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__)
    return (pinion__vf)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
    return (pinion__vf)_mm_sqrt_ps((__m128)a);
#elif defined(__aarch64__)
    return vsqrtq_f32(a);
#else
    float lanes[PINION__LANES];
    pinion__vf_store(lanes, a);
    for (int i = 0; i < PINION__LANES; i++)
        lanes[i] = sqrtf(lanes[i]);
    return pinion__vf_load(lanes);
#endif
}

PINION__INLINE pinion__vi pinion__vi_add(pinion__vi a, pinion__vi b)
{
    return a + b;
}

/* ---- comparison; false on NaN ---- */

PINION__INLINE pinion__vi pinion__vf_gt(pinion__vf a, pinion__vf b)
{
#if defined(__ARM_NEON)
    return vreinterpretq_s32_u32(vcgtq_f32(a, b));
#else
    return a > b;
#endif
}

PINION__INLINE pinion__vi pinion__vf_ge(pinion__vf a, pinion__vf b)
{
#if defined(__ARM_NEON)
    return vreinterpretq_s32_u32(vcgeq_f32(a, b));
#else
    return a >= b;
#endif
}

PINION__INLINE pinion__vi pinion__vf_lt(pinion__vf a, pinion__vf b)
{
    return pinion__vf_gt(b, a);
}

/* All bits set in the lanes where a is NaN. */
PINION__INLINE pinion__vi pinion__vf_is_nan(pinion__vf a)
{
#if defined(__ARM_NEON)
    return vreinterpretq_s32_u32(vmvnq_u32(vceqq_f32(a, a)));
#else
    return a != a;
#endif
}

PINION__INLINE pinion__vi pinion__vi_eq(pinion__vi a, pinion__vi b)
{
#if defined(__ARM_NEON)
    return vreinterpretq_s32_u32(vceqq_s32(a, b));
#else
    return a == b;
#endif
}

/* Signed. */
PINION__INLINE pinion__vi pinion__vi_gt(pinion__vi a, pinion__vi b)
{
#if defined(__ARM_NEON)
    return vreinterpretq_s32_u32(vcgtq_s32(a, b));
#else
    return a > b;
#endif
}

PINION__INLINE pinion__vi pinion__vi_and(pinion__vi a, pinion__vi b)
{
    return a & b;
}

PINION__INLINE pinion__vi pinion__vi_or(pinion__vi a, pinion__vi b)
{
    return a | b;
}

PINION__INLINE pinion__vi pinion__vi_xor(pinion__vi a, pinion__vi b)
{
    return a ^ b;
}

/* The halves of the 64-bit products of lanes, taken as unsigned, with m. */
PINION__INLINE void pinion__vi_mul_wide(pinion__vi a, uint32_t m, pinion__vi *low, pinion__vi *high)
{
#if defined(__AVX512F__)
    const __m512i factor = _mm512_set1_epi64((int64_t)m);
    const __m512i even = _mm512_mul_epu32((__m512i)a, factor);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)a, 32), factor);
    *low = (pinion__vi)_mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
    *high = (pinion__vi)_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
#elif defined(__AVX2__)
    const __m256i factor = _mm256_set1_epi64x((int64_t)m);
    const __m256i even = _mm256_mul_epu32((__m256i)a, factor);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)a, 32), factor);
    *low = (pinion__vi)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    *high = (pinion__vi)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
#elif defined(__SSE2__)
    const __m128i factor = _mm_set1_epi64x((int64_t)m), lower = _mm_set1_epi64x(0xFFFFFFFF);
    const __m128i even = _mm_mul_epu32((__m128i)a, factor);
    const __m128i odd = _mm_mul_epu32(_mm_srli_epi64((__m128i)a, 32), factor);
    *low = (pinion__vi)_mm_or_si128(_mm_and_si128(even, lower), _mm_slli_epi64(odd, 32));
    *high = (pinion__vi)_mm_or_si128(_mm_srli_epi64(even, 32), _mm_andnot_si128(lower, odd));
#elif defined(__ARM_NEON)
    const uint32x4_t all = vreinterpretq_u32_s32(a);
    const uint32x4_t first = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(all), m));
    const uint32x4_t second = vreinterpretq_u32_u64(vmull_n_u32(vget_high_u32(all), m));
    const uint32x4x2_t halves = vuzpq_u32(first, second);
    *low = vreinterpretq_s32_u32(halves.val[0]);
    *high = vreinterpretq_s32_u32(halves.val[1]);
#else
    for (int i = 0; i < PINION__LANES; i++) {
        const uint64_t product = (uint64_t)(uint32_t)a[i] * m;
        (*low)[i] = (int32_t)(uint32_t)product;
        (*high)[i] = (int32_t)(uint32_t)(product >> 32);
    }
#endif
}

/* Transposes the 4x4 matrices that lie side by side in four vectors: lane 4i + j of v[k] and lane 4i + k of v[j] change
 * places. */
PINION__INLINE void pinion__vi_transpose4(pinion__vi v[4])
{
#if defined(__AVX512F__)
    const __m512i a = _mm512_unpacklo_epi32((__m512i)v[0], (__m512i)v[1]);
    const __m512i b = _mm512_unpacklo_epi32((__m512i)v[2], (__m512i)v[3]);
    const __m512i c = _mm512_unpackhi_epi32((__m512i)v[0], (__m512i)v[1]);
    const __m512i d = _mm512_unpackhi_epi32((__m512i)v[2], (__m512i)v[3]);
    v[0] = (pinion__vi)_mm512_unpacklo_epi64(a, b);
    v[1] = (pinion__vi)_mm512_unpackhi_epi64(a, b);
    v[2] = (pinion__vi)_mm512_unpacklo_epi64(c, d);
    v[3] = (pinion__vi)_mm512_unpackhi_epi64(c, d);
#elif defined(__AVX2__)
    const __m256i a = _mm256_unpacklo_epi32((__m256i)v[0], (__m256i)v[1]);
    const __m256i b = _mm256_unpacklo_epi32((__m256i)v[2], (__m256i)v[3]);
    const __m256i c = _mm256_unpackhi_epi32((__m256i)v[0], (__m256i)v[1]);
    const __m256i d = _mm256_unpackhi_epi32((__m256i)v[2], (__m256i)v[3]);
    v[0] = (pinion__vi)_mm256_unpacklo_epi64(a, b);
    v[1] = (pinion__vi)_mm256_unpackhi_epi64(a, b);
    v[2] = (pinion__vi)_mm256_unpacklo_epi64(c, d);
    v[3] = (pinion__vi)_mm256_unpackhi_epi64(c, d);
#else
    int32_t lanes[4][PINION__LANES], turned[4][PINION__LANES];
    for (int k = 0; k < 4; k++)
        pinion__vi_store(lanes[k], v[k]);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < PINION__LANES; i++)
            turned[k][i] = lanes[i % 4][i - i % 4 + k];
    for (int k = 0; k < 4; k++)
        v[k] = pinion__vi_load(turned[k]);
#endif
}

/* mask ? a : b */
PINION__INLINE pinion__vf pinion__vf_select(pinion__vi mask, pinion__vf a, pinion__vf b)
{
#if defined(__ARM_NEON)
    return vbslq_f32(vreinterpretq_u32_s32(mask), a, b);
#else
    return (pinion__vf)((mask & (pinion__vi)a) | (~mask & (pinion__vi)b));
#endif
}

PINION__INLINE pinion__vi pinion__vi_select(pinion__vi mask, pinion__vi a, pinion__vi b)
{
    return (mask & a) | (~mask & b);
}

/* mask ? a : 0 */
PINION__INLINE pinion__vf pinion__vf_and(pinion__vi mask, pinion__vf a)
{
#if defined(__ARM_NEON)
    return vreinterpretq_f32_s32(vandq_s32(mask, vreinterpretq_s32_f32(a)));
#else
    return (pinion__vf)(mask & (pinion__vi)a);
#endif
}

/* ---- across lanes, halves added pairwise: a fixed order ---- */

PINION__INLINE float pinion__vf_sum(pinion__vf v)
{
    float lanes[PINION__LANES];
    pinion__vf_store(lanes, v);
    for (int half = PINION__LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

PINION__INLINE float pinion__vf_largest(pinion__vf v)
{
    float lanes[PINION__LANES];
    pinion__vf_store(lanes, v);
    float largest = lanes[0];
    for (int i = 1; i < PINION__LANES; i++)
        largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

#endif
