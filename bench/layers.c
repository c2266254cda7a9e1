/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of every kernel on every distinct convolution and linear layer of the zoo's networks, pass by pass, on each of
 * the processors, beside oneDNN where the library is installed (onednn.h): milliseconds, GFLOP/s of the direct
 * algorithm, share of the processor's peak of multiply-adds measured in the same minute.
 *
 *     layers [--models LIST] [--batch N] [--processors LIST] [--threads N] [--rounds N] [--match TEXT] [--json]
 *
 * Processors are named as for the command (cpu, cpu/1, opencl:0/1); an OpenCL device's peak is that of as many cores of
 * this CPU as it has, which says something where it is this CPU.
 * All kernels and algorithms of a line take turns: a turn waits until the threads of the one before sleep, runs untimed
 * until its own are spread over the cores, then timed for some milliseconds; a figure is the median of all timed runs.
 * Backward_data of a layer that reads the network's input is left out. Kernels run as in training: whatever they do to
 * their weights is in their time, while oneDNN's reorders are not. The last lines are geometric means of oneDNN's best
 * time over the best kernel's, above 1 where Pinion is faster. --match keeps lines whose "network layer pass" contains
 * TEXT.
 */
#include "base/clock.h"
#include "base/random.h"
#include "kernel/staged.h"
#include "net/network.h"
#include "onednn.h"
#include "op/operands.h"
#include "targets.h"

#include <jansson.h>
#include <math.h>
#include <pinion/measure.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TRIALS = 48, MAX_TIMES = 512, WARM_NS = 10000000, TURN_NS = 8000000 };

typedef struct options {
    const char *models, *match, *processors;
    int batch, threads, rounds;
    bool json;
} options;

/* A kernel of Pinion on a processor or an algorithm of oneDNN, on one layer and pass. */
typedef struct trial {
    const pinion__kernel *kernel; /* NULL: oneDNN */
    bench_onednn *peer;
    target *on; /* oneDNN: the first one */
    pinion__staged staged;
    double times[MAX_TIMES], median;
    size_t count;
} trial;

/* Sums of logarithms of oneDNN's time over Pinion's. */
typedef struct mean {
    double sum;
    int count;
} mean;

typedef struct bench {
    options o;
    pinion_context *ctx;
    targets targets;
    json_t *lines; /* NULL: no JSON wanted */
    mean passes[PINION__UPDATE], residual, residual_stem;
} bench;

static void *checked(void *block)
{
    if (!block) {
        fprintf(stderr, "layers: out of memory\n");
        exit(4);
    }
    return block;
}

static pinion__view random_view(int n, int h, int w, int c)
{
    pinion__view view = {.n = n, .h = h, .w = w, .c = c, .ld = c};
    view.data = checked(aligned_alloc(64, (pinion__view_elements(&view) * sizeof(float) + 63) & ~(size_t)63));
    pinion__random_normal(1, PINION__RANDOM_TEST, 0, pinion__view_elements(&view), view.data);
    return view;
}

static void run(const bench *b, trial *t)
{
    if (t->kernel)
        targets_check(&b->targets, pinion__staged_run(&t->staged));
    else
        bench_onednn_run(t->peer);
}

static void take_turn(bench *b, trial *t)
{
    targets_wake(&b->targets, t->on);
    int64_t start = pinion__now_ns(), now;
    do
        run(b, t);
    while (pinion__now_ns() - start < WARM_NS);
    now = start = pinion__now_ns();
    do {
        const int64_t begin = now;
        run(b, t);
        now = pinion__now_ns();
        t->times[t->count++] = (double)(now - begin) * 1e-6;
    } while (now - start < TURN_NS && t->count < MAX_TIMES);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Trials in turn for all rounds; each target's peak is the best one measured between them. */
static void take_turns(bench *b, trial *trials, int count)
{
    targets_forget(&b->targets);
    for (int round = 0; round < b->o.rounds; round++) {
        for (int i = 0; i < count; i++)
            if (trials[i].count < MAX_TIMES)
                take_turn(b, &trials[i]);
        targets_measure(&b->targets);
    }
    for (int i = 0; i < count; i++) {
        qsort(trials[i].times, trials[i].count, sizeof(double), compare);
        trials[i].median = trials[i].times[trials[i].count / 2];
    }
}

static const char *trial_name(const trial *t)
{
    return t->kernel ? t->kernel->name : bench_onednn_name(t->peer);
}

/* The operands of a pass in views of their own; the optional ones are absent. */
static void make_operands(const bench *b, const pinion__layer *layer, enum pinion__pass pass, pinion__args *args)
{
    const pinion_shape in = layer->input_shapes[0], out = layer->output;
    pinion__param_spec spec[PINION__MAX_PARAMS];
    layer->op->params(&layer->attributes, layer->input_shapes, &out, spec);
    const pinion__view x = random_view(b->o.batch, in.h, in.w, in.c), y = random_view(b->o.batch, out.h, out.w, out.c);
    const pinion__view w = random_view(spec[0].n, spec[0].h, spec[0].w, spec[0].c);
    *args = (pinion__args){.attributes = &layer->attributes};
    if (pass == PINION__FORWARD) {
        args->operand[PINION__CONV_FORWARD_X] = x;
        args->operand[PINION__CONV_FORWARD_W] = w;
        args->operand[PINION__CONV_FORWARD_Y] = y;
    } else if (pass == PINION__BACKWARD_DATA) {
        args->operand[PINION__CONV_BACKWARD_DATA_DY] = y;
        args->operand[PINION__CONV_BACKWARD_DATA_W] = w;
        args->operand[PINION__CONV_BACKWARD_DATA_DX] = x;
    } else {
        args->operand[PINION__CONV_BACKWARD_WEIGHTS_X] = x;
        args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY] = y;
        args->operand[PINION__CONV_BACKWARD_WEIGHTS_DW] = w;
    }
}

/* The kernels of all processors, which run on operands of their own where the processor has a memory of its own. */
static int add_kernels(bench *b, const pinion__layer *layer, enum pinion__pass pass, pinion__args *args, trial *trials)
{
    size_t most = 64;
    int count = 0;
    for (int i = 0; i < b->targets.count; i++) {
        target *on = &b->targets.at[i];
        const pinion__kernel *kernel;
        args->processor = on->processor;
        args->workers = on->processor->workers;
        for (int cursor = 0; count < MAX_TRIALS - BENCH_ONEDNN_TRIALS &&
                             (kernel = pinion__kernel_next(layer->op->id, pass, on->processor->kernel_kind,
                                                           on->processor->isa, args, &cursor));) {
            const size_t bytes = kernel->body->scratch_bytes ? kernel->body->scratch_bytes(args) : 0;
            most = bytes > most ? bytes : most;
            trials[count++] = (trial){.kernel = kernel, .on = on};
        }
    }
    args->scratch = checked(aligned_alloc(64, (most + 63) & ~(size_t)63));
    for (int i = 0; i < count; i++) {
        args->processor = trials[i].on->processor;
        args->workers = args->processor->workers;
        targets_check(&b->targets, pinion__staged_begin(&trials[i].staged, args->processor, trials[i].kernel, args, 0));
    }
    return count;
}

static bench_onednn_layer onednn_layer(const bench *b, const pinion__layer *layer, enum pinion__pass pass)
{
    const pinion_shape in = layer->input_shapes[0], out = layer->output;
    bench_onednn_layer made = {.op = layer->op->id, .pass = pass, .n = b->o.batch, .h = in.h, .w = in.w, .c = in.c};
    made.p = out.h, made.q = out.w;
    made.conv = layer->op->id == PINION__OP_linear ? (pinion_conv2d){.r = 1, .s = 1, .stride_h = 1, .stride_w = 1}
                                                   : layer->attributes.as.conv2d;
    made.conv.k = out.c;
    return made;
}

static void count_ratio(mean *m, double ratio)
{
    m->sum += log(ratio);
    m->count++;
}

static void count_ratios(bench *b, const char *network, const pinion__layer *layer, enum pinion__pass pass,
                         double ratio)
{
    const pinion_conv2d *conv = &layer->attributes.as.conv2d;
    count_ratio(&b->passes[pass], ratio);
    if (strncmp(network, "resnet18", 8) != 0 || layer->op->id != PINION__OP_conv2d || conv->r != 3 || conv->s != 3 ||
        conv->stride_h != 1 || conv->stride_w != 1)
        return;
    count_ratio(&b->residual_stem, ratio);
    if (layer->inputs[0] != PINION_INPUT)
        count_ratio(&b->residual, ratio);
}

/* Prints the lines of one layer and pass. The ratio is oneDNN's best over the best kernel. */
static void report(bench *b, const char *network, const pinion__layer *layer, enum pinion__pass pass,
                   const trial *trials, int count)
{
    const pinion_shape in = layer->input_shapes[0];
    const double flops =
        2.0 * b->o.batch * (double)layer->op->macs(&layer->attributes, layer->input_shapes, &layer->output);
    double best[2] = {(double)INFINITY, (double)INFINITY}; /* kernels, oneDNN */
    for (int i = 0; i < count; i++)
        best[!trials[i].kernel] = fmin(best[!trials[i].kernel], trials[i].median);
    for (int i = 0; i < count; i++) {
        const trial *t = &trials[i];
        const double gflops = 1e-6 * flops / t->median, share = 100.0 * gflops / t->on->peak;
        const char *side = t->kernel ? t->on->processor->name : "onednn";
        const bool leads = t->median <= best[!t->kernel];
        printf("%-17s %-24s %2dx%2dx%-4d %-16s %-10s %-42s %9.3f %9.3f %8.1f %6.1f %%%s\n", network, layer->name, in.h,
               in.w, in.c, pinion__pass_name(pass), side, trial_name(t), t->times[0], t->median, gflops, share,
               leads ? " *" : "");
        if (b->lines)
            json_array_append_new(b->lines, json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f}", "network",
                                                      network, "layer", layer->name, "pass", pinion__pass_name(pass),
                                                      "side", side, "kernel", trial_name(t), "min_ms", t->times[0],
                                                      "median_ms", t->median, "gflops", gflops, "peak", t->on->peak));
    }
    if (isfinite(best[0]) && isfinite(best[1]))
        count_ratios(b, network, layer, pass, best[1] / best[0]);
    fflush(stdout);
}

static void measure(bench *b, const char *network, const pinion__layer *layer, enum pinion__pass pass)
{
    static trial trials[MAX_TRIALS];
    pinion__args args;
    char text[320];
    snprintf(text, sizeof text, "%s %s %s", network, layer->name, pinion__pass_name(pass));
    if (!strstr(text, b->o.match))
        return;
    make_operands(b, layer, pass, &args);
    int count = add_kernels(b, layer, pass, &args, trials);
    const bench_onednn_layer peer = onednn_layer(b, layer, pass);
    for (int i = 0; i < BENCH_ONEDNN_TRIALS; i++) {
        bench_onednn *opened = bench_onednn_open(&peer, i, b->ctx->threads);
        if (opened)
            trials[count++] = (trial){.peer = opened, .on = &b->targets.at[0]};
    }
    take_turns(b, trials, count);
    report(b, network, layer, pass, trials, count);
    for (int i = 0; i < count; i++)
        if (trials[i].kernel)
            targets_check(&b->targets, pinion__staged_end(&trials[i].staged, false));
        else
            bench_onednn_close(trials[i].peer);
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        free(args.operand[i].data);
    free(args.scratch);
}

/* Does the network have the same layer, under another name, before this one? */
static bool seen_before(const pinion_network *network, size_t index)
{
    const pinion__layer *layer = &network->layers[index];
    for (size_t i = 0; i < index; i++) {
        const pinion__layer *other = &network->layers[i];
        if (other->op == layer->op && (other->inputs[0] == PINION_INPUT) == (layer->inputs[0] == PINION_INPUT) &&
            memcmp(&other->input_shapes[0], &layer->input_shapes[0], sizeof(pinion_shape)) == 0 &&
            memcmp(&other->attributes, &layer->attributes, layer->op->attributes_bytes) == 0)
            return true;
    }
    return false;
}

static int measure_network(bench *b, const char *model)
{
    pinion_network *network;
    if (pinion_network_open(b->ctx, model, NULL, &network) < 0) {
        fprintf(stderr, "layers: %s\n", pinion_context_error(b->ctx));
        return 1;
    }
    for (size_t i = 0; i < network->layer_count; i++) {
        const pinion__layer *layer = &network->layers[i];
        if (!layer->op->pass[PINION__BACKWARD_WEIGHTS].count || !layer->op->macs || seen_before(network, i))
            continue;
        for (int pass = 0; pass < PINION__UPDATE; pass++)
            if (pass != PINION__BACKWARD_DATA || layer->inputs[0] != PINION_INPUT)
                measure(b, model, layer, (enum pinion__pass)pass);
    }
    pinion_network_destroy(network);
    return 0;
}

static void print_mean(const bench *b, json_t *means, const char *name, const mean *m)
{
    if (!m->count)
        return;
    const double value = exp(m->sum / m->count);
    printf("oneDNN's best / Pinion's best, geometric mean of %3d, %s: %.3f\n", m->count, name, value);
    if (b->lines)
        json_object_set_new(means, name, json_real(value));
}

static void finish(bench *b)
{
    json_t *means = json_object();
    for (int pass = 0; pass < PINION__UPDATE; pass++)
        print_mean(b, means, pinion__pass_name((enum pinion__pass)pass), &b->passes[pass]);
    print_mean(b, means, "3x3 stride-1 layers of ResNet-18 with the first layer", &b->residual_stem);
    print_mean(b, means, "3x3 stride-1 layers of ResNet-18", &b->residual);
    if (!b->lines) {
        json_decref(means);
        return;
    }
    const char *peer = bench_onednn_version();
    json_t *root = json_pack("{s:i, s:i, s:s, s:s?, s:o, s:o}", "batch", b->o.batch, "threads", b->ctx->threads, "isa",
                             pinion__isa_name(b->ctx->isa), "onednn", peer, "means", means, "lines", b->lines);
    char *text = json_dumps(root, JSON_COMPACT);
    printf("%s\n", (char *)checked(text));
    free(text);
    json_decref(root);
}

static bool parse(int argc, char **argv, options *o)
{
    *o = (options){.models = "resnet18-cifar,alexnet-cifar,mobilenetv2-cifar",
                   .match = "",
                   .processors = "cpu",
                   .batch = 32,
                   .rounds = 5};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
            continue;
        }
        if (!value)
            return false;
        if (strcmp(argv[i], "--models") == 0)
            o->models = value;
        else if (strcmp(argv[i], "--match") == 0)
            o->match = value;
        else if (strcmp(argv[i], "--processors") == 0)
            o->processors = value;
        else if (strcmp(argv[i], "--batch") == 0)
            o->batch = atoi(value);
        else if (strcmp(argv[i], "--threads") == 0)
            o->threads = atoi(value);
        else if (strcmp(argv[i], "--rounds") == 0)
            o->rounds = atoi(value);
        else
            return false;
        i++;
    }
    return o->batch >= 1 && o->threads >= 0 && o->rounds >= 1;
}

int main(int argc, char **argv)
{
    static bench b;
    pinion_context_options chosen = pinion_context_options_default();
    if (!parse(argc, argv, &b.o)) {
        fprintf(stderr, "usage: layers [--models LIST] [--batch N] [--processors LIST] [--threads N] [--rounds N] "
                        "[--match TEXT] [--json]\n");
        return 2;
    }
    chosen.threads = b.o.threads;
    if (pinion_context_create(&chosen, &b.ctx) < 0) {
        fprintf(stderr, "layers: no context with these threads\n");
        return 2;
    }
    b.lines = b.o.json ? json_array() : NULL;
    const char *version = bench_onednn_version();
    printf("batch %d, %d threads, %s, oneDNN %s\n", b.o.batch, b.ctx->threads, pinion__isa_name(b.ctx->isa),
           version ? version : "not installed");
    targets_open(&b.targets, b.ctx, b.o.processors);
    printf("%-17s %-24s %-10s %-16s %-10s %-42s %9s %9s %8s %8s\n", "network", "layer", "input", "pass", "side",
           "kernel", "ms min", "median", "GFLOP/s", "of peak");
    char *models = checked(strdup(b.o.models)), *rest = NULL;
    int failed = 0;
    for (char *model = strtok_r(models, ",", &rest); model && !failed; model = strtok_r(NULL, ",", &rest))
        failed = measure_network(&b, model);
    if (!failed)
        finish(&b);
    free(models);
    targets_close(&b.targets);
    pinion_context_destroy(b.ctx);
    return failed;
}
