/* SPDX-License-Identifier: Apache-2.0
 *
 * Generators of cases, one for each family of ops: edge shapes that are known to hurt (one pixel, one channel, tails of
 * every vector length, strides over uncovered pixels, padding wider than the filter, sizes past the blocking), then
 * random ones.
 */
#include "kernel/case.h"
#include <stdio.h>
#include <string.h>

/* Images and, for windowed ops, windows; k is the output's channels where the op has its own. */
typedef struct shape_row {
    int n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w;
} shape_row;

static const shape_row conv_edges[] = {{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},      {1, 1, 1, 3, 5, 3, 3, 1, 1, 1, 1},
                                       {2, 1, 1, 17, 33, 7, 7, 1, 1, 3, 3},    {3, 5, 7, 16, 16, 1, 1, 1, 1, 0, 0},
                                       {2, 9, 9, 7, 13, 1, 1, 2, 2, 0, 0},     {2, 8, 8, 5, 6, 2, 2, 3, 3, 0, 0},
                                       {1, 4, 5, 9, 10, 1, 1, 1, 1, 2, 2},     {1, 3, 3, 8, 8, 3, 3, 1, 1, 3, 3},
                                       {2, 12, 12, 3, 64, 7, 7, 2, 2, 3, 3},   {1, 32, 32, 3, 65, 3, 3, 1, 1, 1, 1},
                                       {4, 8, 8, 64, 64, 3, 3, 1, 1, 1, 1},    {1, 6, 13, 24, 31, 1, 7, 1, 2, 0, 3},
                                       {1, 13, 6, 31, 24, 7, 1, 2, 1, 3, 0},   {5, 4, 4, 66, 70, 3, 3, 2, 2, 1, 1},
                                       {70, 1, 1, 19, 21, 1, 1, 1, 1, 0, 0},   {1, 1, 300, 4, 5, 1, 3, 1, 1, 0, 1},
                                       {1, 300, 1, 4, 5, 3, 1, 1, 1, 1, 0},    {1, 3, 3, 1100, 9, 1, 1, 1, 1, 0, 0},
                                       {1, 3, 3, 9, 1100, 3, 3, 1, 1, 1, 1},   {2, 4, 4, 257, 130, 3, 3, 1, 1, 1, 1},
                                       {3, 17, 19, 33, 15, 5, 5, 1, 1, 2, 2},  {1, 40, 40, 16, 24, 3, 3, 1, 1, 1, 1},
                                       {3, 32, 32, 20, 24, 3, 3, 1, 1, 1, 1},  {3, 32, 32, 80, 5, 3, 3, 1, 1, 1, 1},
                                       {2, 32, 36, 520, 16, 3, 3, 1, 1, 1, 1}, {1, 28, 28, 17, 520, 3, 3, 1, 1, 1, 1},
                                       {3, 8, 8, 17, 18, 3, 3, 1, 1, 1, 1},    {12, 4, 4, 16, 16, 3, 3, 1, 1, 1, 1},
                                       {2, 9, 11, 19, 33, 3, 3, 1, 1, 0, 2},   {33, 3, 3, 260, 3, 2, 3, 1, 1, 1, 1},
                                       {2, 8, 8, 32, 16, 3, 3, 1, 1, 1, 1},    {16, 32, 32, 16, 16, 3, 3, 1, 1, 1, 1},
                                       {96, 1, 1, 48, 48, 3, 3, 1, 1, 1, 1}};

static const shape_row pool_edges[] = {
    {1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0},   {1, 1, 1, 5, 0, 2, 2, 1, 1, 1, 1},     {2, 8, 8, 64, 0, 2, 2, 2, 2, 0, 0},
    {2, 9, 11, 33, 0, 3, 3, 2, 2, 1, 1}, {1, 7, 7, 17, 0, 7, 7, 7, 7, 0, 0},    {3, 5, 4, 3, 0, 3, 3, 1, 1, 1, 1},
    {1, 9, 9, 16, 0, 2, 2, 3, 3, 0, 0},  {1, 20, 20, 4, 0, 15, 17, 5, 3, 7, 8}, {4, 32, 32, 64, 0, 2, 2, 2, 2, 0, 0}};

static const shape_row image_edges[] = {
    {.n = 1, .h = 1, .w = 1, .c = 1},     {.n = 1, .h = 1, .w = 1, .c = 67},   {.n = 1, .h = 1, .w = 2, .c = 16},
    {.n = 2, .h = 3, .w = 5, .c = 1},     {.n = 70, .h = 1, .w = 1, .c = 9},   {.n = 2, .h = 16, .w = 16, .c = 64},
    {.n = 1, .h = 1, .w = 1, .c = 40000}, {.n = 5, .h = 31, .w = 33, .c = 24}, {.n = 8, .h = 32, .w = 32, .c = 17}};

static const shape_row row_edges[] = {
    {.n = 1, .c = 1, .k = 1},  {.n = 1, .c = 1000, .k = 10}, {.n = 64, .c = 512, .k = 10}, {.n = 3, .c = 17, .k = 1000},
    {.n = 65, .c = 1, .k = 1}, {.n = 7, .c = 1030, .k = 67}, {.n = 33, .c = 64, .k = 64}};

static const shape_row conv_bench[] = {
    {32, 32, 32, 64, 64, 3, 3, 1, 1, 1, 1},  {32, 16, 16, 128, 128, 3, 3, 1, 1, 1, 1},
    {32, 8, 8, 256, 256, 3, 3, 1, 1, 1, 1},  {32, 4, 4, 512, 512, 3, 3, 1, 1, 1, 1},
    {32, 32, 32, 3, 64, 3, 3, 1, 1, 1, 1},   {32, 32, 32, 64, 128, 3, 3, 2, 2, 1, 1},
    {32, 32, 32, 64, 128, 1, 1, 2, 2, 0, 0}, {32, 16, 16, 32, 192, 1, 1, 1, 1, 0, 0}};
static const shape_row depthwise_rows[] = {
    {32, 32, 32, 32, 0, 3, 3, 1, 1, 1, 1},  {32, 32, 32, 96, 0, 3, 3, 1, 1, 1, 1},
    {32, 32, 32, 144, 0, 3, 3, 1, 1, 1, 1}, {32, 32, 32, 144, 0, 3, 3, 2, 2, 1, 1},
    {32, 16, 16, 192, 0, 3, 3, 1, 1, 1, 1}, {32, 16, 16, 192, 0, 3, 3, 2, 2, 1, 1},
    {32, 8, 8, 384, 0, 3, 3, 1, 1, 1, 1},   {32, 8, 8, 576, 0, 3, 3, 2, 2, 1, 1},
    {32, 4, 4, 960, 0, 3, 3, 1, 1, 1, 1}};
static const shape_row pool_bench[] = {{32, 32, 32, 64, 0, 2, 2, 2, 2, 0, 0}};
static const shape_row image_bench[] = {{.n = 32, .h = 32, .w = 32, .c = 64}, {.n = 32, .h = 4, .w = 4, .c = 512}};
static const shape_row row_bench[] = {{.n = 32, .c = 4096, .k = 10}, {.n = 32, .c = 512, .k = 1000}};

static int between(draws *from, int quick_high, int high, bool quick)
{
    return draw(from, 1, quick ? quick_high : high);
}

/* What transforms are for: 3x3, stride 1, enough channels. */
static shape_row random_3x3(draws *from, bool quick)
{
    shape_row row = {.n = draw(from, 1, 3), .r = 3, .s = 3, .stride_h = 1, .stride_w = 1};
    row.h = draw(from, 3, quick ? 10 : 22), row.w = draw(from, 3, quick ? 10 : 22);
    row.c = draw(from, 16, quick ? 20 : 48), row.k = draw(from, 16, quick ? 20 : 48);
    row.pad_h = draw(from, 0, 2), row.pad_w = draw(from, 0, 2);
    return row;
}

static shape_row random_conv(draws *from, bool quick)
{
    if (draw_chance(from, 30))
        return random_3x3(from, quick);
    shape_row row = {.r = draw(from, 1, 7), .s = draw(from, 1, 7)};
    row.n = between(from, 3, 5, quick);
    row.h = between(from, 6, 14, quick), row.w = between(from, 6, 14, quick);
    row.c = between(from, 35, 70, quick), row.k = between(from, 35, 70, quick);
    row.stride_h = draw(from, 1, 3), row.stride_w = draw(from, 1, 3);
    row.pad_h = draw(from, 0, row.r), row.pad_w = draw(from, 0, row.s);
    return row;
}

/* Kernels have code of their own for 3x3, by stride and padding. */
static shape_row random_depthwise(draws *from, bool quick)
{
    shape_row row = random_conv(from, quick);
    if (draw_chance(from, 50)) {
        row.r = row.s = 3;
        row.stride_h = row.stride_w = draw(from, 1, 2);
        row.pad_h = draw(from, 0, 3), row.pad_w = draw(from, 0, 3);
    }
    return row;
}

static shape_row random_pool(draws *from, bool quick)
{
    shape_row row = random_conv(from, quick);
    row.pad_h = draw(from, 0, row.r / 2), row.pad_w = draw(from, 0, row.s / 2);
    if (draw_chance(from, 40))
        row.r = row.s = 2, row.pad_h = draw(from, 0, 1), row.pad_w = draw(from, 0, 1);
    return row;
}

static shape_row random_image(draws *from, bool quick)
{
    return (shape_row){.n = between(from, 4, 6, quick),
                       .h = between(from, 6, 20, quick),
                       .w = between(from, 6, 20, quick),
                       .c = between(from, 40, 70, quick)};
}

static shape_row random_row(draws *from, bool quick)
{
    return (shape_row){
        .n = between(from, 20, 70, quick), .c = between(from, 100, 300, quick), .k = between(from, 40, 120, quick)};
}

static void use_conv(kernel_case *c, const shape_row *row, draws *from)
{
    c->attributes.as.conv2d = (pinion_conv2d){.k = row->k,
                                              .r = row->r,
                                              .s = row->s,
                                              .stride_h = row->stride_h,
                                              .stride_w = row->stride_w,
                                              .pad_h = row->pad_h,
                                              .pad_w = row->pad_w,
                                              .bias = draw_chance(from, 50)};
    if (c->op->id == PINION__OP_depthwise_conv2d)
        c->attributes.as.conv2d.k = 0;
}

static void use_pool(kernel_case *c, const shape_row *row, draws *from)
{
    (void)from;
    c->attributes.as.pool = (pinion_pool){.r = row->r,
                                          .s = row->s,
                                          .stride_h = row->stride_h,
                                          .stride_w = row->stride_w,
                                          .pad_h = row->pad_h,
                                          .pad_w = row->pad_w};
}

/* The batch in one to four slices of at least a sample. */
static pinion__batchnorm_statistics draw_cut(const shape_row *row, draws *from)
{
    pinion__batchnorm_statistics cut = {.h = row->h, .w = row->w};
    int slices = draw(from, 1, row->n < PINION__MAX_SLICES ? row->n : PINION__MAX_SLICES), left = row->n;
    for (int i = 0; i < slices; i++) {
        cut.n[i] = i == slices - 1 ? left : draw(from, 1, left - (slices - 1 - i));
        left -= cut.n[i];
    }
    cut.epsilon = draw_chance(from, 50) ? 1e-5f : 1e-3f;
    cut.momentum = draw_chance(from, 50) ? 0.1f : 0.25f;
    return cut;
}

static void use_image(kernel_case *c, const shape_row *row, draws *from)
{
    static const float rates[] = {0.2f, 0.1f, 0.9f, 0.0f};
    if (c->op->id == PINION__OP_batchnorm || c->op->id == PINION__OP_batchnorm_stored)
        c->attributes.as.batchnorm = (pinion_batchnorm){.epsilon = c->integers             ? 0.25f
                                                                   : draw_chance(from, 50) ? 0
                                                                                           : 1e-3f,
                                                        .momentum = draw_chance(from, 50) ? 0 : 0.25f};
    if (c->op->id == PINION__OP_batchnorm_statistics)
        c->attributes.as.batchnorm_statistics = draw_cut(row, from);
    if (c->op->id == PINION__OP_dropout)
        c->attributes.as.dropout.rate = c->integers ? (draw_chance(from, 50) ? 0.5f : 0.75f) : rates[draw(from, 0, 3)];
}

static void use_row(kernel_case *c, const shape_row *row, draws *from)
{
    if (c->op->id == PINION__OP_linear)
        c->attributes.as.linear = (pinion_linear){.k = row->k, .bias = draw_chance(from, 50)};
    else if (c->op->id == PINION__OP_softmax_cross_entropy)
        c->attributes.as.loss.label_smoothing = draw_chance(from, 50) ? 0 : 0.1f;
    else if (c->op->id == PINION__OP_distillation)
        c->attributes.as.distillation.weight = draw_chance(from, 50) ? 1 : 0.25f;
}

void case_optimizer(enum pinion__op_id op, pinion__attributes *attributes, bool integers, draws *from)
{
    if (op == PINION__OP_sgd)
        attributes->as.sgd = (pinion__sgd){.momentum = draw_chance(from, 25) ? 0
                                                       : integers            ? 0.5f
                                                                             : 0.9f,
                                           .weight_decay = draw_chance(from, 50) ? 0
                                                           : integers            ? 0.25f
                                                                                 : 5e-4f,
                                           .nesterov = draw_chance(from, 50)};
    if (op == PINION__OP_adamw)
        attributes->as.adamw = (pinion__adamw){
            .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .weight_decay = draw_chance(from, 50) ? 0 : 0.01f};
}

float case_rate(bool integers)
{
    return integers ? 0.5f : 0.05f;
}

static void use_parameter(kernel_case *c, const shape_row *row, draws *from)
{
    (void)row;
    case_optimizer(c->op->id, &c->attributes, c->integers, from);
    c->step.learning_rate = case_rate(c->integers);
    c->slots = draw(from, 1, 70);
}

/* fold_batchnorm: the image is the weights, n their filters; the output is a vector of their number. */
static void use_weights(kernel_case *c, const shape_row *row, draws *from)
{
    (void)row, (void)from;
    c->attributes.as.batchnorm = (pinion_batchnorm){.epsilon = c->integers ? 0.25f : 1e-3f, .momentum = 0.1f};
}

typedef struct generator {
    const shape_row *edges;
    int edge_count;
    const shape_row *bench;
    int bench_count;
    shape_row (*random)(draws *from, bool quick);
    void (*use)(kernel_case *c, const shape_row *row, draws *from);
} generator;

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define GENERATOR(family, use)                                                                                         \
    {                                                                                                                  \
        family##_edges, COUNT(family##_edges), family##_bench, COUNT(family##_bench), random_##family, use             \
    }

static const generator generators[PINION__OP_COUNT] = {
    [PINION__OP_conv2d] = GENERATOR(conv, use_conv),
    [PINION__OP_depthwise_conv2d] = {conv_edges, COUNT(conv_edges), conv_bench, COUNT(conv_bench), random_depthwise,
                                     use_conv},
    [PINION__OP_batchnorm] = GENERATOR(image, use_image),
    [PINION__OP_batchnorm_stored] = GENERATOR(image, use_image),
    [PINION__OP_normalise] = GENERATOR(image, use_image),
    [PINION__OP_statistics] = GENERATOR(image, use_image),
    [PINION__OP_batchnorm_statistics] = GENERATOR(image, use_image),
    [PINION__OP_fold_batchnorm] = GENERATOR(image, use_weights),
    [PINION__OP_relu] = GENERATOR(image, use_image),
    [PINION__OP_relu6] = GENERATOR(image, use_image),
    [PINION__OP_add] = GENERATOR(image, use_image),
    [PINION__OP_maxpool] = GENERATOR(pool, use_pool),
    [PINION__OP_avgpool] = GENERATOR(pool, use_pool),
    [PINION__OP_global_avgpool] = GENERATOR(image, use_image),
    [PINION__OP_linear] = GENERATOR(row, use_row),
    [PINION__OP_dropout] = GENERATOR(image, use_image),
    [PINION__OP_softmax_cross_entropy] = GENERATOR(row, use_row),
    [PINION__OP_distillation] = GENERATOR(row, use_row),
    [PINION__OP_sgd] = GENERATOR(image, use_parameter),
    [PINION__OP_adamw] = GENERATOR(image, use_parameter),
    [PINION__OP_grad_square] = GENERATOR(image, use_parameter),
    [PINION__OP_clip_scale] = GENERATOR(image, use_parameter),
};

/* The depthwise layers of mobilenetv2-cifar. */
static const generator depthwise_bench = {.bench = depthwise_rows, .bench_count = COUNT(depthwise_rows)};

bool case_known(const pinion__op *op)
{
    return generators[op->id].random != NULL;
}

int case_edges(const pinion__op *op)
{
    return 2 * generators[op->id].edge_count;
}

/* Shapes, attributes and the rest of a case from its row; false where the op refuses them. */
static bool complete(pinion_context *ctx, kernel_case *c, shape_row row, draws *from)
{
    generators[c->op->id].use(c, &row, from);
    c->n = row.n;
    c->inputs[0] = c->inputs[1] = (pinion_shape){row.h > 0 ? row.h : 1, row.w > 0 ? row.w : 1, row.c};
    c->output = c->op->id == PINION__OP_fold_batchnorm ? (pinion_shape){1, 1, c->n == 1 ? row.c : c->n} : c->inputs[0];
    return !c->op->infer || c->op->infer(ctx, "case", &c->attributes, c->inputs, &c->output) == PINION_OK;
}

/* Multiply-adds that the reference kernel is given time for. */
static bool affordable(const kernel_case *c, int64_t limit)
{
    return !c->op->macs || c->n * c->op->macs(&c->attributes, c->inputs, &c->output) <= limit;
}

static kernel_case begin_case(const pinion__op *op, enum pinion__pass pass, uint64_t seed, int number, bool integers)
{
    return (kernel_case){.op = op, .pass = pass, .seed = seed, .number = number, .integers = integers};
}

bool case_make(pinion_context *ctx, const pinion__op *op, enum pinion__pass pass, uint64_t seed, int number, bool quick,
               bool integers, kernel_case *out)
{
    const generator *source = &generators[op->id];
    kernel_case c = begin_case(op, pass, seed, number, integers);
    draws from = draws_begin(seed, 1, (uint32_t)number * 256 + (uint32_t)op->id * 8 + (uint32_t)pass);
    c.quick = quick;
    c.accumulate = pass != PINION__FORWARD && pass != PINION__UPDATE && draw_chance(&from, 40);
    c.no_optionals = draw_chance(&from, 30);
    c.layer = draw(&from, 0, 100);
    c.first_sample = draw(&from, 0, 40);
    c.step = (pinion__step){.seed = draw_word(&from),
                            .number = (uint64_t)draw(&from, 0, 3) * 100,
                            .clip_norm = draw_chance(&from, 20) ? 0 : (float)draw(&from, 1, 30)};
    bool fits = false, edge = number < case_edges(op), second = number >= source->edge_count;
    if (edge)
        fits = complete(ctx, &c, source->edges[number % source->edge_count], &from) &&
               affordable(&c, quick ? 2000000 : 200000000);
    else
        while (!fits)
            fits = complete(ctx, &c, source->random(&from, quick), &from) && affordable(&c, quick ? 600000 : 4000000);
    c.step.loss_batch = c.n + draw(&from, 0, 1) * c.n;
    c.aliased = draw_chance(&from, 40);
    if (case_fusible(op, pass) && (edge ? second : draw_chance(&from, 50)))
        case_fuse(&c, &from);
    else if (edge && second)
        fits = false; /* it came before */
    *out = c;
    return fits;
}

bool case_bench(pinion_context *ctx, const pinion__op *op, enum pinion__pass pass, int number, kernel_case *out)
{
    enum { FUSED = 4 }; /* so many draws of what fusion adds to a shape */
    const generator *source = op->id == PINION__OP_depthwise_conv2d ? &depthwise_bench : &generators[op->id];
    int variants = case_fusible(op, pass) ? 1 + FUSED : 1, shape = number / variants, variant = number % variants;
    draws from = draws_begin(0, 1, (uint32_t)variant);
    *out = begin_case(op, pass, 0, number, false);
    out->step = (pinion__step){.loss_batch = 32, .clip_norm = 1};
    if (shape >= source->bench_count || !complete(ctx, out, source->bench[shape], &from))
        return false;
    if (variant > 0)
        case_fuse(out, &from);
    return true;
}

double case_terms(const kernel_case *c)
{
    const pinion_conv2d *conv = &c->attributes.as.conv2d;
    const pinion_pool *pool = &c->attributes.as.pool;
    double pixels = (double)c->n * c->output.h * c->output.w;
    switch (c->op->id) {
    case PINION__OP_conv2d:
    case PINION__OP_depthwise_conv2d: {
        double channels = c->op->id != PINION__OP_conv2d ? 1
                          : c->pass == PINION__FORWARD   ? c->inputs[0].c
                                                         : c->output.c;
        return c->pass == PINION__BACKWARD_WEIGHTS ? pixels : (double)conv->r * conv->s * channels + 1;
    }
    case PINION__OP_linear:
        return c->pass == PINION__FORWARD ? c->inputs[0].c + 1 : c->pass == PINION__BACKWARD_DATA ? c->output.c : c->n;
    case PINION__OP_maxpool:
    case PINION__OP_avgpool:
        return (double)pool->r * pool->s;
    case PINION__OP_global_avgpool:
        return (double)c->inputs[0].h * c->inputs[0].w;
    case PINION__OP_softmax_cross_entropy:
    case PINION__OP_distillation:
        return c->inputs[0].c;
    case PINION__OP_clip_scale:
        return c->slots;
    case PINION__OP_statistics:
        return 1;
    default:
        return pixels * (c->op->id == PINION__OP_grad_square ? c->output.c : 1);
    }
}

void case_describe(const kernel_case *c, char *text, size_t bytes)
{
    const pinion_conv2d *conv = &c->attributes.as.conv2d;
    int used = snprintf(text, bytes, "case %d seed %llu: n %d, %dx%dx%d -> %dx%dx%d%s%s", c->number,
                        (unsigned long long)c->seed, c->n, c->inputs[0].h, c->inputs[0].w, c->inputs[0].c, c->output.h,
                        c->output.w, c->output.c, c->accumulate ? ", accumulate" : "",
                        c->no_optionals ? ", no optionals" : "");
    for (int i = 0; i < FEATURES; i++)
        if (case_features(c) >> i & 1 && used > 0 && (size_t)used < bytes)
            used += snprintf(text + used, bytes - (size_t)used, ", %s", case_feature_name(i));
    int written, read;
    if (case_alias(c, &written, &read) && used > 0 && (size_t)used < bytes)
        used += snprintf(text + used, bytes - (size_t)used, ", operand %d over %d", written, read);
    if (used > 0 && (size_t)used < bytes && generators[c->op->id].use == use_conv)
        snprintf(text + used, bytes - (size_t)used, ", filter %dx%d, stride %dx%d, padding %dx%d, bias %d", conv->r,
                 conv->s, conv->stride_h, conv->stride_w, conv->pad_h, conv->pad_w, conv->bias);
}
