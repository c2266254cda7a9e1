/* SPDX-License-Identifier: Apache-2.0
 *
 * What every CPU kernel file shares: the name it exports its body under. A file of this folder is compiled once per
 * instruction set with PINION__ISA_NAME set to the set's name, so `PINION__CPU_KERNEL(relu_forward) = {.run = run};`
 * becomes pinion__cpu_relu_forward_avx512 and its sisters. Everything else in such a file must be static.
 */
#ifndef PINION_KERNEL_CPU_CPU_H
#define PINION_KERNEL_CPU_CPU_H

#include "kernel/kernel.h"
#include "op/operands.h"

#ifndef PINION__ISA_NAME
#define PINION__ISA_NAME baseline
#endif

#define PINION__CPU_JOIN_(a, b, c) a##b##_##c
#define PINION__CPU_JOIN(a, b, c) PINION__CPU_JOIN_(a, b, c)
#define PINION__CPU_NAME(name) PINION__CPU_JOIN(pinion__cpu_, name, PINION__ISA_NAME)

/* Declares and begins the definition of the body of a row of kernels.def. */
#define PINION__CPU_KERNEL(name)                                                                                       \
    extern const pinion__kernel_body PINION__CPU_NAME(name);                                                           \
    const pinion__kernel_body PINION__CPU_NAME(name)

/* Functions shared between the files of one instruction set, so that no two sets meet under one symbol. */
#define PINION__CPU_SHARED(name) PINION__CPU_JOIN(pinion__shared_, name, PINION__ISA_NAME)

#endif
