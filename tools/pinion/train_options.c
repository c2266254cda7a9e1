/* SPDX-License-Identifier: Apache-2.0
 *
 * From the command line's options to the library's.
 */
#include "train.h"

#include <stdlib.h>
#include <string.h>

int train_check_usage(const options *given)
{
    if (given->resume) {
        static const char *const fixed[] = {"--model", "--classes", "--weights",       "--patience", "--processors",
                                            "--place", "--groups",  "--connect",       "--static",   "--incremental",
                                            "--joint", "--stage",   "--finetune-joint"};
        for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
            if (was_given(given, fixed[i]))
                return usage_error("train: %s cannot be given with --resume: the checkpoint says it", fixed[i]);
        return EXIT_DONE;
    }
    if (!given->model)
        return usage_error("train: --model is missing (see: pinion help train)");
    if (!given->data)
        return usage_error("train: --data is missing (see: pinion help train)");
    return train_check_stages(given);
}

static int parse_augment(const char *list, int *out)
{
    *out = PINION_AUGMENT_NONE;
    if (strcmp(list, "none") == 0)
        return EXIT_DONE;
    for (const char *word = list; *word;) {
        size_t length = strcspn(word, ",");
        if (length == 4 && memcmp(word, "crop", 4) == 0)
            *out |= PINION_AUGMENT_CROP;
        else if (length == 4 && memcmp(word, "flip", 4) == 0)
            *out |= PINION_AUGMENT_FLIP;
        else
            return usage_error("--augment: '%.*s' is unknown: expected crop, flip, crop,flip or none", (int)length,
                               word);
        word += length + (word[length] == ',');
    }
    return EXIT_DONE;
}

/* --val-split: a number, or a file with one index a line. */
static int parse_split(job *work, const char *text)
{
    char *end;
    long long count = strtoll(text, &end, 10);
    if (end != text && !*end) {
        if (count < 1)
            return usage_error("--val-split: %s is out of range: expected at least 1", text);
        work->chosen.validation = count;
        work->chosen.validation_indices = NULL; /* a checkpoint's list may be of another length */
        return EXIT_DONE;
    }
    FILE *file = fopen(text, "r");
    if (!file) {
        fprintf(stderr, "pinion: --val-split: '%s' is neither a number nor a file that can be opened\n", text);
        return EXIT_INPUT;
    }
    int code = EXIT_DONE;
    size_t used = 0, capacity = 0;
    long long index;
    int got;
    while (code == EXIT_DONE && (got = fscanf(file, "%lld", &index)) != EOF) {
        if (got != 1 || index < 0) {
            fprintf(stderr, "pinion: %s: line %zu is not the index of a sample\n", text, used + 1);
            code = EXIT_INPUT;
        } else if (used == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            int64_t *larger = realloc(work->held_back, capacity * sizeof *larger);
            if (!larger) {
                fprintf(stderr, "pinion: out of memory: %zu indices of %s\n", capacity, text);
                code = EXIT_MEMORY;
            } else {
                work->held_back = larger;
            }
        }
        if (code == EXIT_DONE)
            work->held_back[used++] = index;
    }
    fclose(file);
    if (code == EXIT_DONE && used == 0) {
        fprintf(stderr, "pinion: %s: holds no index: expected one a line\n", text);
        code = EXIT_INPUT;
    }
    work->chosen.validation = (int64_t)used;
    work->chosen.validation_indices = work->held_back;
    return code;
}

int train_apply_options(job *work)
{
    const options *given = work->given;
    pinion_train_options *chosen = &work->chosen;
    if (was_given(given, "--batch"))
        chosen->batch = given->batch;
    if (was_given(given, "--steps"))
        chosen->steps = given->steps;
    if (was_given(given, "--optimizer"))
        chosen->optimizer = (enum pinion_optimizer)given->optimizer;
    if (was_given(given, "--momentum"))
        chosen->momentum = (float)given->momentum;
    if (was_given(given, "--weight-decay"))
        chosen->weight_decay = (float)given->weight_decay;
    if (was_given(given, "--schedule"))
        chosen->schedule = (enum pinion_schedule)given->schedule;
    if (was_given(given, "--clip-norm"))
        chosen->clip_norm = (float)given->clip_norm;
    if (was_given(given, "--label-smoothing"))
        chosen->label_smoothing = (float)given->label_smoothing;
    if (was_given(given, "--distillation-weight"))
        chosen->distillation_weight = (float)given->distillation_weight;
    if (was_given(given, "--freeze"))
        chosen->freeze = given->freeze;
    if (was_given(given, "--seed"))
        chosen->seed = given->seed;
    if (was_given(given, "--no-fuse"))
        chosen->unfused = given->no_fuse;
    if (was_given(given, "--mem-limit") || !given->resume) {
        chosen->memory_limit = memory_limit(given);
        chosen->recompute_share = recompute_share(given);
    }
    if (was_given(given, "--processors"))
        chosen->processors = given->processors;
    if (was_given(given, "--place"))
        chosen->place = given->place;
    chosen->replan = given->replan;
    chosen->trace = given->trace;
    chosen->measuring = measuring_step;
    chosen->measuring_user = &work->measured;
    if (was_given(given, "--save-every"))
        chosen->save_every = given->save_every;
    int code = given->augment ? parse_augment(given->augment, &chosen->augment) : EXIT_DONE;
    if (code == EXIT_DONE && given->val_split)
        code = parse_split(work, given->val_split);
    return code;
}

static const char weights_suffix[] = ".safetensors", state_suffix[] = ".state.safetensors";

static bool ends_in(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length > tail && strcmp(text + length - tail, suffix) == 0;
}

int train_choose_out(job *work)
{
    const options *given = work->given;
    int length = -1;
    if (given->out) {
        if (!ends_in(given->out, weights_suffix))
            return usage_error("--out: '%s' does not end in %s", given->out, weights_suffix);
        if (ends_in(given->out, state_suffix))
            return usage_error("--out: '%s' ends in %s, which is kept for checkpoints", given->out, state_suffix);
        length = asprintf(&work->out, "%s", given->out);
    } else if (given->resume) {
        const char *suffix = ends_in(given->resume, state_suffix) ? state_suffix : weights_suffix;
        size_t tail = ends_in(given->resume, suffix) ? strlen(suffix) : 0;
        length = asprintf(&work->out, "%.*s%s", (int)(strlen(given->resume) - tail), given->resume, weights_suffix);
    } else {
        const char *slash = strrchr(given->model, '/');
        const char *base = slash ? slash + 1 : given->model;
        size_t tail = ends_in(base, ".json") ? 5 : 0;
        length = asprintf(&work->out, "pinion-%.*s%s", (int)(strlen(base) - tail), base, weights_suffix);
    }
    if (length < 0)
        work->out = NULL; /* which a failing asprintf leaves undefined */
    work->chosen.out = work->out;
    return work->out ? EXIT_DONE : EXIT_MEMORY;
}
