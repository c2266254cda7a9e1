/* SPDX-License-Identifier: Apache-2.0
 *
 * Floating-point tensors of files as fp32 (net/convert.h). File data may stand at any address.
 */
#include "net/convert.h"
#include <math.h>
#include <string.h>

bool pinion__dtype_floating(enum pinion__dtype dtype)
{
    return dtype == PINION__F32 || dtype == PINION__F64 || dtype == PINION__F16 || dtype == PINION__BF16;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3FF;
    if (exponent == 31)
        return from_bits(sign | 0x7F800000 | fraction << 13);
    if (exponent == 0) {
        float value = ldexpf((float)fraction, -24);
        return sign ? -value : value;
    }
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Halfway between the largest float and the power of two beyond: what is larger rounds to infinity. */
#define LARGEST 3.4028235677973366e38

static float element(enum pinion__dtype dtype, const unsigned char *data)
{
    uint16_t half;
    double wide;
    float value = 0;
    switch (dtype) {
    case PINION__F32:
        memcpy(&value, data, sizeof value);
        break;
    case PINION__F64:
        memcpy(&wide, data, sizeof wide);
        value = wide > LARGEST ? INFINITY : wide < -LARGEST ? -INFINITY : (float)wide;
        break;
    case PINION__F16:
        memcpy(&half, data, sizeof half);
        value = from_half(half);
        break;
    case PINION__BF16:
        memcpy(&half, data, sizeof half);
        value = from_bits((uint32_t)half << 16);
        break;
    case PINION__I64:
    case PINION__I32:
    case PINION__U8:
    case PINION__DTYPE_COUNT:
        break;
    }
    return value;
}

void pinion__tensor_floats(const pinion__st_tensor *tensor, uint64_t first, size_t count, float *out)
{
    size_t bytes = pinion__dtype_bytes(tensor->dtype);
    const unsigned char *data = tensor->data + first * bytes;
    if (tensor->dtype == PINION__F32)
        memcpy(out, data, count * sizeof *out);
    else
        for (size_t i = 0; i < count; i++)
            out[i] = element(tensor->dtype, data + i * bytes);
}
