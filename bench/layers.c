/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of every CPU kernel of the convolution layers of the zoo, pass by pass: milliseconds, GFLOP/s of the direct
 * algorithm, and the share of the peak of fused multiply-adds, which is measured beside each line because machines are
 * noisy.
 *
 *     layers [BATCH [THREADS [REPETITIONS [MATCH]]]]      MATCH: part of the layer's or the kernel's name
 */
#include "base/clock.h"
#include "base/random.h"
#include "kernel/kernel.h"
#include "op/operands.h"

#include <pinion/context.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef struct layer_row {
    const char *name;
    bool depthwise;
    int size, c, k, r, stride, pad;
} layer_row;

static const layer_row layers[] = {
    {"resnet18 stem", false, 32, 3, 64, 3, 1, 1},
    {"resnet18 64@32", false, 32, 64, 64, 3, 1, 1},
    {"resnet18 64-128/2", false, 32, 64, 128, 3, 2, 1},
    {"resnet18 64-128 1x1/2", false, 32, 64, 128, 1, 2, 0},
    {"resnet18 128@16", false, 16, 128, 128, 3, 1, 1},
    {"resnet18 128-256/2", false, 16, 128, 256, 3, 2, 1},
    {"resnet18 128-256 1x1/2", false, 16, 128, 256, 1, 2, 0},
    {"resnet18 256@8", false, 8, 256, 256, 3, 1, 1},
    {"resnet18 256-512/2", false, 8, 256, 512, 3, 2, 1},
    {"resnet18 256-512 1x1/2", false, 8, 256, 512, 1, 2, 0},
    {"resnet18 512@4", false, 4, 512, 512, 3, 1, 1},
    {"alexnet 64-192@16", false, 16, 64, 192, 3, 1, 1},
    {"alexnet 192-384@8", false, 8, 192, 384, 3, 1, 1},
    {"alexnet 384-256@8", false, 8, 384, 256, 3, 1, 1},
    {"alexnet 256@8", false, 8, 256, 256, 3, 1, 1},
    {"mobilenetv2 16-96@32", false, 32, 16, 96, 1, 1, 0},
    {"mobilenetv2 96dw@32", true, 32, 96, 96, 3, 1, 1},
    {"mobilenetv2 144dw@32/2", true, 32, 144, 144, 3, 2, 1},
    {"mobilenetv2 144-24@32", false, 32, 144, 24, 1, 1, 0},
    {"mobilenetv2 384dw@8", true, 8, 384, 384, 3, 1, 1},
    {"mobilenetv2 96-576@8", false, 8, 96, 576, 1, 1, 0},
    {"mobilenetv2 960-320@4", false, 4, 960, 320, 1, 1, 0},
};

enum { PEAK_STEPS = 40000, PEAK_CHAINS = 12 };

static void peak_plain(float *out)
{
    float sum = *out;
    for (int i = 0; i < PEAK_STEPS * PEAK_CHAINS; i++)
        sum = sum * 0.5F + 1.0F;
    *out = sum;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void peak_avx512(float *out)
{
    __m512 sums[PEAK_CHAINS];
    const __m512 half = _mm512_set1_ps(0.5F);
    for (int j = 0; j < PEAK_CHAINS; j++)
        sums[j] = _mm512_set1_ps(*out + (float)j);
    for (int i = 0; i < PEAK_STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < PEAK_CHAINS; j++)
            sums[j] = _mm512_fmadd_ps(sums[j], half, half);
    for (int j = 0; j < PEAK_CHAINS; j++)
        *out += _mm512_reduce_add_ps(sums[j]);
}

__attribute__((target("avx2,fma"))) static void peak_avx2(float *out)
{
    __m256 sums[PEAK_CHAINS];
    const __m256 half = _mm256_set1_ps(0.5F);
    for (int j = 0; j < PEAK_CHAINS; j++)
        sums[j] = _mm256_set1_ps(*out + (float)j);
    for (int i = 0; i < PEAK_STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < PEAK_CHAINS; j++)
            sums[j] = _mm256_fmadd_ps(sums[j], half, half);
    for (int j = 0; j < PEAK_CHAINS; j++)
        *out += _mm256_cvtss_f32(sums[j]);
}
#endif

/* Peak of one thread in GFLOP/s: chains of multiply-adds in registers. A plain chain where no such loop is written. */
static double peak_gflops(enum pinion__isa isa)
{
    void (*loop)(float *) = peak_plain;
    int lanes = 1;
#if defined(__x86_64__)
    if (isa == PINION__ISA_AVX512)
        loop = peak_avx512, lanes = 16;
    else if (isa == PINION__ISA_AVX2)
        loop = peak_avx2, lanes = 8;
#else
    (void)isa;
#endif
    double best = 0.0;
    for (int i = 0; i < 5; i++) {
        volatile float sink; /* the loop is called through a pointer, but its result must not be thrown away */
        float value = 1.0F;
        const int64_t begin = pinion__now_ns();
        loop(&value);
        const double ns = (double)(pinion__now_ns() - begin);
        sink = value;
        (void)sink;
        const double gflops = 2.0 * PEAK_STEPS * PEAK_CHAINS * lanes / ns;
        best = gflops > best ? gflops : best;
    }
    return best;
}

static pinion__view random_view(int n, int h, int w, int c)
{
    pinion__view view = {.n = n, .h = h, .w = w, .c = c, .ld = c};
    view.data = aligned_alloc(64, (pinion__view_elements(&view) * sizeof(float) + 63) & ~(size_t)63);
    if (!view.data)
        exit(4);
    pinion__random_normal(1, PINION__RANDOM_TEST, 0, pinion__view_elements(&view), view.data);
    return view;
}

static void measure(const pinion__kernel *kernel, const layer_row *layer, pinion__args *args, double gflop,
                    int repetitions)
{
    const size_t bytes = kernel->body->scratch_bytes ? kernel->body->scratch_bytes(args) : 0;
    args->scratch = aligned_alloc(64, (bytes + 127) & ~(size_t)63);
    double *samples = calloc((size_t)repetitions, sizeof *samples);
    if (!args->scratch || !samples)
        exit(4);
    kernel->body->run(args);
    double peak = 0.0;
    for (int i = 0; i < repetitions; i++) {
        const int64_t begin = pinion__now_ns();
        kernel->body->run(args);
        samples[i] = (double)(pinion__now_ns() - begin) * 1e-6;
        const double now = peak_gflops(kernel->isa);
        peak = now > peak ? now : peak;
    }
    const pinion__spread spread = pinion__summarise(samples, (size_t)repetitions);
    const double gflops = gflop / spread.min * 1e3;
    printf("%-24s %-36s %8.3f %8.3f %8.1f %6.1f %%\n", layer->name, kernel->name, spread.min, spread.median, gflops,
           100.0 * gflops / (peak * pinion__workers_threads(args->workers)));
    fflush(stdout);
    free(samples);
    free(args->scratch);
}

static void measure_layer(const pinion_context *ctx, const layer_row *layer, int batch, pinion__workers *workers,
                          int repetitions, const char *match)
{
    const pinion_conv2d attributes = {.k = layer->k,
                                      .r = layer->r,
                                      .s = layer->r,
                                      .stride_h = layer->stride,
                                      .stride_w = layer->stride,
                                      .pad_h = layer->pad,
                                      .pad_w = layer->pad};
    const int out = (layer->size + 2 * layer->pad - layer->r) / layer->stride + 1;
    const enum pinion__op_id op = layer->depthwise ? PINION__OP_depthwise_conv2d : PINION__OP_conv2d;
    const pinion__view x = random_view(batch, layer->size, layer->size, layer->c);
    const pinion__view y = random_view(batch, out, out, layer->k);
    const pinion__view w = layer->depthwise ? random_view(1, layer->r, layer->r, layer->c)
                                            : random_view(layer->k, layer->r, layer->r, layer->c);
    const pinion__view none = {0};
    pinion__args passes[] = {{.operand = {x, w, none, y}}, {.operand = {y, w, x}}, {.operand = {x, y, w, none}}};
    const double gflop =
        2e-9 * (double)pinion__view_elements(&y) * layer->r * layer->r * (layer->depthwise ? 1 : layer->c);
    for (int pass = 0; pass <= PINION__BACKWARD_WEIGHTS; pass++) {
        pinion__args *args = &passes[pass];
        args->attributes = &attributes;
        args->workers = workers;
        int cursor = 0;
        for (;;) {
            const pinion__kernel *kernel =
                pinion__kernel_next(op, (enum pinion__pass)pass, PINION__PROCESSOR_CPU, ctx->isa, args, &cursor);
            if (!kernel)
                break;
            if (strstr(layer->name, match) || strstr(kernel->name, match))
                measure(kernel, layer, args, gflop, repetitions);
        }
    }
    free(x.data);
    free(y.data);
    free(w.data);
}

int main(int argc, char **argv)
{
    const int batch = argc > 1 ? atoi(argv[1]) : 32, repetitions = argc > 3 ? atoi(argv[3]) : 10;
    pinion_context *ctx = NULL;
    pinion_context_options options = pinion_context_options_default();
    options.threads = argc > 2 ? atoi(argv[2]) : 0;
    pinion__workers *workers = NULL;
    if (batch < 1 || repetitions < 1 || pinion_context_create(&options, &ctx) < 0 ||
        pinion__workers_create(ctx, ctx->threads, &workers) < 0) {
        fprintf(stderr, "usage: layers [BATCH [THREADS [REPETITIONS [MATCH]]]]\n");
        return 2;
    }
    printf("batch %d, %d threads, %s, peak %.1f GFLOP/s a thread\n", batch, ctx->threads, pinion__isa_name(ctx->isa),
           peak_gflops(ctx->isa));
    printf("%-24s %-36s %8s %8s %8s %8s\n", "layer", "kernel", "ms min", "median", "GFLOP/s", "of peak");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        measure_layer(ctx, &layers[i], batch, workers, repetitions, argc > 4 ? argv[4] : "");
    pinion__workers_destroy(workers);
    pinion_context_destroy(ctx);
    return 0;
}
