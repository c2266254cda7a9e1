/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4), for checksums of files.
 */
#ifndef PINION_NET_SHA256_H
#define PINION_NET_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct pinion__sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    unsigned char block[64];
} pinion__sha256;

void pinion__sha256_init(pinion__sha256 *sha);
void pinion__sha256_add(pinion__sha256 *sha, const void *data, size_t bytes);

/* The digest in lower-case hexadecimal digits. Ends the computation. */
void pinion__sha256_hex(pinion__sha256 *sha, char hex[65]);

#endif
