/* SPDX-License-Identifier: Apache-2.0
 *
 * Loops over tensors of one shape in which element i of the outputs depends on element i of the inputs alone. A kernel
 * gives what happens to one vector; the loop over rows and vectors, its cut into items, channel slices, tails and both
 * values of `accumulate` stand here. All of it is inlined into the kernel's item function, so the kernel's function of
 * one vector costs no call.
 *
 * Where every view is dense the tensors are one long row each, cut into pieces of equal length, and the number of
 * channels does not matter; else a row is a pixel.
 */
#ifndef PINION_KERNEL_CPU_ELEMENTWISE_H
#define PINION_KERNEL_CPU_ELEMENTWISE_H

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/cut.h"
#include "kernel/cpu/vec.h"

enum { PINION__ELEMENTWISE_VIEWS = 7 };

/* Does its work on `count` elements (at most a vector of them) from at[0], at[1], … on: one pointer a view, in the
 * order they were given. */
typedef void pinion__elementwise_map(float *const at[], int count, bool accumulate, const void *constants);

typedef struct pinion__elementwise {
    float *data[PINION__ELEMENTWISE_VIEWS];
    ptrdiff_t step[PINION__ELEMENTWISE_VIEWS]; /* elements from one row to the next */
    size_t elements, width; /* width: elements of a row; the last row of dense tensors may be shorter */
    bool accumulate;
    const void *constants;
    pinion__cut cut; /* in rows */
} pinion__elementwise;

/* Stores v, or adds it to what is there. */
PINION__INLINE void pinion__vf_put(float *p, pinion__vf v, int count, bool accumulate)
{
    pinion__vf_store_some(p, accumulate ? pinion__vf_add(pinion__vf_load_some(p, count), v) : v, count);
}

PINION__INLINE void pinion__elementwise_at(float *const row[], size_t offset, int count, bool accumulate,
                                           const void *constants, pinion__elementwise_map *map)
{
    float *const at[PINION__ELEMENTWISE_VIEWS] = {row[0] + offset, row[1] + offset, row[2] + offset, row[3] + offset,
                                                  row[4] + offset, row[5] + offset, row[6] + offset};
    map(at, count, accumulate, constants);
}

PINION__INLINE void pinion__elementwise_row(float *const row[], size_t count, bool accumulate, const void *constants,
                                            pinion__elementwise_map *map)
{
    size_t i = 0;
    for (; i + 4 * PINION__LANES <= count; i += 4 * PINION__LANES) {
        pinion__elementwise_at(row, i, PINION__LANES, accumulate, constants, map);
        pinion__elementwise_at(row, i + PINION__LANES, PINION__LANES, accumulate, constants, map);
        pinion__elementwise_at(row, i + 2 * PINION__LANES, PINION__LANES, accumulate, constants, map);
        pinion__elementwise_at(row, i + 3 * PINION__LANES, PINION__LANES, accumulate, constants, map);
    }
    for (; i + PINION__LANES <= count; i += PINION__LANES)
        pinion__elementwise_at(row, i, PINION__LANES, accumulate, constants, map);
    if (i < count)
        pinion__elementwise_at(row, i, (int)(count - i), accumulate, constants, map);
}

/* Elements of a row. */
static inline size_t pinion__elementwise_count(const pinion__elementwise *loop, size_t row)
{
    size_t left = loop->elements - row * loop->width;
    return left < loop->width ? left : loop->width;
}

/* The rows of one item: what a kernel's item function calls. */
PINION__INLINE void pinion__elementwise_item(const pinion__elementwise *loop, size_t item, pinion__elementwise_map *map)
{
    for (size_t at = pinion__cut_first(&loop->cut, item); at < pinion__cut_end(&loop->cut, item); at++) {
        size_t count = pinion__elementwise_count(loop, at);
        float *row[PINION__ELEMENTWISE_VIEWS];
        for (int i = 0; i < PINION__ELEMENTWISE_VIEWS; i++)
            row[i] = loop->data[i] + (ptrdiff_t)at * loop->step[i];
        if (loop->accumulate)
            pinion__elementwise_row(row, count, true, loop->constants, map);
        else
            pinion__elementwise_row(row, count, false, loop->constants, map);
    }
}

/* The loop over `count` views of one shape; missing ones stand for the first and are not used. */
static inline pinion__elementwise pinion__elementwise_cut(const pinion__view *const views[], int count)
{
    bool dense = true;
    for (int i = 0; i < count; i++)
        dense = dense && pinion__view_dense(views[i]);
    size_t elements = pinion__view_elements(views[0]);
    size_t width = dense ? PINION__CUT_ELEMENTS : (size_t)views[0]->c;
    pinion__elementwise loop = {
        .elements = elements,
        .width = width,
        .cut = pinion__cut_units((elements + width - 1) / width, width),
    };
    for (int i = 0; i < PINION__ELEMENTWISE_VIEWS; i++) {
        const pinion__view *view = views[i < count ? i : 0];
        loop.data[i] = view->data;
        loop.step[i] = dense ? (ptrdiff_t)width : view->ld;
    }
    return loop;
}

/* Runs `item`, which calls pinion__elementwise_item with its map, over the views. */
static inline void pinion__elementwise_over(const pinion__args *args, const pinion__view *const views[], int count,
                                            const void *constants, void (*item)(void *user, size_t item, int lane))
{
    pinion__elementwise loop = pinion__elementwise_cut(views, count);
    loop.accumulate = args->accumulate;
    loop.constants = constants;
    pinion__parallel(args->workers, loop.cut.items, item, &loop);
}

/* The same over the first `count` operands. */
static inline void pinion__elementwise_run(const pinion__args *args, int count, const void *constants,
                                           void (*item)(void *user, size_t item, int lane))
{
    const pinion__view *views[PINION__ELEMENTWISE_VIEWS];
    for (int i = 0; i < count; i++)
        views[i] = &args->operand[i];
    pinion__elementwise_over(args, views, count, constants, item);
}

#endif
