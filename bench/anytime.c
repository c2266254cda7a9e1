/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers before a deadline: the same requests, one image each, are answered by a dynamic network that refines its
 * answer until the deadline, and by the same network at width 1 and at its full width. Deadlines are drawn
 * log-uniformly between 1.2 times the idle median of width 1 and 1.5 times that of the full width, which are taken anew
 * before every BLOCK requests, since machines change their speed; between two answers the program sleeps as long as the
 * last one took (50 % duty). The three ways take turns, so they meet the same disturbances. Prints means of the idle
 * medians, then a table by decile of the deadline (answers that came late, per cent; mean width; right answers, and
 * those that were also in time, per cent), then the totals, and the mean width that would be reached if every inference
 * took its idle median and that was known before.
 *
 *     anytime WEIGHTS DATA THREADS REQUESTS [busy]      busy: another thread keeps one core busy meanwhile
 */
#include <math.h>
#include <pinion/pinion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum way { ANYTIME, NARROW, FULL, WAYS };
enum { DECILES = 10, IDLE_ROUNDS = 31, BLOCK = 50, MAX_CLASSES = 1000 };

typedef struct tally {
    int64_t requests, late, right, timely, width; /* timely: right and in time */
    double deadline_ms;                           /* sum */
} tally;

typedef struct bench {
    pinion_context *ctx;
    pinion_weights_file *file;
    pinion_network *network;
    pinion_plan *plan;
    pinion_runner *runner;
    pinion_dataset *dataset;
    float *images; /* normalised, of the test part */
    int *labels;
    int64_t count;
    size_t elements; /* of an image */
    int groups, classes;
    double idle_ms[PINION_MAX_GROUPS]; /* per width */
    double idle_sums[PINION_MAX_GROUPS];
    int blocks;
    tally tallies[DECILES][WAYS];
    int64_t possible; /* sum over requests of the widest width whose idle median is within the deadline */
} bench;

/* Each way comes behind each other one equally often: what ran before decides what is in the caches. */
enum { ORDERS = 6 };
static const enum way orders[ORDERS][WAYS] = {{ANYTIME, NARROW, FULL}, {ANYTIME, FULL, NARROW},
                                              {FULL, NARROW, ANYTIME}, {NARROW, ANYTIME, FULL},
                                              {NARROW, FULL, ANYTIME}, {FULL, ANYTIME, NARROW}};

static const char *const way_names[WAYS] = {"anytime", "width 1", "full width"};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void sleep_ms(double ms)
{
    const time_t seconds = (time_t)(ms / 1e3);
    const struct timespec span = {.tv_sec = seconds, .tv_nsec = (long)((ms - (double)seconds * 1e3) * 1e6)};
    nanosleep(&span, NULL);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int best(const float *logits, int classes)
{
    int found = 0;
    for (int i = 1; i < classes; i++)
        if (logits[i] > logits[found])
            found = i;
    return found;
}

/* A number in 0 … 1 from request and purpose: the same in every run. */
static double draw(uint64_t request, uint64_t purpose)
{
    uint64_t x = (request * 2 + purpose + 1) * 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return (double)((x ^ (x >> 31)) >> 11) * 0x1p-53;
}

static int open_network(bench *of, const char *weights)
{
    int status = pinion_weights_open(of->ctx, weights, &of->file);
    if (status < 0)
        return status;
    const pinion_weights_metadata *meta = pinion_weights_get_metadata(of->file);
    const pinion_network_options options = {
        .input = meta->input, .classes = meta->class_count, .groups = meta->groups, .connect = meta->connect};
    if (meta->groups < 2 || !meta->model) {
        fprintf(stderr, "anytime: %s: %d groups; expected a dynamic network\n", weights, meta->groups);
        return PINION_EINVAL;
    }
    status = pinion_network_open(of->ctx, meta->model, &options, &of->network);
    if (status == 0)
        status = pinion_weights_load(of->network, of->file, NULL);
    pinion_plan_options chosen = pinion_plan_options_default();
    chosen.patience = PINION_PATIENCE_MEASURE;
    chosen.width = meta->width;
    if (status == 0)
        status = pinion_plan_create(of->network, &chosen, &of->plan);
    if (status == 0)
        status = pinion_runner_create(of->plan, &of->runner);
    of->groups = meta->width;
    of->classes = meta->class_count;
    return status;
}

static int read_images(bench *of, const char *spec)
{
    int status = pinion_dataset_open(of->ctx, spec, NULL, &of->dataset);
    if (status < 0)
        return status;
    const pinion_dataset_info info = pinion_dataset_get_info(of->dataset);
    const int channels = info.image.c;
    of->elements = (size_t)info.image.h * (size_t)info.image.w * (size_t)channels;
    of->count = info.test_count;
    of->images = malloc((size_t)of->count * of->elements * sizeof(float));
    of->labels = malloc((size_t)of->count * sizeof *of->labels);
    unsigned char *pixels = malloc(of->elements);
    status = of->images && of->labels && pixels ? 0 : PINION_ENOMEM;
    for (int64_t i = 0; i < of->count && status == 0; i++) {
        status = pinion_dataset_read(of->dataset, PINION_PART_TEST, i, pixels, &of->labels[i]);
        for (size_t e = 0; e < of->elements && status == 0; e++) {
            const size_t c = e % (size_t)channels;
            of->images[(size_t)i * of->elements + e] = ((float)pixels[e] / 255.0F - info.mean[c]) / info.std[c];
        }
    }
    free(pixels);
    return status;
}

/* Medians of all widths, in turns, with the pauses that requests have. */
static int measure_idle(bench *of)
{
    static double times[PINION_MAX_GROUPS][IDLE_ROUNDS];
    float logits[MAX_CLASSES];
    int status = 0;
    for (int round = -10; round < IDLE_ROUNDS; round++) /* those below 0 warm up */
        for (int width = 1; width <= of->groups && status == 0; width++) {
            status = pinion_runner_set_width(of->runner, width);
            const double begin = now_ms();
            if (status == 0)
                status = pinion_runner_infer(of->runner, of->images, 1, logits);
            const double took = now_ms() - begin;
            if (round >= 0)
                times[width - 1][round] = took;
            sleep_ms(took);
        }
    for (int width = 1; width <= of->groups; width++) {
        qsort(times[width - 1], IDLE_ROUNDS, sizeof(double), compare);
        of->idle_ms[width - 1] = times[width - 1][IDLE_ROUNDS / 2];
        of->idle_sums[width - 1] += of->idle_ms[width - 1];
    }
    of->blocks++;
    return status;
}

static int answer(bench *of, enum way way, int64_t image, double deadline_ms, tally *into)
{
    float logits[MAX_CLASSES];
    const float *pixels = of->images + (size_t)image * of->elements;
    pinion_anytime_result result = {.width = way == NARROW ? 1 : of->groups};
    const pinion_anytime_options options = {.deadline_ms = deadline_ms};
    int status = pinion_runner_set_width(of->runner, result.width);
    if (status < 0)
        return status;
    const double begin = now_ms();
    if (way == ANYTIME)
        status = pinion_runner_infer_anytime(of->runner, pixels, 1, &options, logits, &result);
    else
        status = pinion_runner_infer(of->runner, pixels, 1, logits);
    const double took = now_ms() - begin;
    into->requests++;
    into->late += took > deadline_ms;
    const bool right = best(logits, of->classes) == of->labels[image];
    into->right += right;
    into->timely += right && took <= deadline_ms;
    into->width += result.width;
    into->deadline_ms += deadline_ms;
    sleep_ms(took);
    return status;
}

/* The requests from `first` to before `end`. */
static int serve(bench *of, int64_t first, int64_t end)
{
    const double least = 1.2 * of->idle_ms[0], most = 1.5 * of->idle_ms[of->groups - 1];
    int status = 0;
    for (int64_t i = first; i < end && status == 0; i++) {
        const double share = draw((uint64_t)i, 0), deadline_ms = least * pow(most / least, share);
        const int64_t image = (int64_t)(draw((uint64_t)i, 1) * (double)of->count);
        int possible = of->groups;
        while (possible > 1 && of->idle_ms[possible - 1] > deadline_ms)
            possible--;
        of->possible += possible;
        for (int turn = 0; turn < WAYS && status == 0; turn++) {
            const enum way way = orders[i % ORDERS][turn];
            status = answer(of, way, image, deadline_ms, &of->tallies[(int)(share * DECILES)][way]);
        }
    }
    return status;
}

static void print_row(const char *name, const tally row[WAYS])
{
    printf("%-22s", name);
    for (int way = 0; way < WAYS; way++) {
        const double all = (double)row[way].requests;
        printf(" | %6.2f %5.2f %6.2f %7.2f", 100.0 * (double)row[way].late / all, (double)row[way].width / all,
               100.0 * (double)row[way].right / all, 100.0 * (double)row[way].timely / all);
    }
    printf("\n");
}

static void print_table(const bench *of)
{
    tally total[WAYS] = {{0}};
    for (int width = 1; width <= of->groups; width++)
        printf("width %d: idle median %.3f ms\n", width, of->idle_sums[width - 1] / of->blocks);
    printf("%-22s", "deadline, mean ms");
    for (int way = 0; way < WAYS; way++)
        printf(" | %-27s", way_names[way]);
    printf("\n%-22s", "");
    for (int way = 0; way < WAYS; way++)
        printf(" | %6s %5s %6s %7s", "late %", "width", "top-1", "in time");
    printf("\n");
    for (int decile = 0; decile < DECILES; decile++) {
        char name[64];
        const tally *row = of->tallies[decile];
        snprintf(name, sizeof name, "decile %d: %.3f", decile + 1, row->deadline_ms / (double)row->requests);
        if (row->requests)
            print_row(name, row);
        for (int way = 0; way < WAYS; way++) {
            const tally *from = &of->tallies[decile][way];
            total[way].requests += from->requests, total[way].late += from->late;
            total[way].right += from->right, total[way].timely += from->timely, total[way].width += from->width;
        }
    }
    print_row("all", total);
    printf("mean width possible at idle medians: %.2f\n", (double)of->possible / (double)total[ANYTIME].requests);
}

static atomic_bool busy;

static void *keep_busy(void *unused)
{
    while (atomic_load_explicit(&busy, memory_order_relaxed))
        ;
    return unused;
}

/* A block of requests, behind new idle medians. */
static int run_block(bench *of, int64_t first, int64_t end, bool disturbed)
{
    pthread_t thread;
    int status = measure_idle(of);
    atomic_store(&busy, disturbed);
    if (status == 0 && disturbed && pthread_create(&thread, NULL, keep_busy, NULL) != 0)
        return PINION_ENOMEM;
    if (status < 0)
        return status;
    status = serve(of, first, end);
    if (disturbed) {
        atomic_store(&busy, false);
        pthread_join(thread, NULL);
    }
    return status;
}

static int run(bench *of, char **argv, bool disturbed)
{
    const int64_t requests = strtoll(argv[4], NULL, 10);
    int status = open_network(of, argv[1]);
    if (status == 0)
        status = read_images(of, argv[2]);
    for (int64_t i = 0; i < requests && status == 0; i += BLOCK)
        status = run_block(of, i, i + BLOCK < requests ? i + BLOCK : requests, disturbed);
    if (status == 0)
        print_table(of);
    return status;
}

int main(int argc, char **argv)
{
    bench of = {0};
    pinion_context_options options = pinion_context_options_default();
    if (argc < 5 || argc > 6 || (argc == 6 && strcmp(argv[5], "busy") != 0)) {
        fprintf(stderr, "usage: anytime WEIGHTS DATA THREADS REQUESTS [busy]\n");
        return 2;
    }
    options.threads = atoi(argv[3]);
    if (pinion_context_create(&options, &of.ctx) < 0) {
        fprintf(stderr, "anytime: no context with %s threads\n", argv[3]);
        return 2;
    }
    const int status = run(&of, argv, argc == 6);
    if (status < 0)
        fprintf(stderr, "anytime: %s\n", pinion_context_error(of.ctx));
    pinion_runner_destroy(of.runner);
    pinion_plan_destroy(of.plan);
    pinion_network_destroy(of.network);
    pinion_weights_close(of.file);
    pinion_dataset_destroy(of.dataset);
    free(of.images);
    free(of.labels);
    pinion_context_destroy(of.ctx);
    return status == 0 ? 0 : 1;
}
