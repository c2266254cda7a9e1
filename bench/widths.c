/* SPDX-License-Identifier: Apache-2.0
 *
 * What the widths of a dynamic network cost, beside the networks that it stands in for: inference at each width, the
 * ungrouped network, and four networks of their own with the multiply-adds of a width each; switching, memory, release
 * and restore; and training steps of the first stage and of all groups. What is compared is timed in turns. Weights are
 * initial values, written to FILE, so that groups can be released and read again.
 *
 *     widths MODEL GROUPS towers|nested THREADS FILE [ROUNDS]
 */
#include <inttypes.h>
#include <malloc.h>
#include <pinion/pinion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 1000, MAX_SIDES = 2 * PINION_MAX_GROUPS + 1, TRAIN_BATCH = 64 };

/* A network with a runner, and what it is asked for. */
typedef struct side {
    pinion_network *network;
    pinion_plan *plan;
    pinion_runner *runner;
    int width; /* of a dynamic network; else 0 */
} side;

typedef struct bench {
    pinion_context *ctx;
    const char *model, *file;
    pinion_network_options cut;
    int rounds;
    float *images, *logits;
    int32_t *labels;
} bench;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, int count)
{
    qsort(times, (size_t)count, sizeof *times, compare);
    return times[count / 2];
}

/* Resident memory of the process, bytes, without what the C library keeps free for later. */
static int64_t resident_bytes(void)
{
    malloc_trim(0);
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    const bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    char *end = line;
    (void)strtoll(line, &end, 10);
    return read ? strtoll(end, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

static void close_side(side *of)
{
    pinion_runner_destroy(of->runner);
    pinion_plan_destroy(of->plan);
    pinion_network_destroy(of->network);
    memset(of, 0, sizeof *of);
}

static int plan_side(const bench *of, int batch, side *out)
{
    pinion_plan_options chosen = pinion_plan_options_default();
    chosen.batch = batch;
    chosen.patience = PINION_PATIENCE_MEASURE;
    int status = pinion_plan_create(out->network, &chosen, &out->plan);
    if (status == 0)
        status = pinion_runner_create(out->plan, &out->runner);
    return status == 0 ? pinion_runner_infer(out->runner, of->images, batch, of->logits) : status;
}

/* The dynamic network from its file; it is written first where it is not there. */
static int open_dynamic(const bench *of, int batch, side *out)
{
    pinion_weights_file *file = NULL;
    int status = pinion_network_open(of->ctx, of->model, &of->cut, &out->network);
    if (status == 0)
        status = pinion_network_init_weights(out->network, 1);
    if (status == 0)
        status = pinion_weights_save(out->network, of->file, NULL);
    close_side(out);
    if (status == 0)
        status = pinion_network_open(of->ctx, of->model, &of->cut, &out->network);
    if (status == 0)
        status = pinion_weights_open(of->ctx, of->file, &file);
    if (status == 0)
        status = pinion_weights_load(out->network, file, NULL);
    pinion_weights_close(file);
    return status == 0 ? plan_side(of, batch, out) : status;
}

/* The network of its own with the multiply-adds of a width; width 0: the ungrouped network. */
static int open_static(const bench *of, int width, int batch, side *out)
{
    pinion_network_options options = of->cut;
    options.like_width = width;
    int status = pinion_network_open(of->ctx, of->model, width ? &options : NULL, &out->network);
    if (status == 0)
        status = pinion_network_init_weights(out->network, 1);
    return status == 0 ? plan_side(of, batch, out) : status;
}

/* Medians of inferences of all sides, in turns. */
static int time_sides(const bench *of, side *const *sides, int count, int batch, double *out)
{
    static double times[MAX_SIDES][MAX_ROUNDS];
    int status = 0;
    for (int round = -3; round < of->rounds && status == 0; round++)
        for (int s = 0; s < count && status == 0; s++) {
            status = sides[s]->width ? pinion_runner_set_width(sides[s]->runner, sides[s]->width) : 0;
            const double begin = now_ms();
            if (status == 0)
                status = pinion_runner_infer(sides[s]->runner, of->images, batch, of->logits);
            if (round >= 0)
                times[s][round] = now_ms() - begin;
        }
    for (int s = 0; s < count; s++)
        out[s] = median(times[s], of->rounds);
    return status;
}

static int compare_times(const bench *of, int batch)
{
    const int groups = of->cut.groups;
    side dynamic = {0}, statics[PINION_MAX_GROUPS] = {{0}}, dense = {0}, widths[PINION_MAX_GROUPS], *sides[MAX_SIDES];
    double ms[MAX_SIDES];
    int count = 0, status = open_dynamic(of, batch, &dynamic);
    for (int j = 0; j < groups && status == 0; j++) {
        widths[j] = dynamic, widths[j].width = j + 1;
        sides[count++] = &widths[j];
    }
    for (int j = 0; j < groups && status == 0; j++) {
        status = open_static(of, j + 1, batch, &statics[j]);
        sides[count++] = &statics[j];
    }
    if (status == 0)
        status = open_static(of, 0, batch, &dense);
    sides[count++] = &dense;
    if (status == 0)
        status = time_sides(of, sides, count, batch, ms);
    for (int j = 0; j < groups && status == 0; j++)
        printf("batch %d, width %d: %.3f ms, %.2f of width %d, %.2f of dense; static(%d) %.3f ms\n", batch, j + 1,
               ms[j], ms[j] / ms[groups - 1], groups, ms[j] / ms[2 * groups], j + 1, ms[groups + j]);
    if (status == 0)
        printf("batch %d, dense: %.3f ms\n", batch, ms[2 * groups]);
    for (int j = 0; j < groups; j++)
        close_side(&statics[j]);
    close_side(&dense);
    close_side(&dynamic);
    return status;
}

static size_t prepared_bytes(const side *of)
{
    const pinion_plan_info plan = pinion_plan_get_info(of->plan);
    return plan.total_bytes - plan.arena_bytes - (size_t)pinion_network_get_info(of->network).weight_bytes;
}

static int compare_memory(const bench *of)
{
    const double mib = 1048576.0;
    const int groups = of->cut.groups;
    side dynamic = {0}, statics[PINION_MAX_GROUPS] = {{0}};
    int status = open_dynamic(of, 1, &dynamic); /* what the process needs once: threads, measured times, the heap */
    close_side(&dynamic);
    const int64_t start = resident_bytes();
    if (status == 0)
        status = open_dynamic(of, 1, &dynamic);
    const int64_t with_dynamic = resident_bytes();
    size_t apart = 0;
    for (int j = 0; j < groups && status == 0; j++) {
        status = open_static(of, j + 1, 1, &statics[j]);
        apart += status == 0 ? prepared_bytes(&statics[j]) : 0;
    }
    const int64_t with_statics = resident_bytes();
    if (status == 0)
        printf("prepared bytes: dynamic %zu, %d static together %zu: %.2f times as many\n"
               "resident growth: dynamic %.2f MiB, %d static together %.2f MiB\n",
               prepared_bytes(&dynamic), groups, apart, (double)apart / (double)prepared_bytes(&dynamic),
               (double)(with_dynamic - start) / mib, groups, (double)(with_statics - with_dynamic) / mib);
    for (int width = groups - 1; width >= 1 && status == 0; width--) {
        pinion_residence gone;
        status = pinion_runner_release(dynamic.runner, width, &gone);
        if (status == 0)
            status = pinion_runner_infer(dynamic.runner, of->images, 1, of->logits);
        const int64_t left = resident_bytes() - (with_statics - with_dynamic);
        printf("released to width %d: %.2f MiB given back in %.3f ms; resident growth %.2f of the full width's\n",
               width, (double)gone.bytes / mib, gone.ms, (double)(left - start) / (double)(with_dynamic - start));
    }
    for (int width = 2; width <= groups && status == 0; width++) {
        pinion_residence back;
        status = pinion_runner_restore(dynamic.runner, width, &back);
        printf("restored width %d: %.2f MiB taken in %.3f ms\n", width, (double)back.bytes / mib, back.ms);
    }
    for (int j = 0; j < groups; j++)
        close_side(&statics[j]);
    close_side(&dynamic);
    return status;
}

/* How long a switch takes, and the first inference behind it beside one that follows its like. */
static int time_switching(const bench *of)
{
    enum { SWITCHES = 100000 };
    static double first[MAX_ROUNDS], next[MAX_ROUNDS];
    const int groups = of->cut.groups;
    side dynamic = {0};
    int status = open_dynamic(of, 1, &dynamic);
    double begin = now_ms();
    for (int i = 0; i < SWITCHES && status == 0; i++)
        status = pinion_runner_set_width(dynamic.runner, 1 + i % groups);
    const double each_us = (now_ms() - begin) * 1e3 / SWITCHES;
    for (int round = 0; round < of->rounds && status == 0; round++) {
        status = pinion_runner_set_width(dynamic.runner, 1);
        for (int i = 0; i < 3 && status == 0; i++)
            status = pinion_runner_infer(dynamic.runner, of->images, 1, of->logits);
        begin = now_ms();
        if (status == 0)
            status = pinion_runner_set_width(dynamic.runner, groups);
        if (status == 0)
            status = pinion_runner_infer(dynamic.runner, of->images, 1, of->logits);
        first[round] = now_ms() - begin;
        begin = now_ms();
        if (status == 0)
            status = pinion_runner_infer(dynamic.runner, of->images, 1, of->logits);
        next[round] = now_ms() - begin;
    }
    if (status == 0)
        printf("switching: %.3f us each; full width, batch 1: first inference behind a switch %.3f ms, the next %.3f\n",
               each_us, median(first, of->rounds), median(next, of->rounds));
    close_side(&dynamic);
    return status;
}

static int open_training(const bench *of, int stage, side *out)
{
    pinion_plan_options chosen = pinion_plan_options_default();
    chosen.mode = PINION_TRAIN;
    chosen.batch = TRAIN_BATCH;
    chosen.stage = stage;
    chosen.patience = PINION_PATIENCE_MEASURE;
    int status = pinion_network_open(of->ctx, of->model, &of->cut, &out->network);
    if (status == 0)
        status = pinion_network_init_weights(out->network, 1);
    if (status == 0)
        status = pinion_plan_create(out->network, &chosen, &out->plan);
    return status == 0 ? pinion_runner_create(out->plan, &out->runner) : status;
}

/* Steps of every stage, and of all groups for the full width, in turns. */
static int compare_training(const bench *of)
{
    static double times[PINION_MAX_GROUPS + 1][MAX_ROUNDS];
    const int groups = of->cut.groups, rounds = of->rounds / 4 + 3;
    side sides[PINION_MAX_GROUPS + 1] = {{0}};
    int status = 0;
    for (int s = 0; s <= groups && status == 0; s++)
        status = open_training(of, s, &sides[s]);
    for (int round = -3; round < rounds && status == 0; round++)
        for (int s = 0; s <= groups && status == 0; s++) {
            const pinion_runner_step_options step = {
                .learning_rate = 1e-4F, .seed = 1, .number = (uint64_t)(round + 3)};
            float loss;
            const double begin = now_ms();
            status = pinion_runner_train(sides[s].runner, of->images, of->labels, &step, &loss);
            if (round >= 0)
                times[s][round] = now_ms() - begin;
        }
    const double all = median(times[0], rounds);
    printf("training step, batch %d, all groups: %.2f ms\n", TRAIN_BATCH, all);
    for (int s = 1; s <= groups; s++) {
        const double ms = median(times[s], rounds);
        printf("training step, batch %d, stage %d: %.2f ms, %.2f of that\n", TRAIN_BATCH, s, ms, ms / all);
    }
    for (int s = 0; s <= groups; s++)
        close_side(&sides[s]);
    return status;
}

static int make_batch(bench *of)
{
    pinion_network *network = NULL;
    int status = pinion_network_open(of->ctx, of->model, NULL, &network);
    if (status < 0)
        return status;
    const pinion_network_info info = pinion_network_get_info(network);
    const size_t elements = (size_t)TRAIN_BATCH * (size_t)info.input.h * (size_t)info.input.w * (size_t)info.input.c;
    of->images = calloc(elements, sizeof *of->images);
    of->logits = calloc((size_t)TRAIN_BATCH * (size_t)info.output.c, sizeof *of->logits);
    of->labels = calloc((size_t)TRAIN_BATCH, sizeof *of->labels);
    for (size_t i = 0; i < elements && of->images; i++)
        of->images[i] = (float)(i * 2654435761U % 2001) * 1e-3F - 1.0F;
    for (int i = 0; i < TRAIN_BATCH && of->labels; i++)
        of->labels[i] = i % info.output.c;
    pinion_network_destroy(network);
    return of->images && of->logits && of->labels ? 0 : PINION_ENOMEM;
}

static int run(bench *of)
{
    int status = make_batch(of);
    if (status == 0)
        status = compare_memory(of);
    if (status == 0)
        status = compare_times(of, 1);
    if (status == 0)
        status = compare_times(of, 32);
    if (status == 0)
        status = time_switching(of);
    return status == 0 ? compare_training(of) : status;
}

int main(int argc, char **argv)
{
    pinion_context_options options = pinion_context_options_default();
    if (argc < 6 || argc > 7) {
        fprintf(stderr, "usage: widths MODEL GROUPS towers|nested THREADS FILE [ROUNDS]\n");
        return 2;
    }
    bench of = {.model = argv[1], .file = argv[5], .rounds = argc > 6 ? atoi(argv[6]) : 100};
    of.cut.groups = atoi(argv[2]);
    of.cut.connect = strcmp(argv[3], "nested") == 0 ? PINION_NESTED : PINION_TOWERS;
    options.threads = atoi(argv[4]);
    if (of.rounds < 1 || of.rounds > MAX_ROUNDS || pinion_context_create(&options, &of.ctx) < 0) {
        fprintf(stderr, "widths: %d rounds, %s threads; expected 1 to %d rounds\n", of.rounds, argv[4], MAX_ROUNDS);
        return 2;
    }
    const int status = run(&of);
    if (status < 0)
        fprintf(stderr, "widths: %s\n", pinion_context_error(of.ctx));
    free(of.images);
    free(of.logits);
    free(of.labels);
    pinion_context_destroy(of.ctx);
    return status == 0 ? 0 : 1;
}
