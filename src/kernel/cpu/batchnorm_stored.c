/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation by running statistics (inference, frozen layers): y = activation((x - mean)*scale + beta +
 * addend) and, without those, dx = dy*scale, with scale = gamma / sqrt(var + epsilon). y may lie over x or over the
 * addend.
 *
 * Scratch: the constants of each channel.
 */
#include "kernel/cpu/batchnorm.h"
#include "kernel/cpu/normalise.h"

enum { CONSTANTS = 3 }; /* of forward */
enum { DY, DX, VIEWS };

PINION__INLINE void scaled(float *const at[], const pinion__vf of[], int count, pinion__bounds bounds, bool option,
                           bool accumulate)
{
    (void)bounds, (void)option;
    pinion__vf_put(at[DX], pinion__vf_mul(pinion__vf_load_some(at[DY], count), of[0]), count, accumulate);
}

static void scaled_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__channelwise_item(user, item, 1, scaled);
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
    return (size_t)args->operand[PINION__BATCHNORM_STORED_FORWARD_X].c * CONSTANTS * sizeof(float);
}

static void forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_STORED_FORWARD_X];
    float *means = args->scratch, *scales = means + x->c, *shifts = scales + x->c;
    for (int i = 0; i < x->c; i++)
        pinion__normalise_constants(
            &means[i], &scales[i], &shifts[i], element(args, PINION__BATCHNORM_STORED_FORWARD_RUNNING_MEAN, i),
            scale(args, PINION__BATCHNORM_STORED_FORWARD_GAMMA, PINION__BATCHNORM_STORED_FORWARD_RUNNING_VAR, i),
            element(args, PINION__BATCHNORM_STORED_FORWARD_BETA, i));
    const pinion__normalising what = {
        .x = x,
        .addend = &args->operand[PINION__BATCHNORM_STORED_FORWARD_ADDEND],
        .y = &args->operand[PINION__BATCHNORM_STORED_FORWARD_Y],
        .mean = means,
        .scale = scales,
        .shift = shifts,
    };
    PINION__CPU_SHARED(normalise)(args, &what);
}

static size_t backward_scratch(const pinion__args *args)
{
    return (size_t)args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DX].c * sizeof(float);
}

static void backward_data(const pinion__args *args)
{
    const pinion__view *views[VIEWS] = {
        [DY] = &args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DY],
        [DX] = &args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DX],
    };
    float *scales = args->scratch;
    for (int i = 0; i < views[DY]->c; i++)
        scales[i] = (float)scale(args, PINION__BATCHNORM_STORED_BACKWARD_DATA_GAMMA,
                                 PINION__BATCHNORM_STORED_BACKWARD_DATA_RUNNING_VAR, i);
    pinion__channelwise loop = pinion__channelwise_cut(views, VIEWS);
    loop.constants[0] = scales;
    loop.accumulate = args->accumulate;
    pinion__parallel(args->workers, loop.cut.items, scaled_item, &loop);
}

PINION__CPU_KERNEL(batchnorm_stored_forward) = {.scratch_bytes = forward_scratch, .run = forward};
PINION__CPU_KERNEL(batchnorm_stored_backward_data) = {.scratch_bytes = backward_scratch, .run = backward_data};
