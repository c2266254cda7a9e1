/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of a tensor's channels in files. A flatten of h x w x c counts its channels (h,w,c) in memory and (c,h,w)
 * in a file, as PyTorch does; a concat of flattened tensors has both orders piece by piece. Layers that work channel by
 * channel pass the order on; those that mix channels end it.
 */
#ifndef PINION_NET_CHANNELS_H
#define PINION_NET_CHANNELS_H

#include "base/context.h"
#include <pinion/shape.h>

enum { PINION__MAX_PIECES = 16 };

/* Pieces follow each other in memory and in files alike: within one, memory counts (pixel, channel) and a file
 * (channel, pixel). No pieces: both orders are the same. */
typedef struct pinion__channels {
    int count;
    struct {
        int pixels, channels;
    } piece[PINION__MAX_PIECES];
} pinion__channels;

/* Of a flattened tensor of several pixels. */
pinion__channels pinion__channels_flattened(pinion_shape shape);

/* Of a's channels and b's behind them; each with its number of channels. False: that would be too many pieces. */
bool pinion__channels_concat(const pinion__channels *a, int a_channels, const pinion__channels *b, int b_channels,
                             pinion__channels *out);

/* Where the channel lies in memory that is the file's number `c`. */
size_t pinion__channels_memory(const pinion__channels *order, int c);

#endif
