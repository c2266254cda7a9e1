/* SPDX-License-Identifier: Apache-2.0
 *
 * Denormals count as zero in the arithmetic of a thread, and become zero: a weight or gradient that fades away would
 * otherwise cost a hundred times as much as any other. (The vector units of armv7 do so in any case.)
 */
#ifndef PINION_BASE_DENORMALS_H
#define PINION_BASE_DENORMALS_H

#include <stdint.h>

#if defined(__SSE__)
#include <xmmintrin.h>
enum { PINION__FLUSH_DENORMALS = 0x8040 }; /* results and operands */
static inline uint64_t pinion__arithmetic_mode(void)
{
    return _mm_getcsr();
}
static inline void pinion__set_arithmetic_mode(uint64_t mode)
{
    _mm_setcsr((unsigned)mode);
}
#elif defined(__aarch64__)
enum { PINION__FLUSH_DENORMALS = 1 << 24 };
static inline uint64_t pinion__arithmetic_mode(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void pinion__set_arithmetic_mode(uint64_t mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#elif defined(__arm__) && defined(__ARM_FP)
enum { PINION__FLUSH_DENORMALS = 1 << 24 };
static inline uint64_t pinion__arithmetic_mode(void)
{
    uint32_t mode;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
    return mode;
}
static inline void pinion__set_arithmetic_mode(uint64_t mode)
{
    __asm__ volatile("vmsr fpscr, %0" : : "r"((uint32_t)mode));
}
#else
enum { PINION__FLUSH_DENORMALS = 1 }; /* which nothing takes */
static inline uint64_t pinion__arithmetic_mode(void)
{
    return 0;
}
static inline void pinion__set_arithmetic_mode(uint64_t mode)
{
    (void)mode;
}
#endif

/* Returns the mode as it was, for pinion__set_arithmetic_mode. */
static inline uint64_t pinion__flush_denormals(void)
{
    const uint64_t before = pinion__arithmetic_mode();
    pinion__set_arithmetic_mode(before | PINION__FLUSH_DENORMALS);
    return before;
}

#endif
