/* SPDX-License-Identifier: Apache-2.0
 *
 * The validation split, the fingerprint of a data set, whether a network fits it, and a data set under another
 * normalisation.
 */
#include "learn/split.h"

#include "base/random.h"
#include "net/network.h"

#include <string.h>

/* Marks what is held back. */
static int mark_given(pinion_context *ctx, int64_t total, int64_t held, const int64_t *indices, bool *marked)
{
    int status = PINION_OK;
    for (int64_t i = 0; i < held; i++) {
        PINION_FAIL_IF(indices[i] < 0 || indices[i] >= total, PINION_EINVAL,
                       "val-split: sample %lld; expected 0 to %lld", (long long)indices[i], (long long)total - 1);
        PINION_FAIL_IF(marked[indices[i]], PINION_EINVAL, "val-split: sample %lld is there twice",
                       (long long)indices[i]);
        marked[indices[i]] = true;
    }
fail:
    return status;
}

static int mark_drawn(pinion_context *ctx, uint64_t seed, size_t total, size_t held, bool *marked)
{
    int status = PINION_OK;
    uint32_t *order;
    PINION_TRY(pinion__alloc(ctx, total, sizeof *order, "the validation split", &order));
    pinion__random_permutation(seed, PINION__RANDOM_SPLIT, 0, total, order);
    for (size_t i = 0; i < held; i++)
        marked[order[i]] = true;
    pinion__release(ctx, order);
fail:
    return status;
}

int pinion__split(pinion_context *ctx, uint64_t seed, int64_t total, int64_t held, const int64_t *indices,
                  uint32_t **train, uint32_t **validation)
{
    int status = PINION_OK;
    size_t count = (size_t)total, first = (size_t)held;
    uint32_t *kept = NULL, *chosen = NULL;
    bool *marked = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *marked, "the validation split", &marked));
    PINION_TRY(pinion__alloc(ctx, count - first, sizeof *kept, "the validation split", &kept));
    PINION_TRY(pinion__alloc(ctx, first, sizeof *chosen, "the validation split", &chosen));
    if (indices)
        PINION_TRY(mark_given(ctx, total, held, indices, marked));
    else
        PINION_TRY(mark_drawn(ctx, seed, count, first, marked));

    size_t trained = 0, validated = 0;
    for (size_t i = 0; i < count; i++) {
        if (marked[i])
            chosen[validated++] = (uint32_t)i;
        else
            kept[trained++] = (uint32_t)i;
    }
    *train = kept;
    *validation = chosen;
    kept = chosen = NULL;
fail:
    pinion__release(ctx, marked);
    pinion__release(ctx, kept);
    pinion__release(ctx, chosen);
    return status;
}

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t state, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        state = (state ^ at[i]) * UINT64_C(0x100000001b3); // NOLINT: the analyser loses track of bytes of numbers
    return state;
}

static uint64_t hash_info(const pinion_dataset_info *info)
{
    const int64_t numbers[] = {info->image.h, info->image.w, info->image.c, info->classes, info->train_count};
    size_t channels = (size_t)info->image.c;
    uint64_t state = hash(UINT64_C(0xcbf29ce484222325), numbers, sizeof numbers);
    state = hash(state, info->mean, channels * sizeof *info->mean);
    state = hash(state, info->std, channels * sizeof *info->std);
    for (int i = 0; i < info->classes; i++)
        state = hash(state, info->class_names[i], strlen(info->class_names[i]) + 1);
    return state;
}

/* Decoding an image, or what a user's function does, may take milliseconds. */
static int64_t sample_count(const pinion_dataset *dataset)
{
    enum { FAST = 256, SLOW = 16 };
    bool fast = dataset->kind == &pinion__dataset_cifar10 || dataset->kind == &pinion__dataset_synthetic;
    int64_t most = fast ? FAST : SLOW, count = dataset->info.train_count;
    return count < most ? count : most;
}

int pinion__data_fingerprint(pinion_context *ctx, pinion_dataset *dataset, uint64_t *out)
{
    int status = PINION_OK;
    unsigned char *pixels = NULL;
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    size_t bytes = (size_t)info.image.h * (size_t)info.image.w * (size_t)info.image.c;
    PINION_TRY(pinion__alloc(ctx, bytes, 1, "a sample", &pixels));

    uint64_t state = hash_info(&info);
    int64_t samples = sample_count(dataset);
    for (int64_t i = 0; i < samples; i++) {
        int label = 0;
        int64_t index = info.train_count * i / samples;
        PINION_TRY(pinion_dataset_read(dataset, PINION_PART_TRAIN, index, pixels, &label));
        state = hash(state, pixels, bytes);
        state = hash(state, &label, sizeof label);
    }
    *out = state;
fail:
    pinion__release(ctx, pixels);
    return status;
}

int pinion__data_fits(const pinion_network *network, const pinion_dataset_info *info)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    pinion_network_info net = pinion_network_get_info(network);
    PINION_FAIL_IF(net.input.h != info->image.h || net.input.w != info->image.w || net.input.c != info->image.c,
                   PINION_EINVAL, "'%s' has images of %dx%dx%d, but network '%s' takes %dx%dx%d", info->spec,
                   info->image.h, info->image.w, info->image.c, net.name, net.input.h, net.input.w, net.input.c);
    PINION_FAIL_IF(net.output.h != 1 || net.output.w != 1 || net.output.c != info->classes, PINION_EINVAL,
                   "'%s' has %d classes, but the output of network '%s' is %dx%dx%d; expected 1x1x%d", info->spec,
                   info->classes, net.name, net.output.h, net.output.w, net.output.c, info->classes);
fail:
    return status;
}

pinion_dataset pinion__data_renormalise(const pinion_dataset *dataset, const float mean[3], const float std[3])
{
    pinion_dataset view = *dataset;
    memcpy(view.info.mean, mean, sizeof view.info.mean);
    memcpy(view.info.std, std, sizeof view.info.std);
    return view;
}
