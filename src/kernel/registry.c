/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of kernels: kernels.def read once for each kind of processor and once for each instruction set that this
 * target builds, so the order of rows within (op, pass, processor, instruction set) is that of the file; then for the
 * rows by OpenCL, CLBlast and oneDNN, where they are built: oneDNN chooses instructions itself, so they serve every
 * set. Looking up is a walk: it happens when a plan is made, never in a step.
 */
#include "kernel/bodies.h"
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PINION__ROW(op, pass, name, processor, isa, body)                                                              \
    {#name, PINION__OP_##op, PINION__##pass, processor, isa, &body},

static const pinion__kernel table[] = {
#define PINION__KERNEL_REF(op, pass, name)                                                                             \
    PINION__ROW(op, pass, name, PINION__PROCESSOR_REF, PINION__ISA_BASELINE, pinion__ref_##name)
#define PINION__KERNEL_CPU(op, pass, name)
#include "kernel/kernels.def"
#undef PINION__KERNEL_REF
#undef PINION__KERNEL_CPU

#define PINION__KERNEL_REF(op, pass, name)
#define PINION__KERNEL_CPU(op, pass, name)                                                                             \
    PINION__IF_BASELINE(                                                                                               \
        PINION__ROW(op, pass, name, PINION__PROCESSOR_CPU, PINION__ISA_BASELINE, pinion__cpu_##name##_baseline))       \
    PINION__IF_AVX2(PINION__ROW(op, pass, name, PINION__PROCESSOR_CPU, PINION__ISA_AVX2, pinion__cpu_##name##_avx2))   \
    PINION__IF_AVX512(                                                                                                 \
        PINION__ROW(op, pass, name, PINION__PROCESSOR_CPU, PINION__ISA_AVX512, pinion__cpu_##name##_avx512))           \
    PINION__IF_NEON(PINION__ROW(op, pass, name, PINION__PROCESSOR_CPU, PINION__ISA_NEON, pinion__cpu_##name##_neon))
#include "kernel/kernels.def"
#undef PINION__KERNEL_REF
#undef PINION__KERNEL_CPU

#ifdef PINION__HAVE_OPENCL
#define PINION__KERNEL_REF(op, pass, name)
#define PINION__KERNEL_CPU(op, pass, name)
#define PINION__KERNEL_OPENCL(op, pass, name)                                                                          \
    PINION__ROW(op, pass, name, PINION__PROCESSOR_OPENCL, PINION__ISA_BASELINE, pinion__opencl_##name)
#include "kernel/kernels.def"
#undef PINION__KERNEL_REF
#undef PINION__KERNEL_CPU
#undef PINION__KERNEL_OPENCL
#endif

#ifdef PINION__HAVE_CLBLAST
#define PINION__KERNEL_REF(op, pass, name)
#define PINION__KERNEL_CPU(op, pass, name)
#define PINION__KERNEL_CLBLAST(op, pass, name)                                                                         \
    PINION__ROW(op, pass, name, PINION__PROCESSOR_OPENCL, PINION__ISA_BASELINE, pinion__clblast_##name)
#include "kernel/kernels.def"
#undef PINION__KERNEL_REF
#undef PINION__KERNEL_CPU
#undef PINION__KERNEL_CLBLAST
#endif

#ifdef PINION__HAVE_ONEDNN
#define PINION__KERNEL_REF(op, pass, name)
#define PINION__KERNEL_CPU(op, pass, name)
#define PINION__ONEDNN_ROW(op, pass, name, isa)                                                                        \
    PINION__ROW(op, pass, name, PINION__PROCESSOR_CPU, isa, pinion__onednn_##name)
#define PINION__KERNEL_ONEDNN(op, pass, name)                                                                          \
    PINION__IF_BASELINE(PINION__ONEDNN_ROW(op, pass, name, PINION__ISA_BASELINE))                                      \
    PINION__IF_AVX2(PINION__ONEDNN_ROW(op, pass, name, PINION__ISA_AVX2))                                              \
    PINION__IF_AVX512(PINION__ONEDNN_ROW(op, pass, name, PINION__ISA_AVX512))                                          \
    PINION__IF_NEON(PINION__ONEDNN_ROW(op, pass, name, PINION__ISA_NEON))
#include "kernel/kernels.def"
#undef PINION__KERNEL_REF
#undef PINION__KERNEL_CPU
#undef PINION__KERNEL_ONEDNN
#endif
};

enum { ROWS = sizeof(table) / sizeof(table[0]) };

const pinion__kernel *pinion__kernel_at(int index)
{
    return index >= 0 && index < (int)ROWS ? &table[index] : NULL;
}

static bool same_processor(const pinion__kernel *kernel, enum pinion__processor_kind processor, enum pinion__isa isa)
{
    return kernel->processor == processor && (processor != PINION__PROCESSOR_CPU || kernel->isa == isa);
}

/* "cpu:conv2d_forward_gemm" */
static bool matches(const pinion__kernel *kernel, const char *pattern)
{
    static const char *const kinds[PINION__PROCESSOR_KINDS] = {[PINION__PROCESSOR_REF] = "ref",
                                                               [PINION__PROCESSOR_CPU] = "cpu",
                                                               [PINION__PROCESSOR_OPENCL] = "opencl",
                                                               [PINION__PROCESSOR_CUDA] = "cuda"};
    char name[128];
    snprintf(name, sizeof name, "%s:%s", kinds[kernel->processor], kernel->name);
    return fnmatch(pattern, name, 0) == 0;
}

/* Does PINION_MASK, patterns with commas between them, take the row out of the choice? */
static bool is_masked(const pinion__kernel *kernel)
{
    const char *at = getenv("PINION_MASK");
    while (at && *at) {
        char pattern[128];
        size_t length = strcspn(at, ",");
        snprintf(pattern, sizeof pattern, "%.*s", (int)(length < sizeof pattern ? length : sizeof pattern), at);
        if (matches(kernel, pattern))
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

const pinion__kernel *pinion__kernel_next(enum pinion__op_id op, enum pinion__pass pass,
                                          enum pinion__processor_kind processor, enum pinion__isa isa,
                                          const pinion__args *args, int *cursor)
{
    while (*cursor < (int)ROWS) {
        const pinion__kernel *kernel = &table[(*cursor)++];
        if (kernel->op == op && kernel->pass == pass && same_processor(kernel, processor, isa) &&
            (!kernel->body->applicable || kernel->body->applicable(args)) && !is_masked(kernel))
            return kernel;
    }
    return NULL;
}

const pinion__kernel *pinion__kernel_find(const char *name, enum pinion__processor_kind processor, enum pinion__isa isa)
{
    for (int i = 0; i < (int)ROWS; i++)
        if (same_processor(&table[i], processor, isa) && strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
