/* SPDX-License-Identifier: Apache-2.0
 *
 * Fitting an image to a network's input: bilinear with antialiasing as in PIL and torchvision's Resize - a triangle
 * filter whose support grows with the reduction, one axis after the other - and the centre crop. Only the part that
 * is kept is computed, in float; the result is rounded once, so a value may differ from PIL's, which also rounds
 * between the axes, by one.
 */
#include "data/image.h"

#include <math.h>

/* Output i of an axis is the sum over t < count[i] of weights[i*taps + t] * input[first[i] + t]. */
typedef struct axis {
    int taps;
    int *first, *count;
    float *weights;
} axis;

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static void axis_release(pinion_context *ctx, axis *self)
{
    pinion__release(ctx, self->first);
    pinion__release(ctx, self->count);
    pinion__release(ctx, self->weights);
}

/* Outputs offset … offset+length-1 of an axis of `from` inputs that is resized to `to`. */
static int axis_init(pinion_context *ctx, axis *self, int from, int to, int offset, int length)
{
    int status = PINION_OK;
    double scale = (double)from / to, support = scale > 1.0 ? scale : 1.0;
    *self = (axis){.taps = (int)ceil(support) * 2 + 1};
    PINION_TRY(pinion__alloc(ctx, (size_t)length, sizeof(int), "resizing an image", &self->first));
    PINION_TRY(pinion__alloc(ctx, (size_t)length, sizeof(int), "resizing an image", &self->count));
    PINION_TRY(
        pinion__alloc(ctx, (size_t)length * (size_t)self->taps, sizeof(float), "resizing an image", &self->weights));
    for (int i = 0; i < length; i++) {
        double centre = (offset + i + 0.5) * scale, sum = 0.0;
        int begin = (int)fmax(centre - support + 0.5, 0.0), end = (int)fmin(centre + support + 0.5, from);
        for (int x = begin; x < end; x++)
            sum += triangle((x - centre + 0.5) / support);
        float *weights = self->weights + (size_t)i * (size_t)self->taps;
        for (int x = begin; x < end; x++)
            weights[x - begin] = (float)(triangle((x - centre + 0.5) / support) / sum);
        self->first[i] = begin;
        self->count[i] = end - begin;
    }
fail:
    return status;
}

static void resize_row(const axis *columns, int length, const unsigned char *row, float *out)
{
    for (int i = 0; i < length; i++) {
        const unsigned char *from = row + (size_t)columns->first[i] * 3;
        const float *weights = columns->weights + (size_t)i * (size_t)columns->taps;
        float sum[3] = {0.0f, 0.0f, 0.0f};
        for (int t = 0; t < columns->count[i]; t++)
            for (int c = 0; c < 3; c++)
                sum[c] += weights[t] * (float)from[3 * t + c];
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = sum[c];
    }
}

static void resize_column(const axis *rows, int i, size_t stride, const float *from, unsigned char *out)
{
    const float *weights = rows->weights + (size_t)i * (size_t)rows->taps;
    for (size_t x = 0; x < stride; x++) {
        float sum = 0.0f;
        for (int t = 0; t < rows->count[i]; t++)
            sum += weights[t] * from[(size_t)t * stride + x];
        out[x] = (unsigned char)fminf(fmaxf(sum + 0.5f, 0.0f), 255.0f);
    }
}

/* A side once the shorter one is `wanted`. Places on it are ints and doubles: it must stay far from the ends of both.
 */
static int resized_side(pinion_context *ctx, const char *path, const pinion__image *image, int wanted, int from,
                        int *to)
{
    int status = PINION_OK;
    int shorter = image->h < image->w ? image->h : image->w;
    int64_t side = (int64_t)wanted * from / shorter;
    PINION_FAIL_IF(side > PINION__MAX_RESIZED_SIDE, PINION_EFORMAT,
                   "%s: %d x %d pixels, resized to a shorter side of %d: the longer side is %lld: expected at most %d",
                   path, image->w, image->h, wanted, (long long)side, (int)PINION__MAX_RESIZED_SIDE);
    *to = (int)side;
fail:
    return status;
}

int pinion__image_fit(pinion_context *ctx, const char *path, const pinion__image *image, pinion_shape size,
                      unsigned char *pixels)
{
    int status = PINION_OK;
    axis rows = {0}, columns = {0};
    float *middle = NULL;
    int side = size.h > size.w ? size.h : size.w, h = 0, w = 0;
    PINION_TRY(resized_side(ctx, path, image, side, image->h, &h));
    PINION_TRY(resized_side(ctx, path, image, side, image->w, &w));
    /* Half a pixel is rounded to even, as Python's round() does in CenterCrop. */
    int top = (int)nearbyint((h - size.h) / 2.0), left = (int)nearbyint((w - size.w) / 2.0);
    PINION_TRY(axis_init(ctx, &rows, image->h, h, top, size.h));
    PINION_TRY(axis_init(ctx, &columns, image->w, w, left, size.w));

    /* No more rows than the longer of the output and the image's shorter side: half a gigabyte at the limits of both.
     */
    int begin = rows.first[0], end = rows.first[size.h - 1] + rows.count[size.h - 1];
    size_t stride = (size_t)size.w * 3;
    PINION_TRY(pinion__alloc(ctx, (size_t)(end - begin) * stride, sizeof(float), "resizing an image", &middle));
    for (int y = begin; y < end; y++)
        resize_row(&columns, size.w, image->pixels + (size_t)y * (size_t)image->w * 3,
                   middle + (size_t)(y - begin) * stride);
    for (int i = 0; i < size.h; i++)
        resize_column(&rows, i, stride, middle + (size_t)(rows.first[i] - begin) * stride, pixels + (size_t)i * stride);
fail:
    pinion__release(ctx, middle);
    axis_release(ctx, &rows);
    axis_release(ctx, &columns);
    return status;
}
