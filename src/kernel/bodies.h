/* SPDX-License-Identifier: Apache-2.0
 *
 * Declarations of every kernel body that this target builds, made from kernels.def. The registry includes it to list
 * the bodies, the kernel files to define them. The build defines PINION__HAVE_BASELINE, PINION__HAVE_AVX2,
 * PINION__HAVE_AVX512 and PINION__HAVE_NEON as 1 where the kernels of kernel/cpu are built for that instruction set,
 * else as 0; it defines PINION__HAVE_OPENCL, PINION__HAVE_CLBLAST and PINION__HAVE_ONEDNN where kernel/opencl,
 * kernel/clblast and kernel/onednn are built.
 */
#ifndef PINION_KERNEL_BODIES_H
#define PINION_KERNEL_BODIES_H

#include "kernel/kernel.h"

/* PINION__IF_AVX2(text): text where AVX2 bodies are built, nothing elsewhere. */
#if PINION__HAVE_BASELINE
#define PINION__IF_BASELINE(...) __VA_ARGS__
#else
#define PINION__IF_BASELINE(...)
#endif
#if PINION__HAVE_AVX2
#define PINION__IF_AVX2(...) __VA_ARGS__
#else
#define PINION__IF_AVX2(...)
#endif
#if PINION__HAVE_AVX512
#define PINION__IF_AVX512(...) __VA_ARGS__
#else
#define PINION__IF_AVX512(...)
#endif
#if PINION__HAVE_NEON
#define PINION__IF_NEON(...) __VA_ARGS__
#else
#define PINION__IF_NEON(...)
#endif

#define PINION__KERNEL_REF(op, pass, name) extern const pinion__kernel_body pinion__ref_##name;
#define PINION__KERNEL_CPU(op, pass, name)                                                                             \
    PINION__IF_BASELINE(extern const pinion__kernel_body pinion__cpu_##name##_baseline;)                               \
    PINION__IF_AVX2(extern const pinion__kernel_body pinion__cpu_##name##_avx2;)                                       \
    PINION__IF_AVX512(extern const pinion__kernel_body pinion__cpu_##name##_avx512;)                                   \
    PINION__IF_NEON(extern const pinion__kernel_body pinion__cpu_##name##_neon;)
#ifdef PINION__HAVE_OPENCL
#define PINION__KERNEL_OPENCL(op, pass, name) extern const pinion__kernel_body pinion__opencl_##name;
#endif
#ifdef PINION__HAVE_CLBLAST
#define PINION__KERNEL_CLBLAST(op, pass, name) extern const pinion__kernel_body pinion__clblast_##name;
#endif
#ifdef PINION__HAVE_ONEDNN
#define PINION__KERNEL_ONEDNN(op, pass, name) extern const pinion__kernel_body pinion__onednn_##name;
#endif
#include "kernel/kernels.def"
#undef PINION__KERNEL_REF
#undef PINION__KERNEL_CPU
#undef PINION__KERNEL_OPENCL
#undef PINION__KERNEL_CLBLAST
#undef PINION__KERNEL_ONEDNN

#endif
