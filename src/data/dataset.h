/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of a data set: a kind (a struct of functions) and what all kinds share. A kind's open fills in `info` and
 * `state`; names and spec are owned by the data set whatever the kind.
 */
#ifndef PINION_DATA_DATASET_H
#define PINION_DATA_DATASET_H

#include "base/context.h"
#include <pinion/data.h>

enum { PINION__MAX_CLASSES = 65536, PINION__MAX_IMAGE_SIDE = 4096 };

typedef struct pinion__dataset_kind {
    const char *name; /* what stands before the colon of a SPEC; NULL: made by pinion_dataset_create */
    const char *spec; /* the whole SPEC, as messages show it; "KIND:DIR" takes a folder */

    /* Opens `folder` ("" when the SPEC takes none). Called once, by pinion_dataset_open. On failure close is called. */
    int (*open)(pinion_context *ctx, pinion_dataset *dataset, const char *folder,
                const pinion_dataset_options *options);

    /* Reads one sample; index is in range. `ctx` takes the sentence of a failure: a loader's thread has one of its own,
     * so that its failures do not overwrite those of the caller. Any thread, and several at once for built-in kinds. */
    int (*read)(pinion_context *ctx, const pinion_dataset *dataset, enum pinion_part part, int64_t index,
                unsigned char *pixels, int *label);

    /* Releases `state`, which may be NULL or half built. May be missing. */
    void (*close)(pinion_dataset *dataset);
} pinion__dataset_kind;

struct pinion_dataset {
    const pinion__dataset_kind *kind;
    pinion_context *ctx;
    pinion_dataset_info info;
    char *spec;
    char **names; /* one block: pointers, then texts */
    void *state;  /* the kind's own */
};

extern const pinion__dataset_kind pinion__dataset_cifar10, pinion__dataset_images, pinion__dataset_synthetic;

/* Copies `count` class names (NULL: "0", "1", …) into the data set and sets info.classes. */
int pinion__dataset_set_names(pinion_context *ctx, pinion_dataset *dataset, const char *const *names, int count);

/* pinion_dataset_read with a context of the caller's for the sentence. A label out of range is PINION_EFORMAT. */
int pinion__dataset_read(pinion_context *ctx, const pinion_dataset *dataset, enum pinion_part part, int64_t index,
                         unsigned char *pixels, int *label);

int64_t pinion__dataset_count(const pinion_dataset *dataset, enum pinion_part part);

#endif
