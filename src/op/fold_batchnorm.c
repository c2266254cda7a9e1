/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights and bias of a convolution that does the work of the stored batch normalisation behind it. The attributes are
 * those of the batch normalisation; the operands belong to two layers, so the planner names them itself.
 */
#include "op/common.h"

const pinion__op pinion__op_fold_batchnorm = {
    .name = "fold_batchnorm",
    .id = PINION__OP_fold_batchnorm,
    .flags = PINION__OP_INTERNAL,
    .attributes_bytes = sizeof(pinion_batchnorm),
    .stored = PINION__OP_COUNT,
    .pass =
        {
            [PINION__FORWARD] = {8,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__INPUT, 1, PINION__READ},
                                  {PINION__PARAM, 0, PINION__READ},
                                  {PINION__PARAM, 1, PINION__READ},
                                  {PINION__STATE, 0, PINION__READ},
                                  {PINION__STATE, 1, PINION__READ},
                                  {PINION__OUTPUT, 0, PINION__WRITE},
                                  {PINION__OUTPUT, 1, PINION__WRITE}}},
        },
};
