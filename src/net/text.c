/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing text (net/text.h).
 */
#include "net/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pinion__text_add(pinion__text *text, const char *format, ...)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    va_list arguments;
    va_start(arguments, format);
    int needed = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    PINION_FAIL_IF(needed < 0, PINION_EFAILED, "a text could not be formatted");
    size_t bytes = (size_t)needed + 1;
    PINION_TRY(pinion__grow(ctx, &text->bytes, &text->capacity, text->length + bytes, 1, "a text"));
    va_start(arguments, format);
    vsnprintf(text->bytes + text->length, bytes, format, arguments);
    va_end(arguments);
    text->length += (size_t)needed;
fail:
    return status;
}

int pinion__text_add_float(pinion__text *text, float value)
{
    char digits[32];
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    char *comma = strchr(digits, ',');
    if (comma)
        *comma = '.';
    return pinion__text_add(text, "%s", digits);
}

/* Bytes of the well-formed UTF-8 sequence at `text`; 0: there is none. Overlong forms and surrogates are none. */
static size_t utf8_length(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80)
        return 1;
    size_t length = at[0] >= 0xC2 && at[0] <= 0xDF   ? 2
                    : (at[0] & 0xF0) == 0xE0         ? 3
                    : at[0] >= 0xF0 && at[0] <= 0xF4 ? 4
                                                     : 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) || (at[0] == 0xF0 && at[1] < 0x90) ||
        (at[0] == 0xF4 && at[1] > 0x8F))
        return 0;
    return length;
}

/* Bytes at `text` that stand for themselves in a JSON string. */
static size_t plain_length(const char *text)
{
    enum { MOST = 1 << 16 };
    size_t length = 0;
    while (length < MOST && text[length] >= ' ' && text[length] <= '~' && text[length] != '"' && text[length] != '\\')
        length++;
    return length;
}

int pinion__text_add_json(pinion__text *text, const char *string)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    PINION_TRY(pinion__text_add(text, "\""));
    while (*string) {
        size_t length = plain_length(string);
        if (length == 0)
            length = utf8_length(string);
        if (length == 0)
            PINION_TRY(pinion__text_add(text, "\\ufffd"));
        else if (*string == '"' || *string == '\\')
            PINION_TRY(pinion__text_add(text, "\\%c", *string));
        else if ((unsigned char)*string < ' ')
            PINION_TRY(pinion__text_add(text, "\\u%04x", (unsigned)(unsigned char)*string));
        else
            PINION_TRY(pinion__text_add(text, "%.*s", (int)length, string));
        string += length ? length : 1;
    }
    PINION_TRY(pinion__text_add(text, "\""));
fail:
    return status;
}

pinion__quoted pinion__quote(const char *text)
{
    enum { SHOWN = 80 };
    pinion__quoted quoted;
    size_t length = strlen(text), shown = length > SHOWN ? SHOWN : length, at = 0;
    quoted.text[at++] = '\'';
    for (size_t i = 0; i < shown; i++)
        quoted.text[at++] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
    memcpy(quoted.text + at, "...'", 5);
    if (shown == length)
        memcpy(quoted.text + at, "'", 2);
    return quoted;
}

bool pinion__ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

/* A whole number at *text, moved past it; -1: none in 1 to INT32_MAX. */
static int read_extent(const char **text)
{
    long long value = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9' && value <= INT32_MAX; at++)
        value = value * 10 + (*at - '0');
    *text = at;
    return value >= 1 && value <= INT32_MAX ? (int)value : -1;
}

bool pinion__shape_read(const char *text, pinion_shape *out)
{
    int sizes[3];
    for (int i = 0; i < 3; i++) {
        sizes[i] = read_extent(&text);
        if (sizes[i] < 0 || *text != (i < 2 ? 'x' : '\0'))
            return false;
        text += i < 2;
    }
    *out = (pinion_shape){sizes[0], sizes[1], sizes[2]};
    return true;
}
