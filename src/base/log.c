/* SPDX-License-Identifier: Apache-2.0
 *
 * One line at a time to the context's logger. Without a logger nothing is formatted.
 */
#include "base/context.h"

#include <stdarg.h>
#include <stdio.h>

void pinion__log(pinion_context *ctx, enum pinion_log_level level, const char *format, ...)
{
    if (!ctx->options.log)
        return;
    char text[PINION__SENTENCE_MAX + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ctx->options.log(ctx->options.log_user, level, text);
}
