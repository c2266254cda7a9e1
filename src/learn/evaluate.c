/* SPDX-License-Identifier: Apache-2.0
 *
 * Accuracy and loss of a network on a data set. Samples come unshuffled and unaugmented, the last batch as short as it
 * is; losses are added in double in the order of the samples, so the result does not depend on threads or batch
 * boundaries. A dynamic network gives the answers of all widths in one pass.
 */
#include "learn/evaluate.h"

#include "learn/feed.h"
#include "learn/split.h"
#include "net/network.h"
#include "plan/place.h"
#include "run/runner.h"

#include <math.h>
#include <string.h>

enum { SLOTS = 2 };

struct pinion__evaluator {
    pinion_context *ctx;
    const pinion_network *network;
    pinion_plan *plan;
    pinion_runner *runner;
    int batch, classes;
    float *logits; /* (batch, classes) */
};

int pinion__evaluator_create(const pinion_network *network, const pinion__processors *processors,
                             const pinion_plan_options *like, const char *kernels, const pinion_runner *trainer,
                             pinion__evaluator **out)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    pinion__evaluator *evaluator = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *evaluator, "an evaluator", &evaluator));
    evaluator->ctx = ctx;
    evaluator->network = network;
    evaluator->batch = like->batch;
    evaluator->classes = pinion_network_get_info(network).output.c;

    pinion_plan_options options = pinion_plan_options_default();
    options.mode = PINION_INFER;
    options.batch = like->batch;
    options.width = like->stage ? like->stage : like->width;
    options.patience = like->patience;
    options.processors = like->processors;
    options.place = pinion__place_is_way(like->place, processors->at, processors->count) ? like->place : NULL;
    options.measuring = like->measuring;
    options.measuring_user = like->measuring_user;
    const pinion__plan_tuning tuning = {.kernels = kernels};
    if (trainer && pinion__runner_plan(trainer)->options.memory_limit)
        options.memory_limit = network->block_bytes + pinion__runner_plan(trainer)->arena_bytes;
    PINION_TRY(
        pinion__plan_create_tuned(network, &options, &tuning, processors->at, processors->count, &evaluator->plan));
    PINION_TRY(pinion__runner_create_in(evaluator->plan, trainer, &evaluator->runner));
    PINION_TRY(pinion__feed_prepare(evaluator->runner, SLOTS));
    PINION_TRY(pinion__alloc(ctx, (size_t)like->batch * (size_t)evaluator->classes, sizeof(float), "logits",
                             &evaluator->logits));
    *out = evaluator;
    evaluator = NULL;
fail:
    pinion__evaluator_destroy(evaluator);
    return status;
}

const pinion_plan *pinion__evaluator_plan(const pinion__evaluator *evaluator)
{
    return evaluator->plan;
}

void pinion__evaluator_destroy(pinion__evaluator *evaluator)
{
    if (!evaluator)
        return;
    pinion_runner_destroy(evaluator->runner);
    pinion_plan_destroy(evaluator->plan);
    pinion__release(evaluator->ctx, evaluator->logits);
    pinion__release(evaluator->ctx, evaluator);
}

void pinion__evaluate_row(const float *logits, int classes, int label, int64_t *hits, double *loss)
{
    int best = 0;
    for (int i = 1; i < classes; i++) {
        if (logits[i] > logits[best])
            best = i;
    }
    double sum = 0;
    for (int i = 0; i < classes; i++)
        sum += exp((double)logits[i] - (double)logits[best]);
    *hits += best == label;
    // cppcheck-suppress invalidFunctionArg ; classes >= 1, so sum >= exp(0)
    *loss += log(sum) - ((double)logits[label] - (double)logits[best]);
}

static const char *part_text(enum pinion_part part)
{
    return part == PINION_PART_TRAIN ? "training" : "test";
}

/* Accuracy and loss of what is not a number would be none: `index` is the sample's. */
static int check_row(const pinion__evaluator *evaluator, const float *logits, const pinion_dataset *dataset,
                     enum pinion_part part, int64_t index)
{
    pinion_context *ctx = evaluator->ctx;
    int status = PINION_OK;
    for (int i = 0; i < evaluator->classes; i++)
        PINION_FAIL_IF(!isfinite(logits[i]), PINION_ENONFINITE,
                       "'%s': sample %lld of the %s part: network '%s' gives class %d the value %g; expected a finite "
                       "number",
                       pinion_dataset_get_info(dataset).spec, (long long)index, part_text(part),
                       evaluator->network->name, i, (double)logits[i]);
fail:
    return status;
}

/* What is added up over the samples, for each width; a network that is not cut has one. */
typedef struct tally {
    const pinion__evaluator *evaluator;
    const pinion_dataset *dataset;
    enum pinion_part part;
    const pinion__batch *batch; /* the present one */
    int64_t seen, hits[PINION_MAX_GROUPS];
    double loss[PINION_MAX_GROUPS], confidence[PINION_MAX_GROUPS];
    int status;
} tally;

static void add_answers(void *user, int width, const float *logits)
{
    tally *of = user;
    const int classes = of->evaluator->classes;
    for (int i = 0; i < of->batch->count && of->status == PINION_OK; i++) {
        const float *row = logits + (size_t)i * (size_t)classes;
        double loss = 0;
        of->status = check_row(of->evaluator, row, of->dataset, of->part, (int64_t)of->batch->samples[i]);
        pinion__evaluate_row(row, classes, of->batch->labels[i], &of->hits[width - 1], &loss);
        of->loss[width - 1] += loss;
        of->confidence[width - 1] += exp(-loss);
    }
}

static int add_batch(pinion__evaluator *evaluator, int widths, tally *of)
{
    pinion_context *ctx = evaluator->ctx;
    int status = PINION_OK;
    const pinion_anytime_options options = {.answer = add_answers, .user = of};
    if (widths > 0) {
        PINION_TRY(pinion_runner_infer_anytime(evaluator->runner, of->batch->images, of->batch->count, &options,
                                               evaluator->logits, NULL));
    } else {
        PINION_TRY(pinion_runner_infer(evaluator->runner, of->batch->images, of->batch->count, evaluator->logits));
        add_answers(of, 1, evaluator->logits);
    }
    of->seen += of->batch->count;
    PINION_TRY(of->status);
fail:
    return status;
}

static pinion_eval_result find_means(const tally *of, int widths)
{
    const double count = (double)of->seen;
    pinion_eval_result result = {.count = of->seen, .widths = widths};
    for (int i = 0; i < widths; i++) {
        result.top1_per_width[i] = 100.0 * (double)of->hits[i] / count;
        result.loss_per_width[i] = of->loss[i] / count;
        result.confidence_per_width[i] = of->confidence[i];
    }
    const int last = widths > 0 ? widths - 1 : 0;
    result.top1 = 100.0 * (double)of->hits[last] / count;
    result.loss = of->loss[last] / count;
    return result;
}

int pinion__evaluator_run(pinion__evaluator *evaluator, pinion_dataset *dataset, enum pinion_part part,
                          const uint32_t *subset, int64_t count, pinion_eval_result *out)
{
    pinion_context *ctx = evaluator->ctx;
    int status = PINION_OK;
    pinion__loader *loader = NULL;
    pinion__loader_options options = {
        .dataset = dataset, .part = part, .subset = subset, .subset_count = count, .batch = evaluator->batch};
    tally sums = {.evaluator = evaluator, .dataset = dataset, .part = part};
    const int widths = pinion_runner_get_width(evaluator->runner);
    PINION_TRY(pinion__feed_create(evaluator->runner, SLOTS, &options, &loader));
    for (;;) {
        pinion__batch batch;
        PINION_TRY(pinion__loader_next(loader, &batch, NULL));
        if (batch.count == 0)
            break;
        sums.batch = &batch;
        PINION_TRY(add_batch(evaluator, widths, &sums));
    }
    *out = find_means(&sums, widths);
fail:
    pinion__loader_destroy(loader);
    return status;
}

int pinion__evaluator_logits(pinion__evaluator *evaluator, pinion_dataset *dataset, enum pinion_part part, int width,
                             float *out)
{
    pinion_context *ctx = evaluator->ctx;
    int status = PINION_OK;
    pinion__loader *loader = NULL;
    const int whole = pinion_runner_get_width(evaluator->runner);
    pinion__loader_options options = {.dataset = dataset, .part = part, .batch = evaluator->batch};
    PINION_TRY(pinion__feed_create(evaluator->runner, SLOTS, &options, &loader));
    PINION_TRY(pinion_runner_set_width(evaluator->runner, width));
    for (;;) {
        pinion__batch batch;
        PINION_TRY(pinion__loader_next(loader, &batch, NULL));
        if (batch.count == 0)
            break;
        PINION_TRY(pinion_runner_infer(evaluator->runner, batch.images, batch.count, out));
        for (int i = 0; i < batch.count; i++)
            PINION_TRY(check_row(evaluator, out + (size_t)i * (size_t)evaluator->classes, dataset, part,
                                 (int64_t)batch.samples[i]));
        out += (size_t)batch.count * (size_t)evaluator->classes;
    }
fail:
    if (pinion_runner_get_width(evaluator->runner) != whole)
        pinion_runner_set_width(evaluator->runner, whole);
    pinion__loader_destroy(loader);
    return status;
}

static int check_normalisation(pinion_context *ctx, const float *mean, const float *std, int channels)
{
    int status = PINION_OK;
    PINION_FAIL_IF(!mean != !std, PINION_EINVAL, "evaluation: mean and std must be given together");
    for (int i = 0; mean && i < channels; i++)
        PINION_FAIL_IF(!isfinite(mean[i]) || !isfinite(std[i]) || std[i] <= 0, PINION_EINVAL,
                       "evaluation: mean %g and std %g of channel %d; expected finite numbers and std > 0",
                       (double)mean[i], (double)std[i], i);
fail:
    return status;
}

int pinion_evaluate(const pinion_network *network, pinion_dataset *dataset, enum pinion_part part, int batch,
                    const float *mean, const float *std, pinion_eval_result *out)
{
    enum { DEFAULT_BATCH = 64, MAX_BATCH = 65536 };
    if (!network)
        return PINION_EINVAL;
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    pinion__processors processors = {.count = 0};
    pinion__evaluator *evaluator = NULL;
    pinion_dataset view;
    PINION_FAIL_IF(!dataset || !out, PINION_EINVAL, "evaluation: expected a data set and somewhere to put the result");
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    int64_t count = part == PINION_PART_TRAIN ? info.train_count : info.test_count;
    PINION_FAIL_IF(batch < 0 || batch > MAX_BATCH, PINION_EINVAL, "batch is %d; expected 1 to %d, or 0 to choose",
                   batch, MAX_BATCH);
    PINION_FAIL_IF(part != PINION_PART_TRAIN && part != PINION_PART_TEST, PINION_EINVAL,
                   "part %d: expected the training or the test part", (int)part);
    PINION_FAIL_IF(count < 1, PINION_EINVAL, "'%s' has no %s part", info.spec, part_text(part));
    PINION_TRY(pinion__data_fits(network, &info));
    PINION_TRY(check_normalisation(ctx, mean, std, info.image.c));

    if (batch == 0)
        batch = count < DEFAULT_BATCH ? (int)count : DEFAULT_BATCH;
    if (mean) {
        view = pinion__data_renormalise(dataset, mean, std);
        dataset = &view;
    }
    PINION_TRY(pinion__processors_choose(ctx, NULL, &processors));
    const pinion_plan_options like = {.batch = batch, .patience = PINION_PATIENCE_ESTIMATE};
    PINION_TRY(pinion__evaluator_create(network, &processors, &like, NULL, NULL, &evaluator));
    PINION_TRY(pinion__evaluator_run(evaluator, dataset, part, NULL, 0, out));
fail:
    pinion__evaluator_destroy(evaluator);
    pinion__processors_fini(&processors);
    return status;
}
