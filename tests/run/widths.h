/* SPDX-License-Identifier: Apache-2.0
 *
 * Small dynamic networks with plans and runners, on one processor or dealt out to several, for tests of widths.
 */
#ifndef TESTS_RUN_WIDTHS_H
#define TESTS_RUN_WIDTHS_H

#include "plan/build.h"
#include "run/shared.h"
#include "run/state.h"

enum { GROUPS = 4, ANSWERS = 5, MOST_BATCH = 6, IMAGE = 8 * 8 * 3 };

static const char cut_network[] =
    "{\"name\": \"cut\", \"input\": [8, 8, 3], \"layers\": ["
    "{\"name\": \"conv1\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 13, \"filter\": 3, \"padding\": 1, "
    "\"bias\": false},"
    "{\"name\": \"bn1\", \"op\": \"batchnorm\", \"input\": \"conv1\"},"
    "{\"name\": \"relu1\", \"op\": \"relu\", \"input\": \"bn1\"},"
    "{\"name\": \"pool1\", \"op\": \"maxpool\", \"input\": \"relu1\", \"window\": 2},"
    "{\"name\": \"conv2\", \"op\": \"conv2d\", \"input\": \"pool1\", \"channels\": 13, \"filter\": 3, \"padding\": 1, "
    "\"bias\": true},"
    "{\"name\": \"sum\", \"op\": \"add\", \"inputs\": [\"conv2\", \"pool1\"]},"
    "{\"name\": \"relu2\", \"op\": \"relu\", \"input\": \"sum\"},"
    "{\"name\": \"pool2\", \"op\": \"global_avgpool\", \"input\": \"relu2\"},"
    "{\"name\": \"fc\", \"op\": \"linear\", \"input\": \"pool2\", \"channels\": 5}]}";

/* Initialised, but with running statistics and classifiers that let each group matter. groups 0: it is not cut. */
static inline pinion_network *make_cut(pinion_context *ctx, int groups, enum pinion_connect connect)
{
    pinion_network *network = NULL;
    const pinion_network_options options = {.groups = groups, .connect = connect};
    if (pinion_network_parse(ctx, cut_network, strlen(cut_network), "a test", &options, &network) < 0 ||
        pinion_network_init_weights(network, 3) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    for (int p = 0; p < (int)network->param_count; p++) {
        const pinion__param *param = &network->params[p];
        const bool classifier = strncmp(param->name, "fc", 2) == 0;
        const float by = classifier ? (float)network->layers[param->layer].group : 1.0f;
        for (size_t i = 0; i < param->bytes / sizeof(float) && (param->state || classifier); i++)
            pinion__param_data(network, p)[i] =
                by * pinion__random_uniform(5, DRAWS_DATA, (uint32_t)p, i) + (param->state ? 0.5f : 0.0f);
    }
    pinion__network_changed(network);
    return network;
}

/* Where inference runs. */
enum where { ON_CPU, ON_TWO_HOSTS, ON_MAPPED, ON_COPIED, PLACES };

typedef struct bed {
    machine m; /* its images are not used */
    enum where where;
    pinion__domain *domain;
    deal by;
    float images[MOST_BATCH * IMAGE];
} bed;

/* options' batch is at most MOST_BATCH; parts: micro-batches, 0: as the plan likes. The network is taken. */
static inline bed make_bed_of(pinion_network *network, enum where where, const pinion_plan_options *options, int parts)
{
    bed b = {.m = {.ctx = network->ctx, .network = network}, .where = where};
    b.by = (deal){.seed = 4, .hosts = where == ON_TWO_HOSTS ? 2 : 1};
    b.by.devices = where == ON_MAPPED || where == ON_COPIED;
    if (b.by.devices)
        assert_int_equal(pinion__domain_create_simulated(b.m.ctx, where == ON_COPIED, &b.domain), PINION_OK);
    /* Two threads at most: a context of one thread makes a bed of one. */
    const int threads = b.m.ctx->threads < 2 ? b.m.ctx->threads : 2;
    if (where == ON_CPU)
        assert_int_equal(pinion__processor_create_cpu(b.m.ctx, threads, &b.m.processors[b.m.processor_count++]),
                         PINION_OK);
    else
        add_processors(&b.m, b.domain, &b.by);
    const pinion__plan_tuning tuning = {
        .processor_of = where == ON_CPU ? NULL : deal_out, .user = &b.by, .micro_batches = parts};
    if (pinion__plan_create_tuned(network, options, &tuning, b.m.processors, b.m.processor_count, &b.m.plan) < 0 ||
        pinion_runner_create(b.m.plan, &b.m.runner) < 0)
        fail_msg("%s", pinion_context_error(b.m.ctx));
    pinion__random_normal(1, DRAWS_DATA, 0, MOST_BATCH * IMAGE, b.images);
    return b;
}

static inline pinion_plan_options infer_options(int batch, int width)
{
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = batch;
    options.width = width;
    return options;
}

static inline bed make_bed(pinion_context *ctx, enum pinion_connect connect, enum where where, int batch, int parts)
{
    const pinion_plan_options options = infer_options(batch, 0);
    return make_bed_of(make_cut(ctx, GROUPS, connect), where, &options, parts);
}

static inline void end_bed(bed *b)
{
    end(&b->m);
    pinion__domain_destroy_simulated(b->domain);
}

/* The logits of `count` images at a width. */
static inline void infer_at(bed *b, int width, int count, float *logits)
{
    if (pinion_runner_set_width(b->m.runner, width) < 0 ||
        pinion_runner_infer(b->m.runner, b->images, count, logits) < 0)
        fail_msg("width %d: %s", width, pinion_context_error(b->m.ctx));
}

/* What networks of each width give that have no other groups: by width, image, class. Parts of a batch may run by other
 * kernels than the whole of it, so the answers are those of as many micro-batches. */
typedef struct answers {
    float at[GROUPS][MOST_BATCH * ANSWERS];
} answers;

static inline answers find_answers(pinion_context *ctx, enum pinion_connect connect, int batch, int parts)
{
    answers all;
    for (int width = 1; width <= GROUPS; width++) {
        const pinion_plan_options options = infer_options(batch, width);
        bed b = make_bed_of(make_cut(ctx, GROUPS, connect), ON_CPU, &options, parts);
        assert_int_equal(b.m.plan->width, width);
        infer_at(&b, width, batch, all.at[width - 1]);
        end_bed(&b);
    }
    return all;
}

#endif
