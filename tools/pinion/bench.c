/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion bench: times a step on random data. The warm-up runs until caches, pages and clocks have settled (at
 * least two steps and 0.3 s); the figures are the minimum, median and maximum of the repetitions.
 */
#include "command.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MIN_REPS = 5, MAX_REPS = 1000 };

typedef struct bench {
    pinion_runner *runner;
    float *images, *logits;
    int32_t *labels;
    int batch;
    bool train;
    uint64_t number;
    double min, median, max;
    int reps;
} bench;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int step(bench *what)
{
    if (!what->train)
        return pinion_runner_infer(what->runner, what->images, what->batch, what->logits);
    pinion_runner_step_options chosen = {.learning_rate = 1e-3f, .seed = 1, .number = what->number++};
    float loss;
    return pinion_runner_train(what->runner, what->images, what->labels, &chosen, &loss);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(bench *what, int reps)
{
    double begin = now_ms(), last = 0;
    for (int warm = 0; warm < 2 || now_ms() - begin < 300; warm++) {
        double start = now_ms();
        int status = step(what);
        if (status < 0)
            return status;
        last = now_ms() - start;
    }
    if (reps == 0)
        reps = last > 0 && 3000 / last > MIN_REPS ? (int)(3000 / last) : MIN_REPS;
    if (reps > MAX_REPS)
        reps = MAX_REPS;
    double samples[MAX_REPS];
    for (int i = 0; i < reps; i++) {
        double start = now_ms();
        int status = step(what);
        if (status < 0)
            return status;
        samples[i] = now_ms() - start;
    }
    qsort(samples, (size_t)reps, sizeof *samples, ascending);
    what->min = samples[0];
    what->max = samples[reps - 1];
    what->median = reps % 2 ? samples[reps / 2] : 0.5 * (samples[reps / 2 - 1] + samples[reps / 2]);
    what->reps = reps;
    return PINION_OK;
}

/* Images of uniform noise around zero and labels in turn: what they are does not change the time. */
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

static void print(const options *given, const pinion_context *ctx, const bench *what, const pinion_plan_info *plan)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double peak_bytes = (double)usage.ru_maxrss * 1024, gflops = 2e-6 * (double)plan->macs / what->median;
    if (given->json) {
        json_t *root =
            json_pack("{s:{s:f, s:f, s:f}, s:f, s:I, s:I, s:n, s:i, s:i, s:s, s:i, s:f}", "step_ms", "min", what->min,
                      "median", what->median, "max", what->max, "gflops", gflops, "arena_bytes",
                      (json_int_t)plan->arena_bytes, "peak_bytes", (json_int_t)peak_bytes, "predicted_ms",
                      "copied_bytes", 0, "threads", pinion_context_threads(ctx), "isa", pinion_context_isa(ctx), "reps",
                      what->reps, "images_per_s", 1e3 * what->batch / what->median);
        json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        printf("\n");
        json_decref(root);
        return;
    }
    char pass[16];
    printf("%s, batch %d, %s, %d threads, %s\n", given->model, what->batch,
           choice_name("--pass", given->pass, pass, sizeof pass), pinion_context_threads(ctx), pinion_context_isa(ctx));
    printf("step      min %.2f  median %.2f  max %.2f ms  (%d steps)\n", what->min, what->median, what->max,
           what->reps);
    printf("speed     %.1f images/s, %.1f GFLOP/s\n", 1e3 * what->batch / what->median, gflops);
    printf("memory    arena %.1f MiB, process at its peak %.1f MiB\n", (double)plan->arena_bytes / 1048576,
           peak_bytes / 1048576);
}

static int bench_network(pinion_context *ctx, const options *given, pinion_network *network)
{
    pinion_network_info info = pinion_network_get_info(network);
    pinion_plan_options chosen = pinion_plan_options_default();
    bench what = {.batch = given->batch ? given->batch : 32, .train = given->pass == 0};
    chosen.mode = what.train ? PINION_TRAIN : PINION_INFER;
    chosen.batch = what.batch;
    size_t elements = (size_t)what.batch * (size_t)info.input.h * (size_t)info.input.w * (size_t)info.input.c;
    pinion_plan *plan = NULL;
    int status = pinion_network_init_weights(network, 1), code;
    if (status == PINION_OK)
        status = pinion_plan_create(network, &chosen, &plan);
    if (status == PINION_OK)
        status = pinion_runner_create(plan, &what.runner);
    if (status == PINION_OK) {
        what.images = malloc(elements * sizeof *what.images);
        what.labels = malloc((size_t)what.batch * sizeof *what.labels);
        what.logits = malloc((size_t)what.batch * (size_t)info.output.c * sizeof *what.logits);
    }
    if (status < 0) {
        code = report(ctx, status);
    } else if (!what.images || !what.labels || !what.logits) {
        fprintf(stderr, "pinion: out of memory: %zu bytes for a batch\n", elements * sizeof *what.images);
        code = EXIT_MEMORY;
    } else {
        fill(&what, elements, info.output.c);
        status = measure(&what, given->reps);
        code = status < 0 ? report(ctx, status) : EXIT_DONE;
    }
    if (code == EXIT_DONE) {
        pinion_plan_info plan_info = pinion_plan_get_info(plan);
        print(given, ctx, &what, &plan_info);
    }
    free(what.images);
    free(what.labels);
    free(what.logits);
    pinion_runner_destroy(what.runner);
    pinion_plan_destroy(plan);
    return code;
}

int run_bench(const options *given)
{
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    pinion_network *network = NULL;
    int status = open_model(ctx, given->model, (pinion_shape){0, 0, 0}, given->classes, &network);
    code = status < 0 ? report(ctx, status) : bench_network(ctx, given, network);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
    return code;
}
