/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share.
 */
#ifndef PINION_DEVICE_PROCESSOR_H
#define PINION_DEVICE_PROCESSOR_H

#include "device/device.h"
#include <string.h>

/* Fills a zeroed processor: one core, CPU kernels of the context's instruction set, no workers. */
int pinion__processor_init(pinion_context *ctx, pinion__processor *processor, const pinion__processor_class *class_,
                           const char *name);

#endif
