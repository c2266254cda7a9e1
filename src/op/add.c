/* SPDX-License-Identifier: Apache-2.0
 *
 * y = a + b. The gradient of either input is the output's.
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    (void)attributes;
    int status = PINION_OK;
    const pinion_shape *a = &inputs[0], *b = &inputs[1];
    PINION_FAIL_IF(a->h != b->h || a->w != b->w || a->c != b->c, PINION_EINVAL,
                   "layer '%s' (add): its inputs are %dx%dx%d and %dx%dx%d; expected two of the same shape", layer,
                   a->h, a->w, a->c, b->h, b->w, b->c);
    *output = *a;
fail:
    return status;
}

const pinion__op pinion__op_add = {
    .name = "add",
    .id = PINION__OP_add,
    .flags = PINION__OP_SAME_GRADIENT,
    .inputs = 2,
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .pass =
        {
            [PINION__FORWARD] = {3,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__INPUT, 1, PINION__READ},
                                  {PINION__OUTPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {2, {{PINION__D_OUTPUT, 0, PINION__READ}, {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
