/* SPDX-License-Identifier: Apache-2.0
 *
 * Caches of the host.
 */
#ifndef PINION_BASE_CACHE_H
#define PINION_BASE_CACHE_H

#include <stddef.h>

/* Bytes of the largest cache of a core; 0: the system does not tell. Detected anew at each call. */
size_t pinion__cache_bytes(void);

#endif
