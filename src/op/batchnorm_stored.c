/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation by the stored statistics: what batchnorm is in inference and in frozen layers.
 */
#include "op/common.h"

const pinion__op pinion__op_batchnorm_stored = {
    .name = "batchnorm_stored",
    .id = PINION__OP_batchnorm_stored,
    .flags = PINION__OP_INTERNAL,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_batchnorm),
    .stored = PINION__OP_COUNT,
    .infer = pinion__batchnorm_infer,
    .params = pinion__batchnorm_params,
    .states = pinion__batchnorm_states,
    .pass =
        {
            [PINION__FORWARD] = {7,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__PARAM, 0, PINION__READ},
                                  {PINION__PARAM, 1, PINION__READ},
                                  {PINION__STATE, 0, PINION__READ},
                                  {PINION__STATE, 1, PINION__READ},
                                  {PINION__OUTPUT, 0, PINION__WRITE},
                                  {PINION__ADDEND, 0, PINION__READ | PINION__FUSED}}},
            [PINION__BACKWARD_DATA] = {4,
                                       {{PINION__D_OUTPUT, 0, PINION__READ},
                                        {PINION__PARAM, 0, PINION__READ},
                                        {PINION__STATE, 1, PINION__READ},
                                        {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
