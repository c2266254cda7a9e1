/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on standard output, shared by the verbs.
 */
#ifndef PINION_TOOL_JSON_H
#define PINION_TOOL_JSON_H

#include "command.h"

#include <jansson.h>

/* A string; bytes that are not UTF-8 (a path may hold them) become U+FFFD, so that no entry gets lost. */
json_t *json_text(const char *text);
/* A number, or null where it is not finite. */
json_t *json_number(double value);
/* Writes one line and releases root. EXIT_FAILED with a sentence when root is NULL. */
int print_json_line(json_t *root);

#endif
