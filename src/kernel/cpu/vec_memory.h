/* SPDX-License-Identifier: Apache-2.0
 *
 * The types of vec.h, and how vectors come from memory and go there: unaligned, whole or in part.
 */
#ifndef PINION_KERNEL_CPU_VEC_MEMORY_H
#define PINION_KERNEL_CPU_VEC_MEMORY_H

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
 * broadcast fit. Registers of a 12x2 tile on aarch64: 24 sums, 4 of the other operand (two steps) and pairs of factors;
 * 14 loads for 48 multiply-adds with a pointer a row, 4 for 24 with the factors side by side. 6x2 on armv7: 12 sums, 2
 * of the other operand and a broadcast of 16; 8 loads for 12 multiply-adds, since VFPv4 has no multiply-add by lane. */
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
#elif defined(__ARM_NEON)
    if (count >= PINION__LANES)
        return pinion__vf_load(p);
    if (count >= 2) {
        const pinion__vf two = vcombine_f32(vld1_f32(p), vdup_n_f32(0.0F));
        return count == 2 ? two : vld1q_lane_f32(p + 2, two, 2);
    }
    return count <= 0 ? vdupq_n_f32(0.0F) : vld1q_lane_f32(p, vdupq_n_f32(0.0F), 0);
#elif defined(__SSE2__)
    if (count >= PINION__LANES)
        return pinion__vf_load(p);
    if (count >= 2) {
        const __m128 two = _mm_castpd_ps(_mm_load_sd((const double *)(const void *)p));
        return (pinion__vf)(count == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(p + 2)));
    }
    return (pinion__vf)(count <= 0 ? _mm_setzero_ps() : _mm_load_ss(p));
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
#elif defined(__ARM_NEON)
    if (count >= PINION__LANES) {
        pinion__vf_store(p, v);
        return;
    }
    if (count >= 2)
        vst1_f32(p, vget_low_f32(v));
    if (count == 1)
        vst1q_lane_f32(p, v, 0);
    if (count == 3)
        vst1q_lane_f32(p + 2, v, 2);
#elif defined(__SSE2__)
    if (count >= PINION__LANES) {
        pinion__vf_store(p, v);
        return;
    }
    if (count >= 2)
        _mm_store_sd((double *)(void *)p, _mm_castps_pd((__m128)v));
    if (count == 1)
        _mm_store_ss(p, (__m128)v);
    if (count == 3)
        _mm_store_ss(p + 2, _mm_movehl_ps((__m128)v, (__m128)v));
#else
    float lanes[PINION__LANES];
    pinion__vf_store(lanes, v);
    for (int i = 0; i < count; i++)
        p[i] = lanes[i];
#endif
}

/* The whole vector or its first lanes; costs nothing where count is known to be PINION__LANES. */
PINION__INLINE pinion__vf pinion__vf_load_some(const float *p, int count)
{
    return count == PINION__LANES ? pinion__vf_load(p) : pinion__vf_load_part(p, count);
}

PINION__INLINE void pinion__vf_store_some(float *p, pinion__vf v, int count)
{
    if (count == PINION__LANES)
        pinion__vf_store(p, v);
    else
        pinion__vf_store_part(p, v, count);
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

#endif
