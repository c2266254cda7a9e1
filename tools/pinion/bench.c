/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion bench: times a step on random data. What the data are does not change the time.
 */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

typedef struct bench {
    pinion_runner *runner;
    float *images, *logits; /* images and labels are the runner's */
    int32_t *labels;
    int batch;
    bool train;
    uint64_t number;
    double begin_ms, start_ms; /* from the command's begin to its first step; 0: there was none yet */
    pinion_timing timing;
    pinion_power *power;
    pinion_power_reading mean; /* of the timed steps */
} bench;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static int step(void *user)
{
    bench *what = user;
    if (what->start_ms == 0)
        what->start_ms = now_ms() - what->begin_ms;
    if (!what->train)
        return pinion_runner_infer(what->runner, what->images, what->batch, what->logits);
    pinion_runner_step_options chosen = {.learning_rate = 1e-3f, .seed = 1, .number = what->number++};
    float loss;
    return pinion_runner_train(what->runner, what->images, what->labels, &chosen, &loss);
}

static void watch(void *user, int done)
{
    bench *what = user;
    if (done == 0)
        pinion_power_begin(what->power);
    else
        pinion_power_sample(what->power);
}

/* Images of uniform noise around zero and labels in turn. */
static void fill(bench *what, size_t elements, int classes)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < elements; i++) {
        state = state * 1664525u + 1013904223u;
        what->images[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
    }
    for (int i = 0; i < what->batch; i++)
        what->labels[i] = i % classes;
}

/* Which sensors are counted belongs to the figure: on most machines they see a part of it. */
static void print_power(const pinion_power_reading *mean)
{
    if (isfinite(mean->watts))
        printf("power     %.2f W on average (%s)\n", mean->watts, mean->sensors);
    else
        printf("power     unavailable (%s)\n", mean->reason);
}

static int print(const options *given, const pinion_context *ctx, const bench *what, const pinion_plan_info *plan)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double peak_bytes = (double)usage.ru_maxrss * 1024, gflops = 2e-6 * (double)plan->macs / what->timing.median_ms;
    if (given->json) {
        json_t *root = json_pack(
            "{s:{s:f, s:f, s:f}, s:f, s:I, s:I, s:i, s:i, s:I, s:o, s:I, s:i, s:s, s:i, s:f, s:f, s:o, s:i}", "step_ms",
            "min", what->timing.min_ms, "median", what->timing.median_ms, "max", what->timing.max_ms, "gflops", gflops,
            "arena_bytes", (json_int_t)plan->arena_bytes, "total_bytes", (json_int_t)plan->total_bytes, "recomputed",
            plan->recomputed, "micro_batches", plan->micro_batches, "peak_bytes", (json_int_t)peak_bytes,
            "predicted_ms", json_number(plan->predicted_ms), "copied_bytes",
            (json_int_t)pinion_runner_get_info(what->runner).copied_bytes, "threads", pinion_context_threads(ctx),
            "isa", pinion_context_isa(ctx), "reps", what->timing.repetitions, "images_per_s",
            1e3 * what->batch / what->timing.median_ms, "start_ms", what->start_ms, "power_w",
            json_number(what->mean.watts), "width", plan->width);
        return print_json_line(root);
    }
    char pass[16], connect[16];
    printf("%s, ", given->model);
    if (plan->width)
        printf("width %d of %d groups (%s), ", plan->width, given->groups,
               choice_name("--connect", given->connect, connect, sizeof connect));
    printf("batch %d, %s, %d threads, %s\n", what->batch, choice_name("--pass", given->pass, pass, sizeof pass),
           pinion_context_threads(ctx), pinion_context_isa(ctx));
    printf("step      min %.2f  median %.2f  max %.2f ms  (%d steps)\n", what->timing.min_ms, what->timing.median_ms,
           what->timing.max_ms, what->timing.repetitions);
    if (isfinite(plan->predicted_ms))
        printf("predicted %.2f ms\n", plan->predicted_ms);
    if (plan->processors > 1)
        printf("placement %s, %d hand-overs, %lld bytes copied a step\n", plan->concurrent ? "concurrent" : "serial",
               plan->hand_overs, (long long)pinion_runner_get_info(what->runner).copied_bytes);
    printf("speed     %.1f images/s, %.1f GFLOP/s\n", 1e3 * what->batch / what->timing.median_ms, gflops);
    print_power(&what->mean);
    printf("memory    arena %.1f MiB, in all %.1f MiB, process at its peak %.1f MiB\n",
           (double)plan->arena_bytes / 1048576, (double)plan->total_bytes / 1048576, peak_bytes / 1048576);
    if (plan->recomputed || plan->micro_batches > 1)
        printf("          %d tasks recompute an activation; %d micro-batch%s\n", plan->recomputed, plan->micro_batches,
               plan->micro_batches == 1 ? "" : "es");
    return EXIT_DONE;
}

static int bench_network(pinion_context *ctx, const options *given, pinion_network *network, double begin_ms)
{
    pinion_network_info info = pinion_network_get_info(network);
    measuring shown;
    measuring_begin(&shown);
    const pinion_plan_options chosen = choose_plan(given, &shown);
    bench what = {.batch = chosen.batch, .train = given->pass == 0, .begin_ms = begin_ms};
    size_t elements = (size_t)what.batch * (size_t)info.input.h * (size_t)info.input.w * (size_t)info.input.c;
    pinion_plan *plan = NULL;
    int status = pinion_network_init_weights(network, 1), code;
    if (status == PINION_OK)
        status = pinion_plan_create(network, &chosen, &plan);
    measuring_end(&shown);
    if (status == PINION_OK)
        status = pinion_runner_create(plan, &what.runner);
    if (status == PINION_OK && given->trace)
        status = pinion_runner_set_trace(what.runner, given->trace);
    if (status == PINION_OK)
        status = pinion_runner_input(what.runner, 0, &what.images, &what.labels);
    if (status == PINION_OK)
        status = pinion_power_create(ctx, NULL, &what.power);
    size_t logits_bytes = (size_t)what.batch * (size_t)info.output.c * sizeof *what.logits;
    if (status == PINION_OK)
        what.logits = malloc(logits_bytes);
    if (status < 0) {
        code = report(ctx, status);
    } else if (!what.logits) {
        fprintf(stderr, "pinion: out of memory: %zu bytes for logits\n", logits_bytes);
        code = EXIT_MEMORY;
    } else {
        fill(&what, elements, info.output.c);
        pinion_measure_options measured = pinion_measure_options_default();
        measured.repetitions = given->reps;
        measured.between = watch;
        measured.between_user = &what;
        status = pinion_measure(ctx, step, &what, &measured, &what.timing);
        code = status < 0 ? report(ctx, status) : EXIT_DONE;
    }
    if (code == EXIT_DONE) {
        what.mean = pinion_power_end(what.power);
        pinion_plan_info plan_info = pinion_plan_get_info(plan);
        code = print(given, ctx, &what, &plan_info);
    }
    free(what.logits);
    pinion_power_destroy(what.power);
    pinion_runner_destroy(what.runner);
    pinion_plan_destroy(plan);
    return code;
}

int run_bench(const options *given)
{
    double begin_ms = now_ms();
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    pinion_network *network = NULL;
    const pinion_network_options wanted = choose_network(given);
    int status = open_model(ctx, given->model, &wanted, &network);
    code = status < 0 ? report(ctx, status) : bench_network(ctx, given, network, begin_ms);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
    return code;
}
