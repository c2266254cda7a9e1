/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_weights split along the pixels: a piece of the pixels makes a whole partial gradient, and partial
 * gradients are added in the order of pieces. For gradients that are small against the activations, so that these are
 * read once, block of pixels by block (op/stats.h), and from a cache by all tiles of the gradient:
 *
 * - 1x1 with stride 1: both operands are read where they stand. The tile's columns are the input's channels or the
 *   output's, whichever wastes less of the tiles.
 * - few input channels (the first layer): an item copies a block's patches of x to rows of r*s*c, which take the place
 *   of x with a single tap.
 *
 * A tile that would end behind the last channel begins earlier and writes only its own columns.
 *
 * Scratch: partial gradients [piece][tile]; for each worker a padded copy of a block of x, and its patches.
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/padded.h"
#include "kernel/cpu/update.h"

enum {
    MOST_PIECES = 16,
    PARTIAL_FLOATS = 1 << 20, /* of all pieces, where one is smaller */
    PIECE_FLOATS = 1 << 16,   /* of one piece of a 1x1 convolution */
    TILE = PINION__TILE_ROWS * PINION__TILE_COLUMNS
};

typedef struct split {
    pinion__conv conv;
    pinion__view x, dy;
    pinion__sink sink;
    bool unfold, swapped; /* swapped: the tile's rows are input channels */
    int rows, columns;    /* channels on either side of the tiles; unfolded: columns are r*s*c */
    int row_tiles, column_tiles, pieces;
    pinion__stats_blocks blocks;
    pinion__padded padded;
    ptrdiff_t width; /* unfolded: floats of a patch, whole tiles */
    float *partials, *lanes;
    size_t lane_floats, padded_floats;
} split;

static bool is_pointwise(const pinion__conv *conv)
{
    return conv->r == 1 && conv->s == 1 && conv->stride_h == 1 && conv->stride_w == 1 && conv->pad_h == 0 &&
           conv->pad_w == 0;
}

static int tiles_of(int rows, int columns)
{
    return pinion__ceil_div(rows, PINION__TILE_ROWS) * pinion__ceil_div(columns, PINION__TILE_COLUMNS);
}

static size_t piece_floats(const split *s)
{
    return (size_t)s->row_tiles * (size_t)s->column_tiles * TILE;
}

/* Is a tile's row of channels better filled by the output's? A tile costs as its rows do. */
static bool is_swapped(int c, int k)
{
    if (c < PINION__TILE_COLUMNS || k < PINION__TILE_COLUMNS)
        return c < k;
    return pinion__ceil_div(k, PINION__TILE_COLUMNS) * c < pinion__ceil_div(c, PINION__TILE_COLUMNS) * k;
}

static split split_of(const pinion__args *args)
{
    split s = {.conv = pinion__conv_of(args),
               .x = args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
               .dy = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY]};
    s.unfold = !is_pointwise(&s.conv);
    s.swapped = !s.unfold && is_swapped(s.x.c, s.dy.c);
    s.rows = s.swapped ? s.x.c : s.dy.c;
    s.columns = s.swapped ? s.dy.c : s.conv.r * s.conv.s * s.x.c;
    s.row_tiles = pinion__ceil_div(s.rows, PINION__TILE_ROWS);
    s.column_tiles = pinion__ceil_div(s.columns, PINION__TILE_COLUMNS);
    s.blocks = pinion__stats_blocks_of(s.dy.n, s.dy.h, s.dy.w);
    s.pieces = s.blocks.count < MOST_PIECES ? s.blocks.count : MOST_PIECES;
    const size_t fit = PARTIAL_FLOATS / piece_floats(&s);
    s.pieces = (size_t)s.pieces < fit ? s.pieces : fit < 1 ? 1 : (int)fit;
    if (s.unfold) {
        s.width = (ptrdiff_t)s.column_tiles * PINION__TILE_COLUMNS;
        s.padded = pinion__padded_of(&s.conv, &s.blocks, s.dy.w, s.x.c);
        s.padded_floats = pinion__round64(pinion__padded_floats(&s.padded) * sizeof(float)) / sizeof(float);
        const size_t pixels = (size_t)s.blocks.images * (size_t)s.blocks.rows * (size_t)s.dy.w;
        s.lane_floats = s.padded_floats + pixels * (size_t)s.width + PINION__LANES;
        s.lane_floats = pinion__round64(s.lane_floats * sizeof(float)) / sizeof(float);
    }
    return s;
}

static bool applicable(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    const int c = args->operand[PINION__CONV_BACKWARD_WEIGHTS_X].c;
    if (!is_pointwise(&conv))
        return c < PINION__TILE_COLUMNS;
    const int k = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY].c;
    const split s = split_of(args);
    return (c >= PINION__TILE_COLUMNS || k >= PINION__TILE_COLUMNS) && s.blocks.count > 1 &&
           tiles_of(s.rows, s.columns) * TILE <= PIECE_FLOATS;
}

static size_t scratch_bytes(const pinion__args *args)
{
    const split s = split_of(args);
    return ((size_t)s.pieces * piece_floats(&s) + (size_t)pinion__threads(args) * s.lane_floats) * sizeof(float);
}

/* ---- a piece ---- */

static void unfold_pixel(const split *s, const float *from, float *out)
{
    const int run = s->conv.s * s->x.c;
    for (int r = 0; r < s->conv.r; r++, from += s->padded.row, out += run)
        for (int j = 0; j < run; j += PINION__LANES)
            pinion__vf_store(out + j, pinion__vf_load(from + j));
}

/* The patches of a block. Whole vectors are stored, so each patch ends in a piece of the next one's input, which is in
 * columns that nobody reads. */
static void unfold_block(const split *s, int block, int pixels, float *copy, float *out)
{
    const int image = block / s->blocks.per_image * s->blocks.images,
              row = block % s->blocks.per_image * s->blocks.rows;
    const int images = s->blocks.per_image > 1 ? 1 : pixels / (s->dy.h * s->dy.w);
    const int rows = pixels / (images * s->dy.w);
    PINION__CPU_SHARED(pad)(&s->padded, &s->conv, &s->x, image, images, row, copy);
    for (int n = 0; n < images; n++)
        for (int y = 0; y < rows; y++) {
            const float *from = copy + n * s->padded.image + (ptrdiff_t)y * s->conv.stride_h * s->padded.row;
            for (int x = 0; x < s->dy.w; x++, from += s->conv.stride_w * s->padded.pixel, out += s->width)
                unfold_pixel(s, from, out);
        }
}

/* Where the tile's columns begin: earlier than its number says if they would end behind the last. */
static int column_of(const split *s, int tile)
{
    const int begin = tile * PINION__TILE_COLUMNS;
    return s->unfold || begin + PINION__TILE_COLUMNS <= s->columns ? begin : s->columns - PINION__TILE_COLUMNS;
}

static void reduce_block(const split *s, int block, int pixels, const float *patches, float *tiles)
{
    const ptrdiff_t first = (ptrdiff_t)pinion__stats_block_begin(&s->blocks, s->dy.h, s->dy.w, block);
    const pinion__view *a = s->swapped ? &s->x : &s->dy, *b = s->swapped ? &s->dy : &s->x;
    pinion__gemm_reduce product = {.a_column = a->ld,
                                   .b_column = s->unfold ? s->width : b->ld,
                                   .images = 1,
                                   .rows = 1,
                                   .columns = pixels,
                                   .width = PINION__TILE_COLUMNS,
                                   .tile = tiles,
                                   .tile_row = PINION__TILE_COLUMNS};
    const float *a_data = (const float *)a->data + first * a->ld;
    const float *b_data = s->unfold ? patches : (const float *)b->data + first * b->ld;
    for (int column_tile = 0; column_tile < s->column_tiles; column_tile++)
        for (int row_tile = 0; row_tile < s->row_tiles; row_tile++, product.tile += TILE) {
            const int row = pinion__piece_begin(s->rows, s->row_tiles, row_tile);
            product.count = pinion__piece_begin(s->rows, s->row_tiles, row_tile + 1) - row;
            product.a = a_data + row;
            product.b = b_data + column_of(s, column_tile);
            PINION__CPU_SHARED(gemm_reduce)(&product);
        }
}

static void piece_item(void *user, size_t piece, int lane)
{
    const split *s = user;
    float *tiles = s->partials + piece * piece_floats(s);
    float *copy = s->lanes + (size_t)lane * s->lane_floats, *patches = copy + s->padded_floats;
    memset(tiles, 0, piece_floats(s) * sizeof(float));
    const int end = pinion__piece_begin(s->blocks.count, s->pieces, (int)piece + 1);
    for (int block = pinion__piece_begin(s->blocks.count, s->pieces, (int)piece); block < end; block++) {
        const int pixels = (int)pinion__stats_block_pixels(&s->blocks, s->dy.n, s->dy.h, s->dy.w, block);
        if (s->unfold)
            unfold_block(s, block, pixels, copy, patches);
        reduce_block(s, block, pixels, patches, tiles);
    }
}

/* ---- the sum of the pieces ---- */

static void write_rows(const split *s, const float *tile, int row, int count, int begin, int first, int last)
{
    const ptrdiff_t ld = s->sink.view.ld;
    const int taps = s->conv.r * s->conv.s, channels = s->x.c;
    for (int i = 0; i < count; i++, tile += PINION__TILE_COLUMNS)
        for (int j = first; j < last;) {
            const int element = begin + j, tap = element / channels, channel = element % channels;
            const int run = ld == channels ? last - j : channels - channel < last - j ? channels - channel : last - j;
            pinion__sink_row(&s->sink, ((ptrdiff_t)(row + i) * taps + tap) * ld + channel, tile + j, run);
            j += run;
        }
}

/* The tile's columns are filters. */
static void write_columns(const split *s, const float *tile, int row, int count, int begin, int first, int last)
{
    for (int j = first; j < last; j++) {
        float values[PINION__TILE_ROWS];
        for (int i = 0; i < count; i++)
            values[i] = tile[i * PINION__TILE_COLUMNS + j];
        pinion__sink_row(&s->sink, (begin + j) * s->sink.view.ld + row, values, count);
    }
}

static void sum_item(void *user, size_t index, int lane)
{
    (void)lane;
    const split *s = user;
    const int row_tile = (int)(index % (size_t)s->row_tiles), column_tile = (int)(index / (size_t)s->row_tiles);
    const int row = pinion__piece_begin(s->rows, s->row_tiles, row_tile);
    const int count = pinion__piece_begin(s->rows, s->row_tiles, row_tile + 1) - row;
    const int own = column_tile * PINION__TILE_COLUMNS, begin = column_of(s, column_tile);
    const int last = s->columns - begin < PINION__TILE_COLUMNS ? s->columns - begin : PINION__TILE_COLUMNS;
    float tile[TILE];
    memcpy(tile, s->partials + index * TILE, sizeof tile);
    for (int piece = 1; piece < s->pieces; piece++) {
        const float *part = s->partials + (size_t)piece * piece_floats(s) + index * TILE;
        for (int i = 0; i < TILE; i += PINION__LANES)
            pinion__vf_store(tile + i, pinion__vf_add(pinion__vf_load(tile + i), pinion__vf_load(part + i)));
    }
    if (s->swapped)
        write_columns(s, tile, row, count, begin, own - begin, last);
    else
        write_rows(s, tile, row, count, begin, own - begin, last);
}

static void run(const pinion__args *args)
{
    split s = split_of(args);
    s.sink = pinion__sink_of(args);
    s.partials = args->scratch;
    s.lanes = s.partials + (size_t)s.pieces * piece_floats(&s);
    pinion__parallel(args->workers, (size_t)s.pieces, piece_item, &s);
    pinion__parallel(args->workers, (size_t)s.row_tiles * (size_t)s.column_tiles, sum_item, &s);
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data != NULL)
        PINION__CPU_SHARED(column_sums)(&s.dy, db->data, args->accumulate, args->workers);
}

PINION__CPU_KERNEL(conv2d_backward_weights_split) = {
    .applicable = applicable, .scratch_bytes = scratch_bytes, .run = run};
