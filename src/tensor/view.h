/* SPDX-License-Identifier: Apache-2.0
 *
 * A view: (pointer, n, h, w, c, ld). Element (n,y,x,c) stands at data[((n*h + y)*w + x)*ld + c]; ld >= c, so a
 * view can be a channel slice of a wider tensor. Weights are views too: conv2d KRSC as (k,r,s,c), depthwise
 * RSC as (1,r,s,c), linear KC as (k,1,1,c), vectors as (1,1,1,c). Elements are fp32 unless the operand's
 * description says otherwise (labels int32, max-pool indices uint8).
 */
#ifndef PINION_TENSOR_VIEW_H
#define PINION_TENSOR_VIEW_H

#include <pinion/shape.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pinion__view {
    void *data; /* NULL: the operand is absent */
    int n, h, w, c;
    ptrdiff_t ld; /* elements from one pixel to the next */
} pinion__view;

static inline size_t pinion__view_pixels(const pinion__view *view)
{
    return (size_t)view->n * (size_t)view->h * (size_t)view->w;
}

static inline size_t pinion__view_elements(const pinion__view *view)
{
    return pinion__view_pixels(view) * (size_t)view->c;
}

static inline bool pinion__view_dense(const pinion__view *view)
{
    return view->ld == view->c;
}

#endif
