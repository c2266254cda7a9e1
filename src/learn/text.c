/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact numbers as text. printf's %a would do but for its decimal separator, which follows the program's locale.
 */
#include "learn/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pinion__real_write(double value, char text[PINION__NUMBER_TEXT])
{
    if (!isfinite(value)) {
        snprintf(text, PINION__NUMBER_TEXT, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    int exponent;
    int64_t mantissa = (int64_t)ldexp(frexp(value, &exponent), 53);
    exponent -= 53;
    for (; mantissa && mantissa % 2 == 0; mantissa /= 2)
        exponent++;
    snprintf(text, PINION__NUMBER_TEXT, "%" PRId64 "p%d", mantissa, mantissa ? exponent : 0);
}

/* strtoll without its leniency: no white space, no plus sign. */
static bool read_part(const char *text, int64_t *out, const char **end)
{
    if (!text || !(*text == '-' || (*text >= '0' && *text <= '9')))
        return false;
    char *after;
    errno = 0;
    long long value = strtoll(text, &after, 10);
    *out = value;
    *end = after;
    return errno == 0 && after > text;
}

bool pinion__integer_read(const char *text, int64_t *out)
{
    const char *end;
    return read_part(text, out, &end) && *end == '\0';
}

bool pinion__unsigned_read(const char *text, uint64_t *out)
{
    if (!text || !(*text >= '0' && *text <= '9'))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *out = value;
    return errno == 0 && *end == '\0';
}

bool pinion__real_read(const char *text, double *out)
{
    static const struct {
        const char *text;
        double value;
    } special[] = {{"nan", (double)NAN}, {"inf", (double)INFINITY}, {"-inf", -(double)INFINITY}};
    for (size_t i = 0; text && i < sizeof special / sizeof *special; i++) {
        if (strcmp(text, special[i].text) == 0) {
            *out = special[i].value;
            return true;
        }
    }
    int64_t mantissa, exponent;
    const char *end;
    if (!read_part(text, &mantissa, &end) || *end != 'p' || !pinion__integer_read(end + 1, &exponent))
        return false;
    if (exponent < -2000 || exponent > 2000)
        return false;
    *out = ldexp((double)mantissa, (int)exponent);
    return true;
}
