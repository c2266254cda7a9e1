/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of the input of batch normalisation in training, one pass over x and dy:
 *
 *     dx = gamma*invstd*(ds - dbeta/m - (x - mean)*invstd*dgamma/m) = a*ds + (b*(x - mean) + k)
 *
 * with a, b, k per channel; ds is dy where an activation behind the normalisation passes it, which x tells once more.
 * dgamma and dbeta must be the sums over exactly this x and ds: where gradients of several batches are added up, the
 * caller hands in those of this batch alone. dx may lie over dy.
 *
 * Scratch: three constants a channel.
 */
#include "kernel/cpu/batchnorm.h"

enum { MEAN, A, B, K, SCALE, SHIFT, CONSTANTS };
enum { X, DY, DX, VIEWS };

PINION__INLINE void gradient(float *const at[], const pinion__vf of[], int count, pinion__bounds bounds, bool masked,
                             bool accumulate)
{
    const pinion__vf x = pinion__vf_load_some(at[X], count);
    pinion__vf ds = pinion__vf_load_some(at[DY], count);
    if (masked)
        ds = pinion__vf_gradient(pinion__vf_normalise(x, of[MEAN], of[SCALE], of[SHIFT]), ds, bounds);
    const pinion__vf centred = pinion__vf_sub(x, of[MEAN]);
    const pinion__vf dx = pinion__vf_fma(ds, of[A], pinion__vf_fma(centred, of[B], of[K]));
    pinion__vf_put(at[DX], dx, count, accumulate);
}

static void item(void *user, size_t index, int lane)
{
    (void)lane;
    pinion__channelwise_item(user, index, CONSTANTS, gradient);
}

static double element(const pinion__args *args, int operand, int c)
{
    return (double)((const float *)args->operand[operand].data)[c];
}

static void channel_constants(const pinion__args *args, int c, float *a, float *b, float *k)
{
    double invstd = element(args, PINION__BATCHNORM_BACKWARD_DATA_SAVED_INVSTD, c);
    double scale = element(args, PINION__BATCHNORM_BACKWARD_DATA_GAMMA, c) * invstd;
    double over = -scale / (double)pinion__batch_pixels(args, &args->operand[PINION__BATCHNORM_BACKWARD_DATA_X]);
    a[c] = (float)scale;
    b[c] = (float)(over * invstd * element(args, PINION__BATCHNORM_BACKWARD_DATA_DGAMMA, c));
    k[c] = (float)(over * element(args, PINION__BATCHNORM_BACKWARD_DATA_DBETA, c));
}

static size_t scratch_bytes(const pinion__args *args)
{
    return (size_t)args->operand[PINION__BATCHNORM_BACKWARD_DATA_X].c * 3 * sizeof(float);
}

static void run(const pinion__args *args)
{
    const pinion__view *views[VIEWS] = {
        [X] = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_X],
        [DY] = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DY],
        [DX] = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DX],
    };
    const pinion__view *saved = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_SAVED_CONSTANTS];
    const int c = views[X]->c;
    float *a = args->scratch, *b = a + c, *k = b + c;
    for (int i = 0; i < c; i++)
        channel_constants(args, i, a, b, k);
    pinion__channelwise loop = pinion__channelwise_cut(views, VIEWS);
    loop.constants[MEAN] = saved->data;
    loop.constants[SCALE] = (const float *)saved->data + saved->ld;
    loop.constants[SHIFT] = (const float *)saved->data + 2 * saved->ld;
    loop.constants[A] = a;
    loop.constants[B] = b;
    loop.constants[K] = k;
    loop.accumulate = args->accumulate;
    loop.option = args->activation != PINION__ACTIVATION_NONE;
    loop.bounds = pinion__bounds_of(args->activation);
    pinion__parallel(args->workers, loop.cut.items, item, &loop);
}

PINION__CPU_KERNEL(batchnorm_backward_data) = {.scratch_bytes = scratch_bytes, .run = run};
