/* SPDX-License-Identifier: Apache-2.0
 *
 * Loader: a thread of its own that turns samples into batches (shuffled by seed, augmented, normalised to fp32 NHWC)
 * into a ring of buffers ahead of the trainer. Which samples and which augmentation is a function of (seed, epoch,
 * position), so a loader can start anywhere.
 */
#ifndef PINION_DATA_LOADER_H
#define PINION_DATA_LOADER_H

#include "base/context.h"
#include <pinion/data.h>

typedef struct pinion__loader pinion__loader;

/* Memory for a batch. */
typedef struct pinion__loader_slot {
    float *images; /* aligned to 64 bytes */
    int32_t *labels;
} pinion__loader_slot;

typedef struct pinion__loader_options {
    pinion_dataset *dataset;
    enum pinion_part part;
    const uint32_t *subset; /* indices of the part to use (borrowed), NULL: all */
    int64_t subset_count;
    int batch;
    bool shuffle;     /* by (seed, epoch); off: in order */
    bool drop_last;   /* drop an incomplete last batch; off: it comes short */
    unsigned augment; /* enum pinion_augment */
    uint64_t seed;
    int64_t first_epoch; /* where to begin */
    int64_t first_batch; /* within first_epoch */
    bool repeat;         /* epoch after epoch; off: one epoch, then count 0 */
    int ahead;           /* batches kept ready; 0: 3 */
    /* ahead + 1 of them, in which batches are prepared in turn. The memory is borrowed: the loader's thread writes each
     * but the one that was handed out last, until the loader is destroyed. NULL: memory of its own. */
    const pinion__loader_slot *slots;
} pinion__loader_options;

typedef struct pinion__batch {
    const float *images;     /* (count, h, w, c), aligned to 64 bytes; rows count..batch-1 are zero */
    const int32_t *labels;   /* batch entries; 0 beyond count */
    const uint32_t *samples; /* count entries: which of the part they are */
    int count;               /* 0: the epoch is over (repeat off) */
    int64_t epoch, index;
} pinion__batch;

int pinion__loader_create(pinion_context *ctx, const pinion__loader_options *options, pinion__loader **out);
void pinion__loader_destroy(pinion__loader *loader);

/* Waits for the next batch, which stays valid until the next call. A failing read comes out here. wait_ns (may be
 * NULL): time spent waiting. Never allocates. */
int pinion__loader_next(pinion__loader *loader, pinion__batch *out, int64_t *wait_ns);

/* Batches in an epoch. */
int64_t pinion__loader_batches(const pinion__loader_options *options);

#endif
