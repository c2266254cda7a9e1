/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion train: from options, or from a checkpoint, to a trained network.
 */
#include "train.h"

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

/* The data set in the network's size where it can be chosen, then the network in the data set's. */
static int open_data_and_network(job *work, pinion_shape input, int classes)
{
    pinion_network *described = NULL;
    pinion_network_options wanted = {.input = input, .classes = classes};
    int status = open_model(work->ctx, work->model, &wanted, &described);
    if (status == PINION_OK) {
        pinion_dataset_options chosen = {.image = pinion_network_get_info(described).input};
        status = pinion_dataset_open(work->ctx, work->data, &chosen, &work->dataset);
    }
    pinion_network_destroy(described);
    if (status == PINION_OK) {
        pinion_dataset_info info = pinion_dataset_get_info(work->dataset);
        wanted = work->network_chosen;
        wanted.input = info.image;
        wanted.classes = classes ? classes : info.classes;
        status = open_model(work->ctx, work->model, &wanted, &work->network);
    }
    return status < 0 ? report(work->ctx, status) : EXIT_DONE;
}

static int start_weights(job *work)
{
    int status = pinion_network_init_weights(work->network, work->chosen.seed);
    if (status == PINION_OK && work->start) {
        pinion_weights_load_options chosen = {.replace_classifier = was_given(work->given, "--classes")};
        status = pinion_weights_load(work->network, work->start, &chosen);
    }
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
    if (given->weights) {
        int status = pinion_weights_open(work->ctx, given->weights, &work->start);
        if (status < 0)
            return report(work->ctx, status);
    }
    /* What a checkpoint's stage runs with is settled; if it is the only one, there is nothing to measure. */
    if (!given->resume)
        work->chosen.patience = (enum pinion_patience)given->patience;
    int code = train_apply_options(work);
    if (code == EXIT_DONE)
        code = train_choose_groups(work);
    if (code == EXIT_DONE)
        code = train_choose_stages(work);
    if (code == EXIT_DONE)
        code = train_choose_out(work);
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
    if (root && result->widths)
        json_object_set_new(root, "top1_per_width", train_widths_json(result->widths, result->top1_per_width));
    if (root && work->chosen.stage_count)
        json_object_set_new(root, "stages", train_stages_json(work));
    if (root && isfinite(result->best_top1))
        json_object_set_new(root, "best_validation_top1", json_real(result->best_top1));
    return print_json_line(root);
}

static void print_result(const job *work, const pinion_train_result *result)
{
    char top1[32] = "unavailable (no test part)";
    if (isfinite(result->top1))
        snprintf(top1, sizeof top1, "%.2f %%", result->top1);
    train_print_stages(work);
    printf("top1      %s\n", top1);
    for (int i = 0; i < result->widths && result->widths > 1; i++)
        printf("width %d   %.2f %%\n", i + 1, result->top1_per_width[i]);
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

static void on_step(void *user, const pinion_step_report *step)
{
    job *work = user;
    progress_step(&work->shown, step);
}

static void on_epoch(void *user, const pinion_epoch_report *epoch)
{
    job *work = user;
    progress_epoch(&work->shown, epoch);
}

static void on_change(void *user, const pinion_change_report *change)
{
    job *work = user;
    progress_changed(&work->shown, change);
}

static void on_stage(void *user, const pinion_stage_report *stage)
{
    job *work = user;
    if (!stage->result) {
        measuring_end(&work->measured);
        progress_stage(&work->shown, stage);
        train_say_stage(stage);
        say_plan(work);
        return;
    }
    work->ended[work->ended_count].report = *stage;
    work->ended[work->ended_count++].result = *stage->result;
    measuring_begin(&work->measured); /* the next stage is planned */
}

static int train(job *work)
{
    pinion_train_callbacks callbacks = {.step = on_step,
                                        .epoch = on_epoch,
                                        .changed = on_change,
                                        .stage = on_stage,
                                        .stop = asks_to_stop,
                                        .user = work};
    pinion_train_result result;
    install_signals();
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
    int code = train_check_usage(given);
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
    pinion_weights_close(work.start);
    pinion_checkpoint_close(work.checkpoint);
    pinion_context_destroy(work.ctx);
    free(work.out);
    free(work.held_back);
    return code;
}
