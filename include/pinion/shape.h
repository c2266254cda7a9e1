/* SPDX-License-Identifier: Apache-2.0
 *
 * Shape of one sample of an activation: rows, columns, channels (NHWC without the batch).
 */
#ifndef PINION_SHAPE_H
#define PINION_SHAPE_H

typedef struct pinion_shape {
    int h, w, c;
} pinion_shape;

#endif
