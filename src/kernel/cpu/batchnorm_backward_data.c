/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of the input of batch normalisation in training, one pass over x and dy:
 *
 *     dx = gamma*invstd*(dy - dbeta/m - (x - mean)*invstd*dgamma/m) = a*dy + (b*(x - mean) + k)
 *
 * with a, b, k per channel. dgamma and dbeta must be the sums over exactly this x and dy: where gradients of several
 * batches are added up, the caller hands in those of this batch alone.
 *
 * Scratch: three constants a channel.
 */
#include "kernel/cpu/batchnorm.h"

enum { MEAN, A, B, K, CONSTANTS };
enum { X, DY, DX, VIEWS };

PINION__INLINE void gradient(float *const at[], const float *const constants[], int count, bool accumulate)
{
    pinion__vf centred =
        pinion__vf_sub(pinion__vf_load_some(at[X], count), pinion__vf_load_some(constants[MEAN], count));
    pinion__vf dx =
        pinion__vf_fma(centred, pinion__vf_load_some(constants[B], count), pinion__vf_load_some(constants[K], count));
    dx = pinion__vf_fma(pinion__vf_load_some(at[DY], count), pinion__vf_load_some(constants[A], count), dx);
    pinion__vf_put(at[DX], dx, count, accumulate);
}

static void gradient_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__channelwise_item(user, item, gradient);
}

static double element(const pinion__args *args, int operand, int c)
{
    return (double)((const float *)args->operand[operand].data)[c];
}

static void channel_constants(const pinion__args *args, int c, float *a, float *b, float *k)
{
    double invstd = element(args, PINION__BATCHNORM_BACKWARD_DATA_SAVED_INVSTD, c);
    double scale = element(args, PINION__BATCHNORM_BACKWARD_DATA_GAMMA, c) * invstd;
    double over = -scale / (double)pinion__view_pixels(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_X]);
    a[c] = (float)scale;
    b[c] = (float)(over * invstd * element(args, PINION__BATCHNORM_BACKWARD_DATA_DGAMMA, c));
    k[c] = (float)(over * element(args, PINION__BATCHNORM_BACKWARD_DATA_DBETA, c));
}

static size_t scratch_bytes(const pinion__args *args)
{
    return (size_t)args->operand[PINION__BATCHNORM_BACKWARD_DATA_X].c * (CONSTANTS - 1) * sizeof(float);
}

static void run(const pinion__args *args)
{
    const pinion__view *views[VIEWS] = {
        [X] = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_X],
        [DY] = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DY],
        [DX] = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DX],
    };
    int c = views[X]->c;
    float *a = args->scratch, *b = a + c, *k = b + c;
    for (int i = 0; i < c; i++)
        channel_constants(args, i, a, b, k);
    const float *const constants[CONSTANTS] = {
        [MEAN] = args->operand[PINION__BATCHNORM_BACKWARD_DATA_SAVED_MEAN].data,
        [A] = a,
        [B] = b,
        [K] = k,
    };
    pinion__channelwise loop = pinion__channelwise_cut(views, VIEWS, constants, CONSTANTS, args->accumulate);
    pinion__parallel(args->workers, loop.cut.items, gradient_item, &loop);
}

PINION__CPU_KERNEL(batchnorm_backward_data) = {.scratch_bytes = scratch_bytes, .run = run};
