/* SPDX-License-Identifier: Apache-2.0
 *
 * Built programs in files, one each, so that a driver's compiler runs once per machine: $PINION_OPENCL_CACHE (a folder,
 * or "off"), else $XDG_CACHE_HOME/pinion/opencl, else ~/.cache/pinion/opencl. A file's name is a hash of all that the
 * binary depends on. A file that is damaged, or that cannot be written, costs a line in the log and a build.
 */
#ifndef PINION_DEVICE_OPENCL_CACHE_H
#define PINION_DEVICE_OPENCL_CACHE_H

#include "device/opencl.h"

typedef struct pinion__opencl_key {
    uint64_t part[2]; /* FNV-1a from two starts */
} pinion__opencl_key;

/* Of the texts, the options, the device and its driver. */
pinion__opencl_key pinion__opencl_key_of(const pinion__opencl_device *device, const pinion__opencl_source *source,
                                         const char *options);

/* What is kept for a key: *out is to be released; NULL: nothing. Only out of memory is a failure. */
int pinion__opencl_cache_read(pinion_context *ctx, pinion__opencl_key key, unsigned char **out, size_t *bytes);
void pinion__opencl_cache_write(pinion_context *ctx, pinion__opencl_key key, const unsigned char *binary, size_t bytes);

#endif
