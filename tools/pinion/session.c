/* SPDX-License-Identifier: Apache-2.0
 *
 * What every verb begins and ends with: a context whose warnings go to standard error, and the exit code of a library
 * code.
 */
#include "command.h"

#include <stdlib.h>

int report(const pinion_context *ctx, int code)
{
    fprintf(stderr, "pinion: %s\n", pinion_context_error(ctx));
    switch (code) {
    case PINION_EINVAL:
        return EXIT_USAGE;
    case PINION_EFORMAT:
        return EXIT_INPUT;
    case PINION_ENOMEM:
        return EXIT_MEMORY;
    case PINION_EINTERRUPTED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

static void log_line(void *user, enum pinion_log_level level, const char *text)
{
    (void)user;
    const char *debug = getenv("PINION_DEBUG");
    if (level == PINION_LOG_WARNING)
        fprintf(stderr, "pinion: warning: %s\n", text);
    else if (level == PINION_LOG_INFO || (debug && *debug))
        fprintf(stderr, "pinion: %s\n", text);
}

int open_context(const options *given, pinion_context **out)
{
    pinion_context_options chosen = pinion_context_options_default();
    chosen.threads = given->threads;
    chosen.log = log_line;
    int code = pinion_context_create(&chosen, out);
    if (code == PINION_EINVAL)
        return EXIT_USAGE; /* the warning was logged */
    if (code < 0) {
        fprintf(stderr, "pinion: %s\n", pinion_error_text(code));
        return EXIT_MEMORY;
    }
    return EXIT_DONE;
}

int run_version(const options *given)
{
    (void)given;
    printf("pinion %s\n", pinion_version());
    return EXIT_DONE;
}
