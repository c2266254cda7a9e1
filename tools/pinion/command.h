/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs of the command and the one table of options that drives parsing, help, the man page and completion.
 */
#ifndef PINION_TOOL_COMMAND_H
#define PINION_TOOL_COMMAND_H

#include <pinion/pinion.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes: the contract with scripts. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INPUT = 3, EXIT_MEMORY = 4, EXIT_INTERRUPTED = 130 };

/* A list has one number a stage; the last holds for all further ones. */
typedef struct number_list {
    double at[PINION_MAX_STAGES];
    int count;
} number_list;

/* Values of all options; which were given stands in `given`, a bit a row of the option table. */
typedef struct options {
    const char *model, *data, *weights, *out, *resume, *log, *freeze, *val_split, *augment;
    const char *processors, *place, *trace, *plan_out;
    int classes, batch, threads, reps;
    int groups, connect, width, static_width, stage; /* 0: none given */
    double deadline_ms, margin;
    int64_t steps, save_every;
    size_t mem_limit; /* 0: none; MEMORY_AUTO */
    uint64_t seed;
    number_list epochs, lr;
    double momentum, weight_decay, clip_norm, label_smoothing, distillation_weight;
    int optimizer, schedule, pass, patience;
    bool json, man, completion, candidates, no_fuse, timeline, replan;
    bool incremental, joint, finetune_joint;
    uint64_t given;
    char **inputs; /* arguments that are not options */
    int input_count;
} options;

enum option_type {
    OPTION_STRING,
    OPTION_INT,
    OPTION_INT64,
    OPTION_SEED,
    OPTION_FLOAT,
    OPTION_INT_LIST, /* "10,8,8" */
    OPTION_FLOAT_LIST,
    OPTION_SIZE, /* bytes: "1000", "200M", "none" (0) or "auto" (MEMORY_AUTO) */
    OPTION_FLAG,
    OPTION_CHOICE
};

/* No limit, but memory is saved where that is cheap. */
#define MEMORY_AUTO SIZE_MAX

/* What --mem-limit means for a plan. */
size_t memory_limit(const options *given);
float recompute_share(const options *given);

enum verb_bit {
    VERB_DEVICES = 1,
    VERB_TRAIN = 2,
    VERB_EVAL = 4,
    VERB_PREDICT = 8,
    VERB_PLAN = 16,
    VERB_BENCH = 32,
    VERB_INSPECT = 64,
    VERB_VERSION = 128,
    VERB_HELP = 256,
    VERB_PROFILE = 512
};

typedef struct option {
    const char *name;     /* "--batch" */
    const char *argument; /* "N"; for choices the words separated by '|'; NULL for flags */
    unsigned verbs;       /* enum verb_bit of the verbs that take it */
    enum option_type type;
    size_t offset; /* in struct options */
    double min, max;
    const char *help; /* one sentence, with the default */
} option;

extern const option option_table[];
extern const int option_count;

typedef struct verb {
    const char *name;
    enum verb_bit bit;
    const char *summary;  /* a line */
    const char *operands; /* "INPUT..." or "" */
    const char *text;     /* paragraphs for help VERB and the man page */
    const char *required; /* options that must be given, space-separated; NULL: none */
    int (*run)(const options *given);
} verb;

extern const verb verb_table[];
extern const int verb_count;

const verb *find_verb(const char *name);

/* Fills defaults, then parses argv[0..argc) for a verb. Returns EXIT_DONE or EXIT_USAGE after one sentence on standard
 * error. */
int parse_options(const verb *which, int argc, char **argv, options *out);
bool was_given(const options *given, const char *name);
/* The word of a choice option. */
const char *choice_name(const char *option_name, int value, char *buffer, size_t bytes);

/* One file a verb. Each returns an exit code. */
int run_devices(const options *given);
int run_train(const options *given);
int run_eval(const options *given);
int run_predict(const options *given);
int run_plan(const options *given);
int run_profile(const options *given);
int run_bench(const options *given);
int run_inspect(const options *given);
int run_version(const options *given);
int run_help(const options *given);

/* Prints "pinion: SENTENCE" and returns EXIT_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the context's sentence and returns the exit code of a library code. */
int report(const pinion_context *ctx, int code);

/* A context with warnings on standard error; prints and returns an exit code on failure. */
int open_context(const options *given, pinion_context **out);

/* A bar on a terminal, plain lines elsewhere: how far measuring is. Its `step` is what plan and training options call.
 */
typedef struct measuring {
    bool terminal;
    int columns;    /* what the bar on the line takes */
    double last_ms; /* when something was last shown; 0: nothing yet */
} measuring;

void measuring_begin(measuring *state);
void measuring_step(void *user, int done, int count);
void measuring_end(measuring *state);

/* What the options say of a plan; `shown` (NULL: nobody) hears of measuring. */
pinion_plan_options choose_plan(const options *given, measuring *shown);

/* What the options say of a network. */
pinion_network_options choose_network(const options *given);
/* A model of the zoo, a description's path, or the description itself. */
int open_model(pinion_context *ctx, const char *model, const pinion_network_options *chosen, pinion_network **out);
/* The network of a weights file with its weights loaded. */
int open_weights(pinion_context *ctx, const char *path, const char *model, pinion_weights_file **file,
                 pinion_network **out);

#endif
