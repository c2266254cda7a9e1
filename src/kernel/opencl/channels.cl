/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels that walk rows of pixels, a vector of channels at a time, share. An item is a row of an image's
 * pixels and a vector of channels: channels run fastest, so that neighbours in a group read neighbours in memory.
 */
#ifndef CHANNELS_CL
#define CHANNELS_CL

#include "vector.cl"

/* Contracted to one operation where the device has it; some drivers take fma and mad of wide vectors apart. */
#define mul_add(a, b, c) ((a) * (b) + (c))

typedef struct channels_item {
    int image, row; /* of the image; image < 0: nothing to do */
    int c, count;   /* first channel, how many of the vector there are */
} channels_item;

static inline channels_item channels_item_of(int images, int rows, int channels)
{
    const int id = (int)get_global_id(0), vectors = (channels + VECTOR - 1) / VECTOR;
    const int row = id / vectors, c = (id - row * vectors) * VECTOR;
    channels_item at = {row / rows, row % rows, c, min(channels - c, VECTOR)};
#ifdef WHOLE
    at.count = VECTOR;
#endif
    at.image = row < images * rows ? at.image : -1;
    return at;
}

/* The same with a run of several vectors, channels c ... end - 1. */
typedef struct channels_run {
    int image, row; /* image < 0: nothing to do */
    int c, end;
} channels_run;

static inline channels_run channels_run_of(int images, int rows, int channels, int vectors)
{
    const int id = (int)get_global_id(0), width = vectors * VECTOR, runs = (channels + width - 1) / width;
    const int row = id / runs, c = (id - row * runs) * width;
    channels_run at = {row < images * rows ? row / rows : -1, row % rows, c, min(channels, c + width)};
    return at;
}

/* How many of a run's vectors from channel c on are there. */
#ifdef WHOLE
#define RUN_LEFT(at, c) VECTOR
#else
#define RUN_LEFT(at, c) ((at)->end - (c))
#endif

/* Pairwise, halves first. */
static inline float sum_of_lanes(vf v)
{
#if VECTOR == 16
    const float8 eight = v.lo + v.hi;
    const float4 four = eight.lo + eight.hi;
#elif VECTOR == 8
    const float4 four = v.lo + v.hi;
#else
    const float4 four = v;
#endif
    const float2 two = four.lo + four.hi;
    return two.x + two.y;
}

/* A window: filter or pool of r x s. */
typedef struct window {
    int r, s, stride_h, stride_w, pad_h, pad_w;
} window;

#define WINDOW_PARAMETERS int win_r, int win_s, int win_stride_h, int win_stride_w, int win_pad_h, int win_pad_w
#define WINDOW_OF {win_r, win_s, win_stride_h, win_stride_w, win_pad_h, win_pad_w}

/* A range, `end` past its last member. */
typedef struct range {
    int begin, end;
} range;

/* Members of a window that lie in the image, when it begins at `first`. */
static inline range window_inside(int first, int members, int extent)
{
    const range inside = {max(0, -first), min(members, extent - first)};
    return inside;
}

/* Windows that hold pixel `at`: of window number i it is member at + pad - i*stride. */
static inline range windows_over(int at, int members, int stride, int pad, int windows)
{
    const int low = at + pad - members + 1;
    const range over = {low > 0 ? (low + stride - 1) / stride : 0, min(windows, (at + pad) / stride + 1)};
    return over;
}

/* The same for the pixel after, from that range. */
static inline range windows_over_next(range over, int at, int members, int stride, int pad, int windows)
{
    over.begin += over.begin * stride < at + pad - members + 1;
    over.end += over.end < windows && over.end * stride <= at + pad;
    return over;
}

#endif
