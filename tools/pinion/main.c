/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion: one command, a verb a file. This file finds the verb and turns library codes into exit codes.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

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
    else if (debug && *debug)
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

/* Output that cannot be written (a full disk, a closed pipe) is a failure. */
static int close_output(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "pinion: standard output cannot be written\n");
        return code == EXIT_DONE ? EXIT_FAILED : code;
    }
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        run_help(&(options){0});
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    const verb *which = find_verb(name);
    if (!which)
        return usage_error("'%s' is not a verb (see: pinion help)", name);
    if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        char *inputs[] = {argv[1]};
        return close_output(run_help(&(options){.inputs = inputs, .input_count = 1}));
    }
    options given;
    int code = parse_options(which, argc - 2, argv + 2, &given);
    return code == EXIT_DONE ? close_output(which->run(&given)) : code;
}
