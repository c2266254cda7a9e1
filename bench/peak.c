/* SPDX-License-Identifier: Apache-2.0
 *
 * Loops of independent chains, more than the latency of a multiply-add needs. An instruction set without a loop of its
 * own gets plain C, whose figure is no peak: the share of peak means something on x86-64 and ARM only.
 */
#include "peak.h"
#include "base/clock.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum { STEPS = 60000, CHAINS = 12, ATTEMPTS = 3 };

typedef struct chains {
    float (*loop)(float start);
    float sums[64]; /* the loops' results, so that they are needed */
} chains;

static float plain(float start)
{
    float sums[CHAINS];
    for (int j = 0; j < CHAINS; j++)
        sums[j] = start + (float)j;
    for (int i = 0; i < STEPS; i++)
        for (int j = 0; j < CHAINS; j++)
            sums[j] = sums[j] * 0.5F + 0.5F;
    for (int j = 0; j < CHAINS; j++)
        start += sums[j];
    return start;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float avx512(float start)
{
    __m512 sums[CHAINS];
    const __m512 half = _mm512_set1_ps(0.5F);
    for (int j = 0; j < CHAINS; j++)
        sums[j] = _mm512_set1_ps(start + (float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sums[j] = _mm512_fmadd_ps(sums[j], half, half);
    for (int j = 0; j < CHAINS; j++)
        start += _mm512_reduce_add_ps(sums[j]);
    return start;
}

__attribute__((target("avx2,fma"))) static float avx2(float start)
{
    __m256 sums[CHAINS];
    const __m256 half = _mm256_set1_ps(0.5F);
    for (int j = 0; j < CHAINS; j++)
        sums[j] = _mm256_set1_ps(start + (float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sums[j] = _mm256_fmadd_ps(sums[j], half, half);
    for (int j = 0; j < CHAINS; j++)
        start += _mm256_cvtss_f32(sums[j]);
    return start;
}

/* SSE2 has no fused multiply-add: a product and a sum. */
static float sse2(float start)
{
    __m128 sums[CHAINS];
    const __m128 half = _mm_set1_ps(0.5F);
    for (int j = 0; j < CHAINS; j++)
        sums[j] = _mm_set1_ps(start + (float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sums[j] = _mm_add_ps(_mm_mul_ps(sums[j], half), half);
    for (int j = 0; j < CHAINS; j++)
        start += _mm_cvtss_f32(sums[j]);
    return start;
}
#elif defined(__ARM_NEON)
static float neon(float start)
{
    float32x4_t sums[CHAINS];
    const float32x4_t half = vdupq_n_f32(0.5F);
    for (int j = 0; j < CHAINS; j++)
        sums[j] = vdupq_n_f32(start + (float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
#if defined(__ARM_FEATURE_FMA)
            sums[j] = vfmaq_f32(half, sums[j], half);
#else
            sums[j] = vmlaq_f32(half, sums[j], half);
#endif
    for (int j = 0; j < CHAINS; j++)
        start += vgetq_lane_f32(sums[j], 0);
    return start;
}
#endif

static void run(void *user, size_t item, int lane)
{
    (void)lane;
    chains *work = user;
    work->sums[item % 64] = work->loop((float)item);
}

double bench_peak_gflops(enum pinion__isa isa, pinion__workers *workers)
{
    chains work = {.loop = plain};
    double lanes = 1.0, best = 0.0;
#if defined(__x86_64__)
    if (isa == PINION__ISA_AVX512)
        work.loop = avx512, lanes = 16.0;
    else if (isa == PINION__ISA_AVX2)
        work.loop = avx2, lanes = 8.0;
    else
        work.loop = sse2, lanes = 4.0;
#elif defined(__ARM_NEON)
    if (isa == PINION__ISA_NEON)
        work.loop = neon, lanes = 4.0;
#endif
    (void)isa;
    const size_t threads = (size_t)pinion__workers_threads(workers);
    for (int i = 0; i < ATTEMPTS; i++) {
        const int64_t begin = pinion__now_ns();
        pinion__parallel(workers, threads, run, &work);
        const double ns = (double)(pinion__now_ns() - begin);
        const double gflops = 2.0 * STEPS * CHAINS * lanes * (double)threads / ns;
        best = gflops > best ? gflops : best;
    }
    return best;
}
