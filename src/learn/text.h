/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as text in a checkpoint's metadata: exact, and the same in every locale. A real number is written as an
 * integer times a power of two, "13421773p-27"; "nan", "inf" and "-inf" stand for themselves.
 */
#ifndef PINION_LEARN_TEXT_H
#define PINION_LEARN_TEXT_H

#include <stdbool.h>
#include <stdint.h>

enum { PINION__NUMBER_TEXT = 48 };

void pinion__real_write(double value, char text[PINION__NUMBER_TEXT]);

/* False: text is NULL or not such a number. */
bool pinion__real_read(const char *text, double *out);
bool pinion__integer_read(const char *text, int64_t *out);
bool pinion__unsigned_read(const char *text, uint64_t *out);

#endif
