/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of batch normalisation in training that needs the whole batch, where the batch is cut: partial statistics of
 * all slices, in their order, become the constants that normalise, and move the running statistics. `normalise` then
 * does the rest, a slice at a time.
 */
#include "op/common.h"

static int saved(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                 pinion__saved_spec specs[PINION__MAX_SAVED])
{
    return pinion__op_batchnorm.saved(attributes, inputs, output, specs);
}

static const pinion__attr_field fields[] = {
    {.key = "h",
     .type = PINION__ATTR_INT,
     .offset = offsetof(pinion__batchnorm_statistics, h),
     .min = 1,
     .max = PINION__MAX_EXTENT},
    {.key = "w",
     .type = PINION__ATTR_INT,
     .offset = offsetof(pinion__batchnorm_statistics, w),
     .min = 1,
     .max = PINION__MAX_EXTENT},
};

const pinion__op pinion__op_batchnorm_statistics = {
    .name = "batchnorm_statistics",
    .id = PINION__OP_batchnorm_statistics,
    .flags = PINION__OP_INTERNAL | PINION__OP_WHOLE_BATCH,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion__batchnorm_statistics),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .stored = PINION__OP_COUNT,
    .infer = pinion__infer_same,
    .params = pinion__batchnorm_params,
    .states = pinion__batchnorm_states,
    .saved = saved,
    .pass =
        {
            [PINION__FORWARD] = {10,
                                 {{PINION__STATS, 0, PINION__READ},
                                  {PINION__STATS, 1, PINION__READ | PINION__FUSED},
                                  {PINION__STATS, 2, PINION__READ | PINION__FUSED},
                                  {PINION__STATS, 3, PINION__READ | PINION__FUSED},
                                  {PINION__PARAM, 0, PINION__READ},
                                  {PINION__PARAM, 1, PINION__READ},
                                  {PINION__STATE, 0, PINION__READ_WRITE},
                                  {PINION__STATE, 1, PINION__READ_WRITE},
                                  {PINION__SAVED, 0, PINION__WRITE},
                                  {PINION__SAVED, 1, PINION__WRITE}}},
        },
};
