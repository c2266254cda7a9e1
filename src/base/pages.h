/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages: memory that is given back to the system while its addresses stay. What lay there is lost; the next use finds
 * zeros, or what was there when the system did not take it.
 */
#ifndef PINION_BASE_PAGES_H
#define PINION_BASE_PAGES_H

#include <stddef.h>

/* What begins at a multiple of this many bytes shares no page with what lies before. */
enum { PINION__PAGE = 4096 };

/* Gives back the pages that lie wholly within these bytes. Returns how many bytes of them were in memory; 0 where the
 * system keeps them. */
size_t pinion__pages_give_back(void *begin, size_t bytes);

/* How many bytes of the pages that lie wholly within these bytes are in memory. */
size_t pinion__pages_resident(const void *begin, size_t bytes);

#endif
