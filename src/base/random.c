/* SPDX-License-Identifier: Apache-2.0
 *
 * Philox4x32-10 and what is drawn from it.
 */
#include "base/random.h"

#include <math.h>

enum { ROUNDS = 10 };

void pinion__random4(uint64_t seed, uint32_t purpose, uint32_t stream, uint64_t index, uint32_t out[4])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = purpose, c3 = stream;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t product0 = (uint64_t)0xD2511F53u * c0;
        uint64_t product1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t next0 = (uint32_t)(product1 >> 32) ^ c1 ^ key0;
        uint32_t next2 = (uint32_t)(product0 >> 32) ^ c3 ^ key1;
        c1 = (uint32_t)product1;
        c3 = (uint32_t)product0;
        c0 = next0;
        c2 = next2;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

float pinion__random_uniform(uint64_t seed, uint32_t purpose, uint32_t stream, uint64_t element)
{
    uint32_t draw[4];
    pinion__random4(seed, purpose, stream, element / 4, draw);
    return (float)(draw[element % 4] >> 8) * 0x1p-24f;
}

/* Two normals from two draws: z0 = sqrt(-2 ln u1) cos(2 pi u2), z1 the same with sin; u = ((x >> 8) + 1/2) 2^-24 for
 * u1, so that the logarithm is finite, and (x >> 8) 2^-24 for u2. */
static void box_muller(uint32_t a, uint32_t b, float z[2])
{
    double u1 = ((double)(a >> 8) + 0.5) * 0x1p-24;
    double u2 = (double)(b >> 8) * 0x1p-24;
    double radius = sqrt(-2.0 * log(u1));
    double angle = 6.283185307179586476925286766559 * u2;
    z[0] = (float)(radius * cos(angle));
    z[1] = (float)(radius * sin(angle));
}

void pinion__random_normal_from(uint64_t seed, uint32_t purpose, uint32_t stream, size_t first, size_t count,
                                float *out)
{
    for (size_t i = 0; i < count; i += 4) {
        uint32_t draw[4];
        float z[4];
        pinion__random4(seed, purpose, stream, (first + i) / 4, draw);
        box_muller(draw[0], draw[1], z);
        box_muller(draw[2], draw[3], z + 2);
        for (size_t lane = 0; lane < 4 && i + lane < count; lane++)
            out[i + lane] = z[lane];
    }
}

void pinion__random_normal(uint64_t seed, uint32_t purpose, uint32_t stream, size_t count, float *out)
{
    pinion__random_normal_from(seed, purpose, stream, 0, count, out);
}

void pinion__random_permutation(uint64_t seed, uint32_t purpose, uint32_t stream, size_t count, uint32_t *order)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count; i > 1; i--) {
        uint32_t draw[4];
        pinion__random4(seed, purpose, stream, i, draw);
        /* 64 random bits: the bias of the modulus is below 2^-32. */
        size_t pick = (size_t)((((uint64_t)draw[0] << 32) | draw[1]) % i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[pick];
        order[pick] = swap;
    }
}
