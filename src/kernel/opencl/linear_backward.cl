/* SPDX-License-Identifier: Apache-2.0
 *
 * The gradients of a fully connected layer: products into[i,c] = sum over t of a(i,t) * b[t,c], where a(i,t) stands at
 * i*a_row + t*a_term. For dx: i a sample, t an output, b the weights. For dw: i an output, t a sample, b the input; then
 * SINK says what becomes of it (update.cl). An item is a tile of ROWS rows by VECTORS vectors of c, whose sums stay in
 * registers. Rows past the last repeat it and are not stored.
 */
#include "channels.cl"
#ifdef SINK
#include "update.cl"
#define INTO_PARAMETERS SINK_PARAMETERS
#define INTO(offset, value, count) sink_put(&to, offset, value, count)
#else
#define INTO_PARAMETERS __global float *into, int into_offset, int accumulate
#define INTO(offset, value, count) vf_put(into + into_offset + (offset), value, count, accumulate)
#endif

#define TILE(i) _Pragma("unroll") for (int i = 0; i < ROWS; i++)
#define ACROSS(v) _Pragma("unroll") for (int v = 0; v < VECTORS; v++)

/* One vector of channels, or a part of one. */
static inline void add_vector(const __global float *const a[ROWS], int a_term, const __global float *b, int b_ld,
                              int terms, int count, vf sum[ROWS])
{
    TILE(i) sum[i] = vf_set1(0.0f);
    for (int t = 0; t < terms; t++) {
        const vf row = vf_load_some(b + t * b_ld, count);
        TILE(i) sum[i] = mul_add(vf_set1(a[i][t * a_term]), row, sum[i]);
    }
}

static inline void add_tile(const __global float *const a[ROWS], int a_term, const __global float *b, int b_ld,
                            int terms, vf sum[ROWS][VECTORS])
{
    TILE(i) ACROSS(v) sum[i][v] = vf_set1(0.0f);
    for (int t = 0; t < terms; t++) {
        vf row[VECTORS];
        ACROSS(v) row[v] = vf_load(b + t * b_ld + v * VECTOR);
        TILE(i)
        {
            const vf factor = vf_set1(a[i][t * a_term]);
            ACROSS(v) sum[i][v] = mul_add(factor, row[v], sum[i][v]);
        }
    }
}

__kernel void linear_backward(const __global float *a, int a_offset, int a_row, int a_term, const __global float *b,
                              int b_offset, int b_ld, int rows, int terms, int channels, int ld, INTO_PARAMETERS)
{
    const int across = (channels + VECTOR * VECTORS - 1) / (VECTOR * VECTORS), id = (int)get_global_id(0);
    const int first = id / across * ROWS, c = id % across * VECTOR * VECTORS;
    if (first >= rows)
        return;
#ifdef SINK
    const sink to = SINK_OF;
#endif
    const __global float *at[ROWS];
    TILE(i) at[i] = a + a_offset + min(first + i, rows - 1) * a_row;
    b += b_offset + c;
    if (c + VECTOR * VECTORS <= channels) {
        vf sum[ROWS][VECTORS];
        add_tile(at, a_term, b, b_ld, terms, sum);
        TILE(i)
        {
            if (first + i < rows)
                ACROSS(v) INTO((first + i) * ld + c + v * VECTOR, sum[i][v], VECTOR);
        }
        return;
    }
    for (int done = 0; c + done < channels; done += VECTOR) {
        const int count = min(channels - c - done, VECTOR);
        vf sum[ROWS];
        add_vector(at, a_term, b + done, b_ld, terms, count, sum);
        TILE(i)
        {
            if (first + i < rows)
                INTO((first + i) * ld + c + done, sum[i], count);
        }
    }
}

/* db[k] = sum over samples of dy. An item is a vector of outputs. */
__kernel void bias_gradient(const __global float *dy, int dy_offset, int dy_ld, __global float *db, int db_offset,
                            int samples, int outputs, int accumulate)
{
    const channels_item at = channels_item_of(1, 1, outputs);
    if (at.image < 0)
        return;
    vf sum = vf_set1(0.0f);
    for (int n = 0; n < samples; n++)
        sum += vf_load_some(dy + dy_offset + n * dy_ld + at.c, at.count);
    vf_put(db + db_offset + at.c, sum, at.count, accumulate);
}
