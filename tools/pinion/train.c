/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion train: from options, or from a checkpoint, to a trained network.
 */
#include "json.h"
#include "progress.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stop_wanted;

static void want_stop(int signal_number)
{
    (void)signal_number;
    stop_wanted = 1;
}

static int asks_to_stop(void *user)
{
    (void)user;
    return stop_wanted;
}

/* Everything a training holds; released in one place. */
typedef struct job {
    const options *given;
    pinion_context *ctx;
    pinion_checkpoint *checkpoint;
    pinion_network *network;
    pinion_dataset *dataset;
    pinion_trainer *trainer;
    const char *model, *data;
    pinion_train_options chosen;
    char *out;
    int64_t *held_back;
    progress shown;
    measuring measured;
} job;

static int check_usage(const options *given)
{
    if (given->resume) {
        static const char *const fixed[] = {"--model",    "--classes",    "--weights",
                                            "--patience", "--processors", "--place"};
        for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
            if (was_given(given, fixed[i]))
                return usage_error("train: %s cannot be given with --resume: the checkpoint says it", fixed[i]);
        return EXIT_DONE;
    }
    if (!given->model)
        return usage_error("train: --model is missing (see: pinion help train)");
    if (!given->data)
        return usage_error("train: --data is missing (see: pinion help train)");
    return EXIT_DONE;
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

/* Copies what was given on the command line over the defaults, or over what the checkpoint says. */
static int apply_options(job *work)
{
    const options *given = work->given;
    pinion_train_options *chosen = &work->chosen;
    if (was_given(given, "--batch"))
        chosen->batch = given->batch;
    if (was_given(given, "--epochs"))
        chosen->epochs = given->epochs;
    if (was_given(given, "--steps"))
        chosen->steps = given->steps;
    if (was_given(given, "--optimizer"))
        chosen->optimizer = (enum pinion_optimizer)given->optimizer;
    if (was_given(given, "--lr"))
        chosen->learning_rate = (float)given->lr;
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

/* --out, else the name that was resumed, else pinion-MODEL.safetensors with the model's name or its file's. */
static int choose_out(job *work)
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

/* The data set in the network's size where it can be chosen, then the network in the data set's. */
static int open_data_and_network(job *work, pinion_shape input, int classes)
{
    pinion_network *described = NULL;
    int status = open_model(work->ctx, work->model, input, classes, &described);
    if (status == PINION_OK) {
        pinion_dataset_options chosen = {.image = pinion_network_get_info(described).input};
        status = pinion_dataset_open(work->ctx, work->data, &chosen, &work->dataset);
    }
    pinion_network_destroy(described);
    if (status == PINION_OK) {
        pinion_dataset_info info = pinion_dataset_get_info(work->dataset);
        status = open_model(work->ctx, work->model, info.image, classes ? classes : info.classes, &work->network);
    }
    return status < 0 ? report(work->ctx, status) : EXIT_DONE;
}

static int start_weights(job *work)
{
    int status = pinion_network_init_weights(work->network, work->chosen.seed);
    pinion_weights_file *file = NULL;
    if (status == PINION_OK && work->given->weights)
        status = pinion_weights_open(work->ctx, work->given->weights, &file);
    if (status == PINION_OK && file) {
        pinion_weights_load_options chosen = {.replace_classifier = was_given(work->given, "--classes")};
        status = pinion_weights_load(work->network, file, &chosen);
    }
    pinion_weights_close(file);
    return status < 0 ? report(work->ctx, status) : EXIT_DONE;
}

static int prepare(job *work)
{
    const options *given = work->given;
    pinion_shape input = {0, 0, 0};
    int classes = given->classes;
    int64_t log_bytes = -1, step = 0;
    work->model = given->model;
    work->data = given->data;
    work->chosen = pinion_train_options_default();
    if (given->resume) {
        int status = pinion_checkpoint_open(work->ctx, given->resume, &work->checkpoint);
        if (status < 0)
            return report(work->ctx, status);
        const pinion_checkpoint_info *info = pinion_checkpoint_get_info(work->checkpoint);
        work->model = info->model;
        work->data = given->data ? given->data : info->data; /* folders move; the trainer compares the contents */
        work->chosen = info->options;
        input = info->input;
        classes = info->classes;
        log_bytes = info->log_bytes;
        step = info->step;
    }
    /* What a checkpoint's training runs with is settled: there is nothing to measure. */
    work->chosen.patience = given->resume ? PINION_PATIENCE_ESTIMATE : (enum pinion_patience)given->patience;
    int code = apply_options(work);
    if (code == EXIT_DONE)
        code = choose_out(work);
    if (code == EXIT_DONE)
        code = open_data_and_network(work, input, classes);
    if (code == EXIT_DONE)
        code = start_weights(work);
    if (code != EXIT_DONE)
        return code;
    measuring_begin(&work->measured);
    int status = pinion_trainer_create(work->network, work->dataset, &work->chosen, &work->trainer);
    measuring_end(&work->measured);
    if (status == PINION_OK && given->resume)
        status = pinion_trainer_resume(work->trainer, given->resume);
    if (status < 0)
        return report(work->ctx, status);
    if (given->log)
        code = progress_open_log(&work->shown, given->log, log_bytes, step);
    pinion_trainer_set_log_bytes(work->trainer, progress_log_bytes, &work->shown);
    return code;
}

static void install_signals(void)
{
    struct sigaction action = {.sa_handler = want_stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a reader of the progress that goes away does not end the training */
}

static int print_json(const job *work, const pinion_train_result *result)
{
    json_t *root = json_pack(
        "{s:o, s:I, s:o, s:o, s:f, s:f, s:f, s:f, s:I, s:I, s:i, s:i}", "weights", json_text(work->out), "steps",
        (json_int_t)result->steps, "top1", json_number(result->top1), "loss", json_number(result->loss), "images_per_s",
        result->images_per_s, "step_ms", result->step_ms, "wait_share", result->wait_share, "seconds", result->seconds,
        "arena_bytes", (json_int_t)result->arena_bytes, "total_bytes", (json_int_t)result->total_bytes, "recomputed",
        result->recomputed, "micro_batches", result->micro_batches);
    if (root && isfinite(result->best_top1))
        json_object_set_new(root, "best_validation_top1", json_real(result->best_top1));
    return print_json_line(root);
}

static void print_result(const job *work, const pinion_train_result *result)
{
    char top1[32] = "unavailable (no test part)";
    if (isfinite(result->top1))
        snprintf(top1, sizeof top1, "%.2f %%", result->top1);
    printf("top1      %s\n", top1);
    if (isfinite(result->best_top1))
        printf("best      %.2f %% on the samples held back\n", result->best_top1);
    printf("loss      %.4f\n", result->loss);
    printf("speed     %.1f images/s, %.1f ms a step, %.2f %% of it waiting for data\n", result->images_per_s,
           result->step_ms, 100 * result->wait_share);
    printf("memory    %.1f MiB arena, %.1f MiB in all\n", (double)result->arena_bytes / 1048576,
           (double)result->total_bytes / 1048576);
    printf("weights   %s\n", work->out);
}

static bool has_batchnorm(const pinion_network *network)
{
    pinion_layer_info layer;
    for (pinion_layer i = 0; pinion_network_get_layer(network, i, &layer) == PINION_OK; i++)
        if (strcmp(layer.op, "batchnorm") == 0)
            return true;
    return false;
}

/* What the memory limit led to, where that is more than the user asked for. */
static void say_plan(const job *work)
{
    pinion_plan_info plan = pinion_trainer_get_plan(work->trainer);
    if (plan.recomputed)
        fprintf(stderr, "pinion: --mem-limit: %d tasks of a step compute an activation once more\n", plan.recomputed);
    if (plan.micro_batches > 1)
        fprintf(stderr, "pinion: --mem-limit: the batch of %d is cut into %d micro-batches of %d%s\n",
                work->chosen.batch, plan.micro_batches, work->chosen.batch / plan.micro_batches,
                has_batchnorm(work->network) ? "; batch norm's statistics are those of a micro-batch" : "");
}

static int train(job *work)
{
    pinion_train_callbacks callbacks = {.step = progress_step,
                                        .epoch = progress_epoch,
                                        .changed = progress_changed,
                                        .stop = asks_to_stop,
                                        .user = &work->shown};
    pinion_train_result result;
    install_signals();
    say_plan(work);
    int status = pinion_trainer_run(work->trainer, &callbacks, &result);
    int code = progress_end(&work->shown);
    if (status == PINION_EINTERRUPTED) {
        fprintf(stderr, "pinion: interrupted; continue with: pinion train --resume %s\n", work->out);
        return EXIT_INTERRUPTED;
    }
    if (status < 0)
        return report(work->ctx, status);
    if (!work->given->json)
        print_result(work, &result);
    else if (print_json(work, &result) != EXIT_DONE)
        code = EXIT_FAILED;
    return code;
}

int run_train(const options *given)
{
    job work = {.given = given};
    int code = check_usage(given);
    if (code != EXIT_DONE)
        return code;
    code = open_context(given, &work.ctx);
    if (code != EXIT_DONE)
        return code;
    progress_begin(&work.shown);
    code = prepare(&work);
    if (code == EXIT_DONE)
        code = train(&work);
    else
        progress_end(&work.shown);
    pinion_trainer_destroy(work.trainer);
    pinion_dataset_destroy(work.dataset);
    pinion_network_destroy(work.network);
    pinion_checkpoint_close(work.checkpoint);
    pinion_context_destroy(work.ctx);
    free(work.out);
    free(work.held_back);
    return code;
}
