/* SPDX-License-Identifier: Apache-2.0
 *
 * Partial statistics (op/stats.h) of a slice of the batch whose producer left none: what batchnorm_statistics combines.
 */
#include "op/common.h"

const pinion__op pinion__op_statistics = {
    .name = "statistics",
    .id = PINION__OP_statistics,
    .flags = PINION__OP_INTERNAL,
    .inputs = 1,
    .stored = PINION__OP_COUNT,
    .infer = pinion__infer_same,
    .pass = {[PINION__FORWARD] = {2, {{PINION__INPUT, 0, PINION__READ}, {PINION__STATS, 0, PINION__WRITE}}}},
};
