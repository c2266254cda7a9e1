/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing text, strings of unknown origin made fit for an error sentence, and what is read from short texts.
 */
#ifndef PINION_NET_TEXT_H
#define PINION_NET_TEXT_H

#include "base/context.h"
#include <pinion/shape.h>

typedef struct pinion__text {
    pinion_context *ctx;
    char *bytes; /* NUL-terminated once something was added; release with pinion__release */
    size_t length, capacity;
} pinion__text;

int pinion__text_add(pinion__text *text, const char *format, ...) PINION__PRINTF(2, 3);

/* The shortest decimal that reads back as the same float, with a point in every locale. */
int pinion__text_add_float(pinion__text *text, float value);

/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
int pinion__text_add_json(pinion__text *text, const char *string);

/* `text` in single quotes, control characters as '?', cut after 80 bytes. */
typedef struct pinion__quoted {
    char text[96];
} pinion__quoted;

pinion__quoted pinion__quote(const char *text);

bool pinion__ends_with(const char *text, const char *ending);

/* Reads "HxWxC", each 1 to INT32_MAX in digits and nothing else; false: it is not that. */
bool pinion__shape_read(const char *text, pinion_shape *out);

#endif
