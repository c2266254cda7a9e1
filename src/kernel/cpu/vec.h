/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of fp32 and int32 as wide as the instruction set this file is compiled for: 16 lanes on AVX-512, 8 on AVX2, 4
 * on SSE2 and NEON and anywhere else. The types are those of the compilers' vector extensions; intrinsics stand behind
 * them where a compiler does badly: partial loads and stores, maxima, square roots, and everything on armv7, where gcc
 * turns float vectors into scalars because NEON flushes denormals.
 *
 * Memory is read and written unaligned. A mask is a vector of int32 with all bits of a lane set or none. Everything is
 * a function, never an operator, in kernel code: the operators do not mean vector code on all targets.
 */
#ifndef PINION_KERNEL_CPU_VEC_H
#define PINION_KERNEL_CPU_VEC_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define PINION__INLINE static inline __attribute__((always_inline, unused))

/* Rows of a register tile: with PINION__TILE_VECTORS vectors a row, accumulators, one row of the other operand and a
 * broadcast fit. */
#if defined(__AVX512F__)
enum { PINION__LANES = 16, PINION__TILE_ROWS = 12, PINION__TILE_VECTORS = 2 };
#elif defined(__AVX2__)
enum { PINION__LANES = 8, PINION__TILE_ROWS = 6, PINION__TILE_VECTORS = 2 };
#elif defined(__aarch64__)
enum { PINION__LANES = 4, PINION__TILE_ROWS = 12, PINION__TILE_VECTORS = 2 };
#else
enum { PINION__LANES = 4, PINION__TILE_ROWS = 6, PINION__TILE_VECTORS = 2 };
#endif
enum { PINION__TILE_COLUMNS = PINION__LANES * PINION__TILE_VECTORS };

#if defined(__ARM_NEON)
typedef float32x4_t pinion__vf;
typedef int32x4_t pinion__vi;
#else
typedef float pinion__vf __attribute__((vector_size(4 * PINION__LANES)));
typedef int32_t pinion__vi __attribute__((vector_size(4 * PINION__LANES)));
#endif

/* ---- memory ---- */

PINION__INLINE pinion__vf pinion__vf_load(const float *p)
{
    pinion__vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

PINION__INLINE void pinion__vf_store(float *p, pinion__vf v)
{
    memcpy(p, &v, sizeof v);
}

PINION__INLINE pinion__vi pinion__vi_load(const int32_t *p)
{
    pinion__vi v;
    memcpy(&v, p, sizeof v);
    return v;
}

PINION__INLINE void pinion__vi_store(int32_t *p, pinion__vi v)
{
    memcpy(p, &v, sizeof v);
}

#if defined(__AVX512F__)
PINION__INLINE __mmask16 pinion__first_lanes(int count)
{
    return (__mmask16)((1U << count) - 1U);
}
#elif defined(__AVX2__)
PINION__INLINE __m256i pinion__first_lanes(int count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/* The first `count` elements (0 <= count <= lanes), the other lanes 0; nothing past them is touched. */
PINION__INLINE pinion__vf pinion__vf_load_part(const float *p, int count)
{
#if defined(__AVX512F__)
    return (pinion__vf)_mm512_maskz_loadu_ps(pinion__first_lanes(count), p);
#elif defined(__AVX2__)
    return (pinion__vf)_mm256_maskload_ps(p, pinion__first_lanes(count));
#else
    float lanes[PINION__LANES] = {0.0F};
    for (int i = 0; i < count; i++)
        lanes[i] = p[i];
    return pinion__vf_load(lanes);
#endif
}

/* Stores the first `count` lanes (0 <= count <= lanes) and touches nothing past them. */
PINION__INLINE void pinion__vf_store_part(float *p, pinion__vf v, int count)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, pinion__first_lanes(count), (__m512)v);
#elif defined(__AVX2__)
    _mm256_maskstore_ps(p, pinion__first_lanes(count), (__m256)v);
#else
    float lanes[PINION__LANES];
    pinion__vf_store(lanes, v);
    for (int i = 0; i < count; i++)
        p[i] = lanes[i];
#endif
}

/* Integers of 0 … 255 from and to bytes, `count` of them as above. */
PINION__INLINE pinion__vi pinion__vi_load_u8_part(const uint8_t *p, int count)
{
    int32_t lanes[PINION__LANES] = {0};
    for (int i = 0; i < count; i++)
        lanes[i] = p[i];
    return pinion__vi_load(lanes);
}

PINION__INLINE void pinion__vi_store_u8_part(uint8_t *p, pinion__vi v, int count)
{
    int32_t lanes[PINION__LANES];
    pinion__vi_store(lanes, v);
    for (int i = 0; i < count; i++)
        p[i] = (uint8_t)lanes[i];
}

PINION__INLINE pinion__vi pinion__vi_load_u8(const uint8_t *p)
{
#if defined(__AVX512F__)
    return (pinion__vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
#elif defined(__AVX2__)
    return (pinion__vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
#else
    return pinion__vi_load_u8_part(p, PINION__LANES);
#endif
}

PINION__INLINE void pinion__vi_store_u8(uint8_t *p, pinion__vi v)
{
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8((__m512i)v));
#else
    pinion__vi_store_u8_part(p, v, PINION__LANES);
#endif
}

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
#elif defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#elif defined(__ARM_NEON)
    return vmlaq_f32(c, a, b);
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

PINION__INLINE pinion__vi pinion__vi_and(pinion__vi a, pinion__vi b)
{
    return a & b;
}

PINION__INLINE pinion__vi pinion__vi_or(pinion__vi a, pinion__vi b)
{
    return a | b;
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
