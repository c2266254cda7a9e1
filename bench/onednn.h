/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass of a layer by oneDNN, as a peer: each algorithm that it offers, in the formats that it likes best. Bringing
 * the operands into these formats is not timed, which flatters it where a network would need the reorders. Where the
 * library was not found, no trial opens.
 */
#ifndef BENCH_ONEDNN_H
#define BENCH_ONEDNN_H

#include "op/op.h"

/* A pass of conv2d, depthwise_conv2d or linear (r = s = h = w = 1). */
typedef struct bench_onednn_layer {
    enum pinion__op_id op;
    enum pinion__pass pass;
    int n, h, w, c;
    pinion_conv2d conv; /* k, filter, strides, padding */
    int p, q;           /* rows and columns of the output */
} bench_onednn_layer;

typedef struct bench_onednn bench_onednn;

#if BENCH_HAVE_ONEDNN

/* "2.6.3"; NULL: this program was built without the library. */
const char *bench_onednn_version(void);

/* Trial `index` (0 …) of the layer with random operands: NULL past the last and where oneDNN has no such algorithm or
 * only its reference. The caller closes it. */
enum { BENCH_ONEDNN_TRIALS = 3 };
bench_onednn *bench_onednn_open(const bench_onednn_layer *layer, int index, int threads);
const char *bench_onednn_name(const bench_onednn *trial); /* "winograd jit_wino_4x3:avx512_core" */
void bench_onednn_run(const bench_onednn *trial);
void bench_onednn_close(bench_onednn *trial);

#else

enum { BENCH_ONEDNN_TRIALS = 0 };

static inline const char *bench_onednn_version(void)
{
    return NULL;
}

static inline bench_onednn *bench_onednn_open(const bench_onednn_layer *layer, int index, int threads)
{
    (void)layer, (void)index, (void)threads;
    return NULL;
}

static inline const char *bench_onednn_name(const bench_onednn *trial)
{
    (void)trial;
    return "";
}

static inline void bench_onednn_run(const bench_onednn *trial)
{
    (void)trial;
}

static inline void bench_onednn_close(bench_onednn *trial)
{
    (void)trial;
}

#endif
#endif
