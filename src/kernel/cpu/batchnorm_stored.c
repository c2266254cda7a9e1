/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation by running statistics (inference, frozen layers): y = (x - mean)*scale + beta and dx = dy*scale
 * with scale = gamma / sqrt(var + epsilon).
 *
 * Scratch: the constants of each channel.
 */
#include "kernel/cpu/batchnorm.h"

PINION__INLINE void scaled(float *const at[], const float *const constants[], int count, bool accumulate)
{
    pinion__vf dy = pinion__vf_load_some(at[0], count);
    pinion__vf_put(at[1], pinion__vf_mul(dy, pinion__vf_load_some(constants[0], count)), count, accumulate);
}

static void scaled_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__channelwise_item(user, item, scaled);
}

static void normalise_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__channelwise_item(user, item, pinion__normalise);
}

static double element(const pinion__args *args, int operand, int c)
{
    return (double)((const float *)args->operand[operand].data)[c];
}

static double scale(const pinion__args *args, int gamma, int variance, int c)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    return element(args, gamma, c) / sqrt(element(args, variance, c) + (double)batchnorm->epsilon);
}

static size_t forward_scratch(const pinion__args *args)
{
    return (size_t)args->operand[PINION__BATCHNORM_STORED_FORWARD_X].c * PINION__NORMALISE_CONSTANTS * sizeof(float);
}

static void forward(const pinion__args *args)
{
    const pinion__view *views[] = {&args->operand[PINION__BATCHNORM_STORED_FORWARD_X],
                                   &args->operand[PINION__BATCHNORM_STORED_FORWARD_Y]};
    float *scratch = args->scratch;
    int c = views[0]->c;
    float *const constants[PINION__NORMALISE_CONSTANTS] = {scratch, scratch + c, scratch + 2 * c};
    for (int i = 0; i < c; i++)
        pinion__normalise_constants(
            constants, i, element(args, PINION__BATCHNORM_STORED_FORWARD_RUNNING_MEAN, i),
            scale(args, PINION__BATCHNORM_STORED_FORWARD_GAMMA, PINION__BATCHNORM_STORED_FORWARD_RUNNING_VAR, i),
            element(args, PINION__BATCHNORM_STORED_FORWARD_BETA, i));
    const float *const of[] = {constants[0], constants[1], constants[2]};
    pinion__channelwise loop = pinion__channelwise_cut(views, 2, of, PINION__NORMALISE_CONSTANTS, false);
    pinion__parallel(args->workers, loop.cut.items, normalise_item, &loop);
}

static size_t backward_scratch(const pinion__args *args)
{
    return (size_t)args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DX].c * sizeof(float);
}

static void backward_data(const pinion__args *args)
{
    const pinion__view *views[] = {&args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DY],
                                   &args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DX]};
    float *scales = args->scratch;
    for (int i = 0; i < views[0]->c; i++)
        scales[i] = (float)scale(args, PINION__BATCHNORM_STORED_BACKWARD_DATA_GAMMA,
                                 PINION__BATCHNORM_STORED_BACKWARD_DATA_RUNNING_VAR, i);
    const float *const constants[] = {scales};
    pinion__channelwise loop = pinion__channelwise_cut(views, 2, constants, 1, args->accumulate);
    pinion__parallel(args->workers, loop.cut.items, scaled_item, &loop);
}

PINION__CPU_KERNEL(batchnorm_stored_forward) = {.scratch_bytes = forward_scratch, .run = forward};
PINION__CPU_KERNEL(batchnorm_stored_backward_data) = {.scratch_bytes = backward_scratch, .run = backward_data};
