/* SPDX-License-Identifier: Apache-2.0
 *
 * The factor that brings the global norm of all gradients to at most the step's clip_norm.
 */
#include "op/common.h"

const pinion__op pinion__op_clip_scale = {
    .name = "clip_scale",
    .id = PINION__OP_clip_scale,
    .flags = PINION__OP_INTERNAL,
    .stored = PINION__OP_COUNT,
    .pass =
        {
            [PINION__UPDATE] = {2, {{PINION__SQUARES, 0, PINION__READ}, {PINION__SCALE, 0, PINION__WRITE}}},
        },
};
