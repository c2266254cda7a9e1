/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion: one command, a verb a file. This file finds the verb and runs it.
 */
#include "command.h"

#include <string.h>

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
