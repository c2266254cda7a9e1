/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise walks.
 */
#include "kernel/opencl/rows.h"

/* Vectors of an item: where vectors are wide, an item is a loop of a core. */
static int run_of(const pinion__args *args, int vectors)
{
    enum { MOST = 16, WIDE = 8 };
    int run = pinion__launch_lanes(args) >= WIDE ? MOST : 1;
    while (run > vectors)
        run /= 2;
    return run;
}

pinion__rows pinion__rows_over(const pinion__args *args, int rows, int count)
{
    pinion__rows walk = {.rows = rows, .count = count, .vector = pinion__vector_of(args, count)};
    walk.run = run_of(args, pinion__vectors_in(count, walk.vector));
    pinion__vector_options(walk.options, count, walk.vector);
    return walk;
}

pinion__rows pinion__rows_of(const pinion__args *args, const int operands[], int operand_count)
{
    const pinion__view *first = &args->operand[operands[0]];
    bool dense = true;
    for (int i = 0; i < operand_count; i++)
        dense = dense && pinion__view_dense(&args->operand[operands[i]]);
    return dense ? pinion__rows_over(args, 1, (int)pinion__view_elements(first))
                 : pinion__rows_over(args, (int)pinion__view_pixels(first), first->c);
}

void pinion__launch_rows(pinion__launch *launch, const pinion__rows *walk)
{
    pinion__launch_int(launch, walk->rows);
    pinion__launch_int(launch, walk->count);
    pinion__launch_int(launch, walk->run);
}

void pinion__launch_run_rows(pinion__launch *launch, const pinion__rows *walk)
{
    const int items = pinion__vectors_in(walk->count, walk->vector * walk->run);
    pinion__launch_run_flat(launch, (size_t)walk->rows * (size_t)items);
}
