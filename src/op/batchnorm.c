/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training (Ioffe and Szegedy 2015): statistics of the whole batch, so forward cannot be cut
 * along n. backward_data reads the gradients of gamma and beta that backward_weights made: they are the two sums it
 * needs. Where the layer is not trained batchnorm_stored stands in.
 */
#include "op/common.h"

static const pinion__attr_field fields[] = {
    {.key = "epsilon",
     .type = PINION__ATTR_FLOAT,
     .offset = offsetof(pinion_batchnorm, epsilon),
     .fallback = 1e-5,
     .min = 1e-12,
     .max = 1},
    {.key = "momentum",
     .type = PINION__ATTR_FLOAT,
     .offset = offsetof(pinion_batchnorm, momentum),
     .fallback = 0.1,
     .min = 1e-6,
     .max = 1},
};

int pinion__batchnorm_infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                            pinion_shape *output)
{
    int status = PINION_OK;
    pinion_batchnorm *a = attributes;
    if (a->epsilon == 0)
        a->epsilon = 1e-5f;
    if (a->momentum == 0)
        a->momentum = 0.1f;
    PINION_TRY(pinion__attributes_check(ctx, layer, &pinion__op_batchnorm, a));
    *output = inputs[0];
fail:
    return status;
}

static pinion__param_spec vector(const char *suffix, int channels, enum pinion__init init)
{
    return (pinion__param_spec){
        .suffix = suffix, .n = 1, .h = 1, .w = 1, .c = channels, .layout = PINION__LAYOUT_VECTOR, .init = init};
}

int pinion__batchnorm_params(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                             pinion__param_spec specs[PINION__MAX_PARAMS])
{
    (void)attributes, (void)output;
    specs[0] = vector("weight", inputs[0].c, PINION__INIT_ONE);
    specs[1] = vector("bias", inputs[0].c, PINION__INIT_ZERO);
    return 2;
}

int pinion__batchnorm_states(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                             pinion__param_spec specs[PINION__MAX_STATES])
{
    (void)attributes, (void)output;
    specs[0] = vector("running_mean", inputs[0].c, PINION__INIT_ZERO);
    specs[1] = vector("running_var", inputs[0].c, PINION__INIT_ONE);
    return 2;
}

/* The constants that normalise the batch (mean, scale, shift) and the inverse standard deviation. */
static int saved(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                 pinion__saved_spec specs[PINION__MAX_SAVED])
{
    (void)attributes, (void)output;
    specs[0] = (pinion__saved_spec){.h = 3, .w = 1, .c = inputs[0].c, .element_bytes = 4};
    specs[1] = (pinion__saved_spec){.h = 1, .w = 1, .c = inputs[0].c, .element_bytes = 4};
    return 2;
}

const pinion__op pinion__op_batchnorm = {
    .name = "batchnorm",
    .id = PINION__OP_batchnorm,
    .flags = PINION__OP_WHOLE_BATCH,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_batchnorm),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .stored = PINION__OP_batchnorm_stored,
    .infer = pinion__batchnorm_infer,
    .params = pinion__batchnorm_params,
    .states = pinion__batchnorm_states,
    .saved = saved,
    .pass =
        {
            [PINION__FORWARD] = {10,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__PARAM, 0, PINION__READ},
                                  {PINION__PARAM, 1, PINION__READ},
                                  {PINION__STATE, 0, PINION__READ_WRITE},
                                  {PINION__STATE, 1, PINION__READ_WRITE},
                                  {PINION__SAVED, 0, PINION__WRITE},
                                  {PINION__SAVED, 1, PINION__WRITE},
                                  {PINION__OUTPUT, 0, PINION__WRITE},
                                  {PINION__ADDEND, 0, PINION__READ | PINION__FUSED},
                                  {PINION__STATS, 0, PINION__READ | PINION__FUSED}}},
            [PINION__BACKWARD_DATA] = {8,
                                       {{PINION__INPUT, 0, PINION__READ},
                                        {PINION__D_OUTPUT, 0, PINION__READ},
                                        {PINION__PARAM, 0, PINION__READ},
                                        {PINION__SAVED, 0, PINION__READ},
                                        {PINION__SAVED, 1, PINION__READ},
                                        {PINION__D_PARAM, 0, PINION__READ},
                                        {PINION__D_PARAM, 1, PINION__READ},
                                        {PINION__D_INPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_WEIGHTS] = {8,
                                          {{PINION__INPUT, 0, PINION__READ},
                                           {PINION__D_OUTPUT, 0, PINION__READ},
                                           {PINION__SAVED, 0, PINION__READ},
                                           {PINION__SAVED, 1, PINION__READ},
                                           {PINION__D_PARAM, 0, PINION__WRITE},
                                           {PINION__D_PARAM, 1, PINION__WRITE},
                                           {PINION__OUTPUT, 0, PINION__READ | PINION__FUSED},
                                           {PINION__D_ADDEND, 0, PINION__WRITE | PINION__FUSED}}},
        },
};
