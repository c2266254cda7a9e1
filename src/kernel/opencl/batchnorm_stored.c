/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation by running statistics (inference, frozen layers).
 *
 * Scratch of forward: three constants a channel.
 */
#include "kernel/opencl/normalise.h"
#include "kernel/opencl/walk.h"
#include "op/operands.h"

static size_t forward_scratch(const pinion__args *args)
{
    return 3 * (size_t)args->operand[PINION__BATCHNORM_STORED_FORWARD_X].c * sizeof(float);
}

static void forward(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const int channels = args->operand[PINION__BATCHNORM_STORED_FORWARD_X].c;
    const int vector = pinion__vector_of(args, channels);
    char options[PINION__VECTOR_OPTIONS];
    pinion__vector_options(options, channels, vector);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "batchnorm_stored", "constants", options);
    pinion__launch_operand(&launch, PINION__BATCHNORM_STORED_FORWARD_GAMMA);
    pinion__launch_operand(&launch, PINION__BATCHNORM_STORED_FORWARD_BETA);
    pinion__launch_operand(&launch, PINION__BATCHNORM_STORED_FORWARD_RUNNING_MEAN);
    pinion__launch_operand(&launch, PINION__BATCHNORM_STORED_FORWARD_RUNNING_VAR);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_int(&launch, channels);
    pinion__launch_float(&launch, batchnorm->epsilon);
    pinion__launch_run_flat(&launch, (size_t)pinion__vectors_in(channels, vector));
    const pinion__normalising what = {.x = PINION__BATCHNORM_STORED_FORWARD_X,
                                      .addend = PINION__BATCHNORM_STORED_FORWARD_ADDEND,
                                      .y = PINION__BATCHNORM_STORED_FORWARD_Y,
                                      .constants = -1};
    pinion__launch_normalise(args, &what);
}

static void backward_data(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const pinion__walk walk = pinion__walk_of(args, PINION__BATCHNORM_STORED_BACKWARD_DATA_DY, "GRADIENT", 1);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "batchnorm_stored", "gradient", walk.options);
    pinion__launch_view(&launch, PINION__BATCHNORM_STORED_BACKWARD_DATA_DY);
    pinion__launch_operand(&launch, PINION__BATCHNORM_STORED_BACKWARD_DATA_GAMMA);
    pinion__launch_operand(&launch, PINION__BATCHNORM_STORED_BACKWARD_DATA_RUNNING_VAR);
    pinion__launch_view(&launch, PINION__BATCHNORM_STORED_BACKWARD_DATA_DX);
    pinion__launch_walk(&launch, PINION__BATCHNORM_STORED_BACKWARD_DATA_DY);
    pinion__launch_float(&launch, batchnorm->epsilon);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_walk(&launch, &walk);
}

PINION__OPENCL_KERNEL(batchnorm_stored_forward) = {.scratch_bytes = forward_scratch, .run = forward};
PINION__OPENCL_KERNEL(batchnorm_stored_backward_data) = {.run = backward_data};
