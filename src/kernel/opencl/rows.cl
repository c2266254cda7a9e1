/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over `rows` rows of `count` elements (rows.h): dense tensors are one long row. An item is `run` vectors of a
 * row:
 *
 *     __kernel void f(..., ROWS_PARAMETERS, ...)
 *     const row_item at = ROW_ITEM;
 *     for (int i = at.first; i < at.end; i += VECTOR)  elements i ... of row at.row, ROW_LEFT(at, i) of them
 */
#ifndef ROWS_CL
#define ROWS_CL

#include "vector.cl"

typedef struct row_item {
    int row, first, end; /* first >= end: nothing */
} row_item;

#define ROWS_PARAMETERS int rows, int count, int run
#define ROW_ITEM row_item_of(rows, count, run)
#define ROW_LEFT(at, i) ((at).end - (i))

static inline row_item row_item_of(int rows, int count, int run)
{
    const uint id = (uint)get_global_id(0), width = (uint)run * VECTOR, items = ((uint)count + width - 1) / width;
    row_item at = {0, 0, 0};
    if (rows > 1) {
        at.row = (int)(id / items);
        at.first = (int)(id % items * width);
    } else {
        at.first = (int)(id * width);
    }
    at.end = at.row < rows ? min(count, at.first + (int)width) : 0;
    return at;
}

#endif
