/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: lines of the input are a verb and its arguments. Whatever they are, parsing ends in values within
 * the table's ranges or in wrong usage.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_ARGUMENTS = 64 };

/* Every number that was accepted is one that the table allows. */
static void check_ranges(const options *parsed)
{
    for (int i = 0; i < option_count; i++) {
        const option *row = &option_table[i];
        if (!(parsed->given & (UINT64_C(1) << i)))
            continue;
        const char *field = (const char *)parsed + row->offset;
        double value = row->min;
        int whole;
        int64_t large;
        if (row->type == OPTION_INT)
            memcpy(&whole, field, sizeof whole), value = whole;
        else if (row->type == OPTION_INT64)
            memcpy(&large, field, sizeof large), value = (double)large;
        else if (row->type == OPTION_FLOAT)
            memcpy(&value, field, sizeof value);
        if (!(value >= row->min && value <= row->max))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';

    char *arguments[MAX_ARGUMENTS];
    int count = 0;
    for (char *line = text; line && count < MAX_ARGUMENTS; count++) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        arguments[count] = line;
        line = end;
    }
    options parsed;
    const verb *which = find_verb(arguments[0]);
    if (which && parse_options(which, count - 1, arguments + 1, &parsed) == EXIT_DONE)
        check_ranges(&parsed);
    free(text);
    return 0;
}
