/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on standard output, shared by the verbs.
 */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    static const char replacement[] = "\xEF\xBF\xBD";
    char *clean = malloc(3 * strlen(text) + 1);
    if (!clean)
        return NULL;
    char *to = clean;
    for (; *text; text++) {
        if ((unsigned char)*text < 0x80)
            *to++ = *text;
        else
            to = stpcpy(to, replacement);
    }
    *to = '\0';
    string = json_string(clean);
    free(clean);
    return string;
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

int print_json_line(json_t *root)
{
    bool written = root && json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
    json_decref(root);
    if (!written) {
        fprintf(stderr, "pinion: the result could not be written as JSON\n");
        return EXIT_FAILED;
    }
    printf("\n");
    return EXIT_DONE;
}
