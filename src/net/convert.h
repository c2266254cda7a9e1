/* SPDX-License-Identifier: Apache-2.0
 *
 * Floating-point tensors of files as fp32.
 */
#ifndef PINION_NET_CONVERT_H
#define PINION_NET_CONVERT_H

#include "net/safetensors.h"

/* F32, F64, F16 or BF16? */
bool pinion__dtype_floating(enum pinion__dtype dtype);

/* Elements first … first+count-1 of a floating tensor. */
void pinion__tensor_floats(const pinion__st_tensor *tensor, uint64_t first, size_t count, float *out);

#endif
