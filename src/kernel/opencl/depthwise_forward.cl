/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution, forward: an item is an output row and a vector of channels. Two build options say that the
 * filter is 3x3, whose weights stay in registers: WINDOW3; and SLIDING with it: that the stride along a row is 1 and the
 * padding at most 2. Then a row of the input is walked once, and each pixel goes to the three outputs that it is part
 * of. With the weights in reverse (`flip`) this is the gradient of the input.
 */
#include "activation.cl"
#include "channels.cl"

typedef struct row_task {
    const __global float *x, *w, *addend;
    __global float *y;
    int x_ld, w_ld, addend_ld, y_ld; /* x: image; y, addend: row */
    int top, height, width, columns;
    vf bias;
    float low, high;
} row_task;

static inline void put(const row_task *t, int q, vf sum, int count)
{
    if (t->addend)
        sum += vf_load_some(t->addend + q * t->addend_ld, count);
    vf_store_some(t->y + q * t->y_ld, activate(sum, t->low, t->high), count);
}

#ifdef WINDOW3

#define WEIGHT(i) vf_load_some(t->w + (flip ? 8 - (i) : (i)) * t->w_ld, count)
#define ALL_WEIGHTS                                                                                                    \
    const vf w0 = WEIGHT(0), w1 = WEIGHT(1), w2 = WEIGHT(2), w3 = WEIGHT(3), w4 = WEIGHT(4), w5 = WEIGHT(5);           \
    const vf w6 = WEIGHT(6), w7 = WEIGHT(7), w8 = WEIGHT(8)

#ifdef SLIDING

/* Pixels of a column of the input, 0 above and below it. */
#define PIXEL(r) (inside.begin <= (r) && (r) < inside.end ? vf_load_some(at + (r) * line, count) : vf_set1(0.0f))

static inline void row(const row_task *t, const window *win, int flip, const int count)
{
    ALL_WEIGHTS;
    const range inside = window_inside(t->top, 3, t->height);
    const int line = t->width * t->x_ld;
    const __global float *at = t->x + t->top * line;
    vf last = t->bias, middle = t->bias; /* outputs that have got their first two columns, and their first */
    int q = -2 + win->pad_w;
    for (int column = 0; column < t->width; column++, q++, at += t->x_ld) {
        const vf x0 = PIXEL(0), x1 = PIXEL(1), x2 = PIXEL(2);
        const vf done = mul_add(x2, w8, mul_add(x1, w5, mul_add(x0, w2, last)));
        last = mul_add(x2, w7, mul_add(x1, w4, mul_add(x0, w1, middle)));
        middle = mul_add(x2, w6, mul_add(x1, w3, mul_add(x0, w0, t->bias)));
        if (q >= 0 && q < t->columns)
            put(t, q, done, count);
    }
    if (q >= 0 && q < t->columns)
        put(t, q, last, count);
    if (q + 1 >= 0 && q + 1 < t->columns)
        put(t, q + 1, middle, count);
}

#else

#define LOAD(r, s) vf_load_some(at + (r) * line + (s) * t->x_ld, count)
#define ROW_OF_TAPS(r, a, b, c)                                                                                        \
    if (rows.begin <= (r) && (r) < rows.end) {                                                                         \
        if (begin <= 0)                                                                                                \
            sum = mul_add(LOAD(r, 0), a, sum);                                                                             \
        if (begin <= 1 && end > 1)                                                                                     \
            sum = mul_add(LOAD(r, 1), b, sum);                                                                             \
        if (begin <= 2 && end > 2)                                                                                     \
            sum = mul_add(LOAD(r, 2), c, sum);                                                                             \
    }

static inline void row(const row_task *t, const window *win, int flip, const int count)
{
    ALL_WEIGHTS;
    const range rows = window_inside(t->top, 3, t->height);
    const int line = t->width * t->x_ld;
    for (int q = 0; q < t->columns; q++) {
        const int left = q * win->stride_w - win->pad_w, begin = -left, end = t->width - left;
        const __global float *at = t->x + t->top * line + left * t->x_ld;
        vf sum = t->bias;
        if (left >= 0 && end >= 3 && rows.begin == 0 && rows.end == 3) {
            vf b = LOAD(1, 0) * w3, c = LOAD(2, 0) * w6;
            sum = mul_add(LOAD(0, 0), w0, sum), b = mul_add(LOAD(1, 1), w4, b), c = mul_add(LOAD(2, 1), w7, c);
            sum = mul_add(LOAD(0, 1), w1, sum), b = mul_add(LOAD(1, 2), w5, b), c = mul_add(LOAD(2, 2), w8, c);
            sum = mul_add(LOAD(0, 2), w2, sum) + b + c;
        } else if (end > 0) {
            ROW_OF_TAPS(0, w0, w1, w2)
            ROW_OF_TAPS(1, w3, w4, w5)
            ROW_OF_TAPS(2, w6, w7, w8)
        }
        put(t, q, sum, count);
    }
}

#endif

#else

static inline void row(const row_task *t, const window *win, int flip, const int count)
{
    const range rows = window_inside(t->top, win->r, t->height);
    for (int q = 0; q < t->columns; q++) {
        const int left = q * win->stride_w - win->pad_w;
        const range columns = window_inside(left, win->s, t->width);
        vf sum = t->bias;
        for (int r = rows.begin; r < rows.end; r++)
            for (int s = columns.begin; s < columns.end; s++)
                sum = mul_add(vf_load_some(t->x + ((t->top + r) * t->width + left + s) * t->x_ld, count),
                          vf_load_some(t->w + (r * win->s + s) * t->w_ld, count), sum);
        put(t, q, sum, count);
    }
}

#endif

__kernel void depthwise_forward(const __global float *x, int x_offset, int x_ld, const __global float *w, int w_offset,
                                int w_ld, const __global float *b, int b_offset, __global float *y, int y_offset,
                                int y_ld, const __global float *addend, int addend_offset, int addend_ld, int images,
                                int height, int width, int rows, int columns, int channels, WINDOW_PARAMETERS,
                                float low, float high, int flip)
{
    const window win = WINDOW_OF;
    const channels_item at = channels_item_of(images, rows, channels);
    if (at.image < 0)
        return;
    const int first = (at.image * rows + at.row) * columns;
    row_task t;
    t.x = x + x_offset + at.image * height * width * x_ld + at.c;
    t.w = w + w_offset + at.c;
    t.addend = addend ? addend + addend_offset + first * addend_ld + at.c : 0;
    t.y = y + y_offset + first * y_ld + at.c;
    t.x_ld = x_ld, t.w_ld = w_ld, t.addend_ld = addend_ld, t.y_ld = y_ld;
    t.top = at.row * win.stride_h - win.pad_h, t.height = height, t.width = width, t.columns = columns;
    t.bias = b ? vf_load_some(b + b_offset + at.c, at.count) : vf_set1(0.0f);
    t.low = low, t.high = high;
    if (at.count == VECTOR)
        row(&t, &win, flip, VECTOR);
    else
        row(&t, &win, flip, at.count);
}
