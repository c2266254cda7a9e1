/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of training: one table of fields drives how they are written into a checkpoint, read from it, and compared on
 * resuming.
 */
#ifndef PINION_LEARN_OPTIONS_H
#define PINION_LEARN_OPTIONS_H

#include "net/pairs.h"
#include <pinion/train.h>

/* Of steps and whatever else is counted: no sum of two overflows. */
#define PINION__MAX_COUNT INT64_C(1000000000000000)

/* Fills in defaults that depend on others (learning rate, an empty pattern), and refuses what is out of range; the
 * sentence names the option. */
int pinion__options_check(pinion_context *ctx, pinion_train_options *options);

/* Does the network fit the data set, do the samples suffice? */
int pinion__options_check_data(const pinion_network *network, const pinion_dataset_info *info,
                               const pinion_train_options *options);

/* Numbers in metadata, as learn/text.h writes them. */
int pinion__pairs_add_integer(pinion__pairs *pairs, const char *key, int64_t value);
int pinion__pairs_add_real(pinion__pairs *pairs, const char *key, double value);

/* Every field but pointers to data and files, as "pinion.train.NAME". */
int pinion__options_write(const pinion_train_options *options, pinion__pairs *pairs);

/* The reverse. Strings are borrowed from the file. PINION_EFORMAT names the key. */
int pinion__options_read(pinion_context *ctx, const pinion__st_file *file, pinion_train_options *out);

/* PINION_EINVAL when a resumed training would not be the one of the checkpoint: names the first option that differs,
 * and both values, as the command line has them. */
int pinion__options_compare(pinion_context *ctx, const pinion_train_options *now, const pinion_train_options *then);

#endif
