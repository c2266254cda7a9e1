/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise walks over operands of one shape, for programs that include rows.cl.
 */
#ifndef PINION_KERNEL_OPENCL_ROWS_H
#define PINION_KERNEL_OPENCL_ROWS_H

#include "kernel/opencl/vector.h"

typedef struct pinion__rows {
    int rows, count;
    int vector, run; /* floats, vectors of an item */
    char options[PINION__VECTOR_OPTIONS];
} pinion__rows;

pinion__rows pinion__rows_over(const pinion__args *args, int rows, int count);
/* Over operands of one shape: dense ones are one long row. */
pinion__rows pinion__rows_of(const pinion__args *args, const int operands[], int operand_count);

/* The arguments ROWS_PARAMETERS. */
void pinion__launch_rows(pinion__launch *launch, const pinion__rows *walk);
void pinion__launch_run_rows(pinion__launch *launch, const pinion__rows *walk);

#endif
