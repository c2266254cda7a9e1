/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader's thread fills a ring of slots; next() hands them out in order. `made` counts batches that are ready,
 * `taken` those handed out, `freed` those given back: slots freed … taken-1 are with the caller (at most one),
 * taken … made-1 wait, the rest may be written. Slot s of the ring holds batch number s modulo the ring's length.
 * The three counts and the end of the stream are guarded by `lock`; a slot's contents belong to the one side that the
 * counts name, so they need no lock.
 *
 * The thread has a context of its own, with the same allocator and log: what it allocates (images are decoded there)
 * and why it fails does not mix with what the caller's threads do. A failure is told to the caller's context by next().
 */
#include "data/loader.h"
#include "base/clock.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/dataset.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { DEFAULT_AHEAD = 3, MAX_AHEAD = 1024, MAX_BATCH = 65536 };

typedef struct slot {
    pinion__loader_slot at;
    uint32_t *samples; /* its own, also where the slot's memory is borrowed */
    int count;
    int64_t epoch, index;
} slot;

struct pinion__loader {
    pinion_context *ctx, *own;
    pinion__loader_options options;
    pinion_shape image;
    int64_t samples, batches; /* in an epoch */
    pinion__normaliser normaliser;
    uint32_t *order; /* positions of the epoch that is being read; NULL: in order */
    unsigned char *pixels;
    slot *slots;
    int64_t slot_count;
    bool borrowed; /* the memory of the slots */

    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t ready, room;
    int64_t made, taken, freed;
    bool stop;      /* told by destroy */
    bool ended;     /* the thread makes no more batches, because of: */
    int end_status; /* PINION_OK: the epoch is over */
    int64_t end_epoch;
};

static int64_t sample_count(const pinion__loader_options *options)
{
    return options->subset ? options->subset_count : pinion__dataset_count(options->dataset, options->part);
}

int64_t pinion__loader_batches(const pinion__loader_options *options)
{
    int64_t rounding = options->drop_last ? 0 : options->batch - 1;
    return (sample_count(options) + rounding) / options->batch;
}

/* The loader's thread. */

/* Position within an epoch to index within the part. */
static int64_t sample_at(const pinion__loader *self, int64_t position)
{
    int64_t place = self->order ? (int64_t)self->order[position] : position;
    return self->options.subset ? (int64_t)self->options.subset[place] : place;
}

static int fill_slot(pinion__loader *self, slot *into, int64_t epoch, int64_t index)
{
    pinion_context *ctx = self->own;
    int status = PINION_OK;
    const pinion__loader_options *options = &self->options;
    int64_t begin = index * options->batch, left = self->samples - begin;
    size_t values = (size_t)self->image.h * (size_t)self->image.w * (size_t)self->image.c;
    into->count = left < options->batch ? (int)left : options->batch;
    into->epoch = epoch;
    into->index = index;
    for (int i = 0; i < into->count; i++) {
        int64_t sample = sample_at(self, begin + i);
        int label;
        PINION_TRY(pinion__dataset_read(ctx, options->dataset, options->part, sample, self->pixels, &label));
        pinion__transform transform =
            pinion__transform_draw(self->image, options->augment, options->seed, epoch, sample);
        pinion__transform_apply(&transform, &self->normaliser, self->image, self->pixels,
                                into->at.images + (size_t)i * values);
        into->at.labels[i] = label;
        into->samples[i] = (uint32_t)sample;
    }
    size_t missing = (size_t)(options->batch - into->count);
    memset(into->at.images + (size_t)into->count * values, 0, missing * values * sizeof(float));
    memset(into->at.labels + into->count, 0, missing * sizeof(int32_t));
fail:
    return status;
}

/* The next slot to fill; NULL: the loader is being destroyed. */
static slot *wait_for_room(pinion__loader *self)
{
    pthread_mutex_lock(&self->lock);
    while (!self->stop && self->made - self->freed >= self->slot_count)
        pthread_cond_wait(&self->room, &self->lock);
    slot *into = self->stop ? NULL : &self->slots[self->made % self->slot_count];
    pthread_mutex_unlock(&self->lock);
    return into;
}

static void publish(pinion__loader *self)
{
    pthread_mutex_lock(&self->lock);
    self->made++;
    pthread_cond_signal(&self->ready);
    pthread_mutex_unlock(&self->lock);
}

static void end_stream(pinion__loader *self, int64_t epoch, int status)
{
    pthread_mutex_lock(&self->lock);
    self->ended = true;
    self->end_epoch = epoch;
    self->end_status = status;
    pthread_cond_signal(&self->ready);
    pthread_mutex_unlock(&self->lock);
}

/* False: no further batch is wanted or possible. */
static bool make_batch(pinion__loader *self, int64_t epoch, int64_t index)
{
    slot *into = wait_for_room(self);
    if (!into)
        return false;
    int status = fill_slot(self, into, epoch, index);
    if (status < 0)
        end_stream(self, epoch, status);
    else
        publish(self);
    return status >= 0;
}

static void *run(void *argument)
{
    pinion__loader *self = argument;
    const pinion__loader_options *options = &self->options;
    int64_t first = options->first_batch;
    for (int64_t epoch = options->first_epoch;; epoch++) {
        if (self->order)
            pinion__random_permutation(options->seed, PINION__RANDOM_SHUFFLE, (uint32_t)epoch, (size_t)self->samples,
                                       self->order);
        for (int64_t index = first; index < self->batches; index++)
            if (!make_batch(self, epoch, index))
                return NULL;
        first = 0;
        if (!options->repeat) {
            end_stream(self, epoch, PINION_OK);
            return NULL;
        }
    }
}

/* The caller's side. */

static int check_options(pinion_context *ctx, const pinion__loader_options *options)
{
    int status = PINION_OK;
    PINION_FAIL_IF(options->batch < 1 || options->batch > MAX_BATCH, PINION_EINVAL, "batch %d: expected 1 to %d",
                   options->batch, (int)MAX_BATCH);
    const char *spec = options->dataset->info.spec;
    const char *part = options->part == PINION_PART_TRAIN ? "training" : "test";
    int64_t count = pinion__dataset_count(options->dataset, options->part), samples = sample_count(options);
    PINION_FAIL_IF(samples < 1, PINION_EINVAL, "%s: no samples in the %s part", spec, part);
    PINION_FAIL_IF(samples > count, PINION_EINVAL, "%s: %lld samples wanted of the %s part, which has %lld", spec,
                   (long long)samples, part, (long long)count);
    for (int64_t i = 0; options->subset && i < samples; i++)
        PINION_FAIL_IF((int64_t)options->subset[i] >= count, PINION_EINVAL,
                       "%s: sample %lu wanted of the %s part, which has %lld", spec, (unsigned long)options->subset[i],
                       part, (long long)count);
    int64_t batches = pinion__loader_batches(options);
    PINION_FAIL_IF(batches < 1, PINION_EINVAL, "%s: %lld samples in the %s part are fewer than a batch of %d", spec,
                   (long long)samples, part, options->batch);
    PINION_FAIL_IF(options->first_epoch < 0 || options->first_batch < 0 || options->first_batch > batches,
                   PINION_EINVAL, "%s: to begin at epoch %lld, batch %lld: an epoch has %lld batches", spec,
                   (long long)options->first_epoch, (long long)options->first_batch, (long long)batches);
    PINION_FAIL_IF(options->ahead < 0 || options->ahead > MAX_AHEAD, PINION_EINVAL,
                   "%d batches ahead: expected 0 to %d", options->ahead, (int)MAX_AHEAD);
fail:
    return status;
}

static int allocate_slots(pinion_context *ctx, pinion__loader *self)
{
    int status = PINION_OK;
    size_t batch = (size_t)self->options.batch;
    size_t values = (size_t)self->image.h * (size_t)self->image.w * (size_t)self->image.c;
    PINION_FAIL_IF(batch > SIZE_MAX / sizeof(float) / values, PINION_ENOMEM,
                   "out of memory: a batch of %zu images is too large", batch);
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)self->slot_count, sizeof *self->slots, "a loader", &self->slots));
    for (int64_t i = 0; i < self->slot_count; i++) {
        pinion__loader_slot *at = &self->slots[i].at;
        PINION_TRY(pinion__alloc(ctx, batch, sizeof(uint32_t), "a batch's samples", &self->slots[i].samples));
        if (self->borrowed) {
            *at = self->options.slots[i];
            continue;
        }
        PINION_TRY(pinion__alloc_aligned(ctx, batch * values * sizeof(float), 64, "a batch of images", &at->images));
        PINION_TRY(pinion__alloc(ctx, batch, sizeof(int32_t), "a batch of labels", &at->labels));
    }
    self->options.slots = NULL; /* the list is the caller's */
    PINION_TRY(pinion__alloc(ctx, values, 1, "an image", &self->pixels));
    if (self->options.shuffle)
        PINION_TRY(
            pinion__alloc(ctx, (size_t)self->samples, sizeof *self->order, "the order of samples", &self->order));
fail:
    return status;
}

static int create_own_context(pinion_context *ctx, pinion__loader *self)
{
    int status = PINION_OK;
    pinion_context_options options = ctx->options;
    options.isa = pinion_context_isa(ctx);
    options.threads = 1;
    status = pinion_context_create(&options, &self->own);
    PINION_FAIL_IF(status < 0, status, "%s: the context of a loader", pinion_error_text(status));
fail:
    return status;
}

/* Signals are for the caller's threads. */
static int start_thread(pinion_context *ctx, pinion__loader *self)
{
    int status = PINION_OK;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&self->thread, NULL, run, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    PINION_FAIL_IF(error, error == EAGAIN ? PINION_ENOMEM : PINION_EFAILED, "the loader's thread cannot be started: %s",
                   strerror(error));
    self->started = true;
fail:
    return status;
}

int pinion__loader_create(pinion_context *ctx, const pinion__loader_options *options, pinion__loader **out)
{
    int status = PINION_OK;
    pinion__loader *self = NULL;
    PINION_TRY(check_options(ctx, options));
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *self, "a loader", &self));
    self->ctx = ctx;
    self->options = *options;
    if (options->part == PINION_PART_TEST)
        self->options.augment = PINION_AUGMENT_NONE;
    self->image = options->dataset->info.image;
    self->samples = sample_count(options);
    self->batches = pinion__loader_batches(options);
    /* One more than those kept ready: the one with the caller. */
    self->slot_count = (options->ahead ? options->ahead : DEFAULT_AHEAD) + 1;
    self->borrowed = options->slots != NULL;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->ready, NULL);
    pthread_cond_init(&self->room, NULL);
    pinion__normaliser_init(&self->normaliser, &options->dataset->info);
    PINION_TRY(allocate_slots(ctx, self));
    PINION_TRY(create_own_context(ctx, self));
    PINION_TRY(start_thread(ctx, self));
    *out = self;
    return PINION_OK;
fail:
    pinion__loader_destroy(self);
    return status;
}

static void stop_thread(pinion__loader *self)
{
    pthread_mutex_lock(&self->lock);
    self->stop = true;
    pthread_cond_signal(&self->room);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
}

void pinion__loader_destroy(pinion__loader *self)
{
    if (!self)
        return;
    pinion_context *ctx = self->ctx;
    if (self->started)
        stop_thread(self);
    for (int64_t i = 0; self->slots && i < self->slot_count; i++) {
        pinion__release(ctx, self->slots[i].samples);
        if (self->borrowed)
            continue;
        pinion__release(ctx, self->slots[i].at.images);
        pinion__release(ctx, self->slots[i].at.labels);
    }
    pinion__release(ctx, self->slots);
    pinion__release(ctx, self->pixels);
    pinion__release(ctx, self->order);
    pinion_context_destroy(self->own);
    pthread_cond_destroy(&self->room);
    pthread_cond_destroy(&self->ready);
    pthread_mutex_destroy(&self->lock);
    pinion__release(ctx, self);
}

/* Gives back the batch handed out before and waits for the next; false: the stream has ended before it. */
static bool take_slot(pinion__loader *self, const slot **from, int64_t *wait_ns)
{
    pthread_mutex_lock(&self->lock);
    if (self->freed < self->taken) {
        self->freed = self->taken;
        pthread_cond_signal(&self->room);
    }
    *wait_ns = 0;
    if (self->made == self->taken && !self->ended) {
        int64_t begin = pinion__now_ns();
        while (self->made == self->taken && !self->ended)
            pthread_cond_wait(&self->ready, &self->lock);
        *wait_ns = pinion__now_ns() - begin;
    }
    bool taken = self->made > self->taken;
    if (taken)
        *from = &self->slots[self->taken++ % self->slot_count];
    pthread_mutex_unlock(&self->lock);
    return taken;
}

int pinion__loader_next(pinion__loader *self, pinion__batch *out, int64_t *wait_ns)
{
    pinion_context *ctx = self->ctx;
    int status = PINION_OK;
    int64_t waited;
    const slot *from = NULL;
    if (take_slot(self, &from, &waited)) {
        *out = (pinion__batch){from->at.images, from->at.labels, from->samples, from->count, from->epoch, from->index};
    } else {
        PINION_FAIL_IF(self->end_status < 0, self->end_status, "%s", self->own->sentence);
        *out = (pinion__batch){.epoch = self->end_epoch, .index = self->batches};
    }
    if (wait_ns)
        *wait_ns = waited;
fail:
    return status;
}
