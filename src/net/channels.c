/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders of channels (net/channels.h). Neighbours of one pixel each are one piece, so most tensors have few.
 */
#include "net/channels.h"

pinion__channels pinion__channels_flattened(pinion_shape shape)
{
    return (pinion__channels){.count = 1, .piece = {{shape.h * shape.w, shape.c}}};
}

static bool append(pinion__channels *to, int pixels, int channels)
{
    if (to->count > 0 && pixels == 1 && to->piece[to->count - 1].pixels == 1) {
        to->piece[to->count - 1].channels += channels;
        return true;
    }
    if (to->count == PINION__MAX_PIECES)
        return false;
    to->piece[to->count].pixels = pixels;
    to->piece[to->count++].channels = channels;
    return true;
}

static bool append_all(pinion__channels *to, const pinion__channels *from, int channels)
{
    if (from->count == 0)
        return append(to, 1, channels);
    for (int i = 0; i < from->count; i++)
        if (!append(to, from->piece[i].pixels, from->piece[i].channels))
            return false;
    return true;
}

bool pinion__channels_concat(const pinion__channels *a, int a_channels, const pinion__channels *b, int b_channels,
                             pinion__channels *out)
{
    pinion__channels both = {0};
    bool fits = true;
    if (a->count > 0 || b->count > 0)
        fits = append_all(&both, a, a_channels) && append_all(&both, b, b_channels);
    *out = both;
    return fits;
}

size_t pinion__channels_memory(const pinion__channels *order, int c)
{
    int first = 0;
    for (int i = 0; i < order->count; i++) {
        int pixels = order->piece[i].pixels, channels = order->piece[i].channels, within = c - first;
        if (within < pixels * channels)
            return (size_t)first + (size_t)(within % pixels) * (size_t)channels + (size_t)(within / pixels);
        first += pixels * channels;
    }
    return (size_t)c;
}
