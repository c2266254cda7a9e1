/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes whose output may be the very bytes of one of their inputs (same shape, dense): every kernel of such a pass
 * reads an element of that input before it writes the same element of the output, and never after. With `accumulate`
 * none may.
 */
#ifndef PINION_OP_IN_PLACE_H
#define PINION_OP_IN_PLACE_H

#include "op/op.h"
#include "op/operands.h"

typedef struct pinion__in_place {
    enum pinion__op_id op;
    enum pinion__pass pass;
    int output, input; /* operands */
} pinion__in_place;

/* Rows of one output are in order of preference. */
static const pinion__in_place pinion__in_place_table[] = {
    {PINION__OP_conv2d, PINION__FORWARD, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_ADDEND},
    {PINION__OP_depthwise_conv2d, PINION__FORWARD, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_ADDEND},
    {PINION__OP_linear, PINION__FORWARD, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_ADDEND},
    {PINION__OP_batchnorm, PINION__FORWARD, PINION__BATCHNORM_FORWARD_Y, PINION__BATCHNORM_FORWARD_ADDEND},
    {PINION__OP_batchnorm, PINION__BACKWARD_WEIGHTS, PINION__BATCHNORM_BACKWARD_WEIGHTS_DS,
     PINION__BATCHNORM_BACKWARD_WEIGHTS_DY},
    {PINION__OP_batchnorm, PINION__BACKWARD_DATA, PINION__BATCHNORM_BACKWARD_DATA_DX,
     PINION__BATCHNORM_BACKWARD_DATA_DY},
    {PINION__OP_batchnorm_stored, PINION__FORWARD, PINION__BATCHNORM_STORED_FORWARD_Y,
     PINION__BATCHNORM_STORED_FORWARD_ADDEND},
    {PINION__OP_batchnorm_stored, PINION__FORWARD, PINION__BATCHNORM_STORED_FORWARD_Y,
     PINION__BATCHNORM_STORED_FORWARD_X},
    {PINION__OP_batchnorm_stored, PINION__BACKWARD_DATA, PINION__BATCHNORM_STORED_BACKWARD_DATA_DX,
     PINION__BATCHNORM_STORED_BACKWARD_DATA_DY},
    {PINION__OP_normalise, PINION__FORWARD, PINION__NORMALISE_FORWARD_Y, PINION__NORMALISE_FORWARD_ADDEND},
    {PINION__OP_relu, PINION__FORWARD, PINION__RELU_FORWARD_Y, PINION__RELU_FORWARD_X},
    {PINION__OP_relu, PINION__BACKWARD_DATA, PINION__RELU_BACKWARD_DATA_DX, PINION__RELU_BACKWARD_DATA_DY},
    {PINION__OP_relu6, PINION__FORWARD, PINION__RELU_FORWARD_Y, PINION__RELU_FORWARD_X},
    {PINION__OP_relu6, PINION__BACKWARD_DATA, PINION__RELU_BACKWARD_DATA_DX, PINION__RELU_BACKWARD_DATA_DY},
    {PINION__OP_add, PINION__FORWARD, PINION__ADD_FORWARD_Y, PINION__ADD_FORWARD_A},
    {PINION__OP_add, PINION__FORWARD, PINION__ADD_FORWARD_Y, PINION__ADD_FORWARD_B},
};

enum { PINION__IN_PLACE_ROWS = sizeof pinion__in_place_table / sizeof *pinion__in_place_table };

#endif
