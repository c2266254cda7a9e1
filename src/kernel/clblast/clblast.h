/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rows by CLBlast share (built with PINION_CLBLAST only): one matrix product, enqueued by CLBlast on the
 * processor's queue between the launches of kernel/opencl.
 *
 * The loader. CLBlast calls the OpenCL library that it is linked with. A processor whose table of functions comes from
 * another one, a vendor's library or a test's, makes objects that CLBlast's may not know: there the rows do not apply.
 *
 * Memory. Where CLBlast's fast kernel needs copies of its operands, padded or turned, they lie in the kernel's scratch,
 * if that begins where its OpenCL buffer begins, as in every step. Where tasks are timed or checked one by one it may
 * not; CLBlast then makes a buffer for the call. Programs are compiled at the first call and kept by CLBlast for as
 * long as the process runs.
 */
#ifndef PINION_KERNEL_CLBLAST_CLBLAST_H
#define PINION_KERNEL_CLBLAST_CLBLAST_H

#include "kernel/kernel.h"

/* into (rows x columns) = a (rows x terms) * b (terms x columns), or added to what is there. A matrix is a view with a
 * pixel a row; `turned` ones are their views' transposes. */
typedef struct pinion__clblast_product {
    int a, b, into; /* operands */
    bool a_turned, b_turned, add;
    bool scratched; /* the result goes to scratch, dense, pinion__clblast_copies bytes behind its begin */
    size_t rows, columns, terms;
} pinion__clblast_product;

/* Can CLBlast work on the processor of these arguments, where that is known, with indices in ints? */
bool pinion__clblast_can(const pinion__args *args, const pinion__clblast_product *product);

/* Bytes of scratch that are enough for CLBlast's copies whatever the device, a multiple of 64. Behind them the scratch
 * is the caller's. */
size_t pinion__clblast_copies(const pinion__clblast_product *product);

/* Starts it. A failure is the processor's. */
void pinion__clblast_multiply(const pinion__args *args, const pinion__clblast_product *product);

#endif
