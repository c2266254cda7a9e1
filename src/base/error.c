/* SPDX-License-Identifier: Apache-2.0
 *
 * Error codes and the record of the last failure of a context.
 */
#include "base/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *pinion_error_text(int code)
{
    switch (code) {
#define PINION_ERROR_CASE(name, value, text)                                                                           \
    case value:                                                                                                        \
        return text;
        PINION_ERRORS(PINION_ERROR_CASE)
#undef PINION_ERROR_CASE
    default:
        return "unknown error";
    }
}

const char *pinion_error_name(int code)
{
    switch (code) {
#define PINION_ERROR_CASE(name, value, text)                                                                           \
    case value:                                                                                                        \
        return "PINION_" #name;
        PINION_ERRORS(PINION_ERROR_CASE)
#undef PINION_ERROR_CASE
    default:
        return "PINION_UNKNOWN";
    }
}

int pinion__fail(pinion_context *ctx, const char *file, int line, int code, const char *format, ...)
{
    char sentence[PINION__SENTENCE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);

    pthread_mutex_lock(&ctx->lock);
    memcpy(ctx->sentence, sentence, sizeof sentence);
    pthread_mutex_unlock(&ctx->lock);
    pinion__log(ctx, PINION_LOG_DEBUG, "%s:%d: %s: %s", file, line, pinion_error_name(code), sentence);
    return code;
}

void pinion__trace(pinion_context *ctx, const char *file, int line, int code)
{
    pinion__log(ctx, PINION_LOG_DEBUG, "  passed on at %s:%d (%s)", file, line, pinion_error_name(code));
}

const char *pinion_context_error(const pinion_context *ctx)
{
    return ctx->sentence;
}
