/* SPDX-License-Identifier: Apache-2.0
 *
 * The same bytes: what dropout is outside training.
 */
#include "op/common.h"

const pinion__op pinion__op_identity = {
    .name = "identity",
    .id = PINION__OP_identity,
    .flags = PINION__OP_VIEW | PINION__OP_INTERNAL,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_dropout),
    .stored = PINION__OP_COUNT,
    .infer = pinion__infer_same,
};
