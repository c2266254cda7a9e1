/* SPDX-License-Identifier: Apache-2.0
 *
 * Between memory order and file order. In both a parameter is (K, C, R, S): memory has it as (k, r, s, c), a file as
 * [k, c, r, s], and the other layouts are that with some extents 1. Where channels come from a flatten the two
 * count them differently (net/channels.h). A cursor walks in file order; where its element lies in memory is a sum of
 * what k, c, r and s contribute.
 */
#include "net/weights.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian, and so must the machine be"
#endif

void pinion__param_file_shape(const pinion__param *param, int64_t shape[8], int *rank)
{
    const pinion__param_spec *spec = &param->spec;
    switch (spec->layout) {
    case PINION__LAYOUT_VECTOR:
        *rank = 1;
        shape[0] = spec->c;
        break;
    case PINION__LAYOUT_KC:
        *rank = 2;
        shape[0] = spec->n;
        shape[1] = spec->c;
        break;
    case PINION__LAYOUT_KRSC:
    case PINION__LAYOUT_RSC:
        *rank = 4;
        shape[0] = spec->layout == PINION__LAYOUT_KRSC ? spec->n : spec->c;
        shape[1] = spec->layout == PINION__LAYOUT_KRSC ? spec->c : 1;
        shape[2] = spec->h;
        shape[3] = spec->w;
        break;
    }
}

typedef struct cursor {
    const pinion__param *param;
    int k, c, r, s;
    size_t channel; /* c in memory */
} cursor;

static cursor cursor_at(const pinion__param *param, uint64_t element)
{
    uint64_t rows = (uint64_t)param->spec.h, columns = (uint64_t)param->spec.w, channels = (uint64_t)param->spec.c;
    cursor at = {.param = param,
                 .s = (int)(element % columns),
                 .r = (int)(element / columns % rows),
                 .c = (int)(element / columns / rows % channels),
                 .k = (int)(element / columns / rows / channels)};
    at.channel = pinion__channels_memory(&param->channels, at.c);
    return at;
}

static size_t cursor_memory(const cursor *at)
{
    const pinion__param_spec *spec = &at->param->spec;
    size_t pixel = ((size_t)at->k * (size_t)spec->h + (size_t)at->r) * (size_t)spec->w + (size_t)at->s;
    return pixel * (size_t)spec->c + at->channel;
}

static void cursor_next(cursor *at)
{
    const pinion__param_spec *spec = &at->param->spec;
    if (++at->s < spec->w)
        return;
    at->s = 0;
    if (++at->r < spec->h)
        return;
    at->r = 0;
    if (++at->c == spec->c) {
        at->c = 0;
        at->k++;
    }
    at->channel = pinion__channels_memory(&at->param->channels, at->c);
}

void pinion__param_to_file(const pinion__param *param, const float *memory, uint64_t first, size_t count, float *file)
{
    cursor at = cursor_at(param, first);
    for (size_t i = 0; i < count; i++, cursor_next(&at))
        file[i] = memory[cursor_memory(&at)];
}

void pinion__param_from_file(const pinion__param *param, const float *file, float *memory)
{
    size_t count = param->bytes / sizeof(float);
    cursor at = cursor_at(param, 0);
    for (size_t i = 0; i < count; i++, cursor_next(&at))
        memory[cursor_memory(&at)] = file[i];
}
