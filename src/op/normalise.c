/* SPDX-License-Identifier: Apache-2.0
 *
 * The last step of a batch normalisation, with the constants that its forward pass saved: what gives its output once
 * more in the backward pass, bit by bit, without touching the running statistics.
 */
#include "op/common.h"

static int saved(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                 pinion__saved_spec specs[PINION__MAX_SAVED])
{
    (void)attributes, (void)output;
    specs[0] = (pinion__saved_spec){.h = 3, .w = 1, .c = inputs[0].c, .element_bytes = 4};
    return 1;
}

const pinion__op pinion__op_normalise = {
    .name = "normalise",
    .id = PINION__OP_normalise,
    .flags = PINION__OP_INTERNAL,
    .inputs = 1,
    .stored = PINION__OP_COUNT,
    .infer = pinion__infer_same,
    .saved = saved,
    .pass =
        {
            [PINION__FORWARD] = {4,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__SAVED, 0, PINION__READ},
                                  {PINION__OUTPUT, 0, PINION__WRITE},
                                  {PINION__ADDEND, 0, PINION__READ | PINION__FUSED}}},
        },
};
