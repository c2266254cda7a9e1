/* SPDX-License-Identifier: Apache-2.0
 *
 * A training so small that a test can run it hundreds of times: generated 8x8 images of four classes, a network of
 * convolution, batch norm, dropout, pooling and a linear layer; 8 batches of 8 in an epoch.
 */
#ifndef TESTS_LEARN_TINY_H
#define TESTS_LEARN_TINY_H

#include <pinion/train.h>
#include <stdbool.h>

enum { TINY_TRAIN = 67, TINY_TEST = 13, TINY_CLASSES = 4, TINY_BATCH = 8, TINY_BATCHES = 8, TINY_SIDE = 8 };

typedef struct tiny {
    pinion_context *ctx;
    pinion_network *network;
    pinion_dataset *dataset;
    pinion_trainer *trainer; /* NULL until tiny_begin */
} tiny;

/* A context with `threads`, the data, and the network with weights from `seed`. options may be NULL. */
void tiny_open(tiny *t, const pinion_context_options *options, uint64_t seed);
void tiny_close(tiny *t); /* the trainer, too */

/* The same network and data in a context that exists; codes are passed on. */
int tiny_fill(tiny *t, uint64_t seed);

/* Two epochs, everything on: clipping, label smoothing, augmentation, samples held back. */
pinion_train_options tiny_options(const char *out);

/* Creates a trainer, resumes from `resume` unless NULL, runs; with `stop_after` > 0 the callback asks to stop when the
 * training has done that many steps in all. result may be NULL. */
int tiny_train(tiny *t, const pinion_train_options *options, const char *resume, int64_t stop_after,
               pinion_train_result *result);

/* Leaves W.state.safetensors of a training stopped after 5 steps. */
void tiny_make_checkpoint(void);

/* A folder of its own for the test, made on the first call, gone after tiny_folder_remove; in memory where that is
 * possible. */
const char *tiny_folder(void);
void tiny_folder_clean(void);
void tiny_folder_remove(void);

/* Removes all files but those whose name begins with `name`; counts those whose name holds `part`. */
void tiny_folder_keep(const char *name);
int tiny_folder_count(const char *part);

/* FOLDER/name, in one of a few static buffers. */
const char *tiny_path(const char *name);

bool tiny_exists(const char *path);
void tiny_copy(const char *from, const char *to);

/* Removes a training's files, those that are there; the name without ".safetensors". */
void tiny_remove_training(const char *name);

/* Fails the test unless both files hold the same bytes. */
void tiny_assert_same(const char *a, const char *b);

/* The same for a training's three files, names without ".safetensors". */
void tiny_assert_same_training(const char *a, const char *b);

/* Replaces the first occurrence of `from` in the checkpoint W.state.safetensors by `to`, of the same length. */
void tiny_edit_checkpoint(const char *from, const char *to);

#endif
