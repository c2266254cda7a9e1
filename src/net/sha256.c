/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (net/sha256.h), written from FIPS 180-4.
 */
#include "net/sha256.h"
#include <string.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int bits)
{
    return x >> bits | x << (32 - bits);
}

/* One round. Instead of moving all variables by one, only the two that change are written; the caller turns the names.
 */
static inline void step(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t *d, const uint32_t *e,
                        const uint32_t *f, const uint32_t *g, uint32_t *h, uint32_t addend)
{
    uint32_t s1 = rotate(*e, 6) ^ rotate(*e, 11) ^ rotate(*e, 25);
    uint32_t t1 = *h + s1 + ((*e & *f) ^ (~*e & *g)) + addend;
    uint32_t s0 = rotate(*a, 2) ^ rotate(*a, 13) ^ rotate(*a, 22);
    *d += t1;
    *h = t1 + s0 + ((*a & *b) ^ (*a & *c) ^ (*b & *c));
}

static void process(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t v[8];
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i += 8) /* after eight rounds every variable is in its place again */
        for (int j = 0; j < 8; j++)
            step(&v[(8 - j) & 7], &v[(9 - j) & 7], &v[(10 - j) & 7], &v[(11 - j) & 7], &v[(12 - j) & 7],
                 &v[(13 - j) & 7], &v[(14 - j) & 7], &v[(15 - j) & 7], constants[i + j] + w[i + j]);
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

void pinion__sha256_init(pinion__sha256 *sha)
{
    *sha = (pinion__sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void pinion__sha256_add(pinion__sha256 *sha, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    size_t held = sha->length % 64;
    sha->length += bytes;
    if (held > 0) {
        size_t taken = bytes < 64 - held ? bytes : 64 - held;
        memcpy(sha->block + held, at, taken);
        if (held + taken < 64)
            return;
        process(sha->state, sha->block);
        at += taken;
        bytes -= taken;
    }
    for (; bytes >= 64; bytes -= 64, at += 64)
        process(sha->state, at);
    if (bytes > 0)
        memcpy(sha->block, at, bytes);
}

void pinion__sha256_hex(pinion__sha256 *sha, char hex[65])
{
    static const unsigned char padding[64] = {0x80};
    uint64_t bits = sha->length * 8;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    pinion__sha256_add(sha, padding, 1 + (119 - sha->length % 64) % 64);
    pinion__sha256_add(sha, length, 8);
    for (int i = 0; i < 64; i++)
        hex[i] = "0123456789abcdef"[sha->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    hex[64] = '\0';
}
