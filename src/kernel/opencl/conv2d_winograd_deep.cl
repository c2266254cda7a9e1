/* SPDX-License-Identifier: Apache-2.0
 *
 * The products of Winograd's algorithm where transformed filters are more than caches hold, or tiles are few
 * (conv2d_winograd.c): an item owns a panel of output columns and some tiles, and transforms its filters itself, DEPTH
 * rows at a time, into local memory, from where it multiplies them at once. For devices whose local memory is a core's
 * cache.
 */
#include "winograd.cl"
#include "transpose.cl"

#define TAPS 9
#define MOST 12
/* Vectors from one frequency of the filters to the next: off the powers of two, so that they do not meet in one set of a
 * cache. */
#define PLANE (DEPTH * VECTORS + 1)

inline void put_filter(const vf *taps, __local vf *to)
{
    vf half_way[IN * 3];
#pragma unroll
    for (int j = 0; j < 3; j++)
        taps_to_frequencies(taps + j, 3, half_way + j, 3);
#pragma unroll
    for (int i = 0; i < IN; i++) {
        vf frequency[IN];
        taps_to_frequencies(half_way + i * 3, 1, frequency, 1);
#pragma unroll
        for (int j = 0; j < IN; j++)
            to[(i * IN + j) * PLANE] = frequency[j];
    }
}

/* VECTOR rows of a column of filters from w [output][tap][channel]. Rows are channels and columns outputs; where
 * `transposed`, the other way round and taps turned. All is loaded first: memory is far. */
inline void put_filters(const __global float *w, int ld, int transposed, __local vf *to)
{
    vf taps[TAPS][VECTOR];
    if (transposed)
        for (int i = 0; i < VECTOR; i++)
#pragma unroll
            for (int t = 0; t < TAPS; t++)
                taps[TAPS - 1 - t][i] = vf_load(w + (i * TAPS + t) * ld);
    else
        for (int t = 0; t < TAPS; t++) {
            vf block[VECTOR];
#pragma unroll
            for (int i = 0; i < VECTOR; i++)
                block[i] = vf_load(w + (i * TAPS + t) * ld);
            transpose(block);
#pragma unroll
            for (int i = 0; i < VECTOR; i++)
                taps[t][i] = block[i];
        }
    for (int i = 0; i < VECTOR; i++) {
        vf picked[TAPS];
#pragma unroll
        for (int t = 0; t < TAPS; t++)
            picked[t] = taps[t][i];
        put_filter(picked, to + i * VECTORS);
    }
}

/* Products of COUNT tiles with `rows` rows of one frequency, added to what is there where `add`. A macro, because
 * compilers leave a function of this size on its own, and some then with narrower vectors. */
#define MULTIPLY(COUNT)                                                                                                \
    case COUNT: {                                                                                                      \
        vf sum[COUNT][VECTORS];                                                                                        \
        _Pragma("unroll") for (int i = 0; i < COUNT; i++)                                                              \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++)                                                        \
                sum[i][v] = add ? vf_load(to + i * products_ld + v * VECTOR) : vf_set1(0.0f);                          \
        for (int c = 0; c < rows; c++)                                                                                 \
            _Pragma("unroll") for (int i = 0; i < COUNT; i++) {                                                        \
                const vf x = vf_set1(patch[i * patches_ld + c]);                                                       \
                _Pragma("unroll") for (int v = 0; v < VECTORS; v++)                                                    \
                    sum[i][v] = x * filter[c * VECTORS + v] + sum[i][v];                                               \
            }                                                                                                          \
        _Pragma("unroll") for (int i = 0; i < COUNT; i++)                                                              \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++)                                                        \
                vf_store(to + i * products_ld + v * VECTOR, sum[i][v]);                                                \
        break;                                                                                                         \
    }

/* products[frequency][tile] = sum over `depth` channels of patches times filters, `count` tiles in `ranges`. The weights
 * w [output][tap][channel] are `columns` outputs by `depth` channels or, where `transposed`, `depth` outputs by
 * `columns` channels. Columns behind the last are computed from whatever stands there, for nobody. Ids: range, panel. */
__kernel void multiply_deep(const __global float *patches_at, int patches_offset, int patches_ld, int patches_plane,
                            const __global float *w, int w_offset, int w_ld, int depth, int columns, int transposed,
                            __global float *products, int products_offset, int products_ld, int products_plane,
                            int count, int ranges)
{
    __local vf filters[FREQUENCIES * PLANE];
    const int range = (int)get_global_id(0), column = (int)get_global_id(1) * COLUMNS;
    if (range >= ranges || column >= columns)
        return;
    const int first = count * range / ranges, tiles = count * (range + 1) / ranges - first;
    const int parts = (tiles + MOST - 1) / MOST;
    w += w_offset;
    patches_at += patches_offset + first * patches_ld;
    products += products_offset + first * products_ld + column;
    for (int row = 0; row < depth; row += DEPTH) {
        const int rows = min(depth - row, DEPTH);
        for (int i = 0; i < rows; i += VECTOR)
            for (int c = column; c < min(column + COLUMNS, columns); c += VECTOR)
                put_filters(w + (transposed ? (row + i) * TAPS * w_ld + c : c * TAPS * w_ld + row + i), w_ld,
                            transposed, filters + i * VECTORS + (c - column) / VECTOR);
        for (int f = 0; f < FREQUENCIES; f++)
            for (int part = 0; part < parts; part++) {
                const int begin = tiles * part / parts, end = tiles * (part + 1) / parts;
                const __global float *patch = patches_at + f * patches_plane + begin * patches_ld + row;
                const __local vf *filter = filters + f * PLANE;
                __global float *to = products + f * products_plane + begin * products_ld;
                const bool add = row > 0;
                switch (end - begin) {
                    MULTIPLY(1)
                    MULTIPLY(2)
                    MULTIPLY(3)
                    MULTIPLY(4)
                    MULTIPLY(5)
                    MULTIPLY(6)
                    MULTIPLY(7)
                    MULTIPLY(8)
                    MULTIPLY(9)
                    MULTIPLY(10)
                    MULTIPLY(11)
                    MULTIPLY(12)
                }
            }
    }
}
