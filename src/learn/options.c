/* SPDX-License-Identifier: Apache-2.0
 *
 * Defaults, checks, and the table of fields. A new option gets a row in the table, and a check where it can be out of
 * range.
 */
#include "learn/options.h"

#include "learn/split.h"
#include "learn/text.h"
#include "net/network.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH = 65536 };

pinion_train_options pinion_train_options_default(void)
{
    return (pinion_train_options){
        .batch = 64,
        .epochs = 10,
        .optimizer = PINION_SGD,
        .momentum = 0.9f,
        .weight_decay = 5e-4f,
        .schedule = PINION_SCHEDULE_ONECYCLE,
        .augment = -1,
        .seed = 1,
    };
}

static int check_counts(pinion_context *ctx, const pinion_train_options *o)
{
    int status = PINION_OK;
    PINION_FAIL_IF(o->batch < 1 || o->batch > MAX_BATCH, PINION_EINVAL, "batch is %d; expected 1 to %d", o->batch,
                   MAX_BATCH);
    PINION_FAIL_IF(o->epochs < 1, PINION_EINVAL, "epochs is %d; expected at least 1", o->epochs);
    PINION_FAIL_IF(o->steps < 0 || o->steps > PINION__MAX_COUNT, PINION_EINVAL,
                   "steps is %" PRId64 "; expected 1 to %" PRId64 ", or 0 for whole epochs", o->steps,
                   PINION__MAX_COUNT);
    PINION_FAIL_IF(o->save_every < 0 || o->save_every > PINION__MAX_COUNT, PINION_EINVAL,
                   "save-every is %" PRId64 "; expected 1 to %" PRId64 " steps, or 0 for ends of epochs only",
                   o->save_every, PINION__MAX_COUNT);
    PINION_FAIL_IF(o->validation < 0 || o->validation > PINION__MAX_COUNT, PINION_EINVAL,
                   "val-split is %" PRId64 "; expected a number of samples", o->validation);
    PINION_FAIL_IF(o->validation == 0 && o->validation_indices, PINION_EINVAL,
                   "val-split: there are indices of samples, but their number is 0");
    PINION_FAIL_IF(o->unfused != 0 && o->unfused != 1, PINION_EINVAL, "unfused is %d; expected 0 or 1", o->unfused);
    PINION_FAIL_IF(o->augment < -1 || o->augment > (PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP), PINION_EINVAL,
                   "augment is %d; expected -1 or a combination of enum pinion_augment", o->augment);
fail:
    return status;
}

static int check_rates(pinion_context *ctx, const pinion_train_options *o)
{
    int status = PINION_OK;
    PINION_FAIL_IF(!isfinite(o->learning_rate) || o->learning_rate < 0, PINION_EINVAL,
                   "learning rate is %g; expected a positive number", (double)o->learning_rate);
    PINION_FAIL_IF(!(o->momentum >= 0 && o->momentum < 1), PINION_EINVAL,
                   "momentum is %g; expected at least 0 and less than 1", (double)o->momentum);
    PINION_FAIL_IF(!isfinite(o->weight_decay) || o->weight_decay < 0, PINION_EINVAL,
                   "weight decay is %g; expected 0 or a positive number", (double)o->weight_decay);
    PINION_FAIL_IF(!isfinite(o->clip_norm) || o->clip_norm < 0, PINION_EINVAL,
                   "clip-norm is %g; expected 0 or a positive number", (double)o->clip_norm);
    PINION_FAIL_IF(!(o->label_smoothing >= 0 && o->label_smoothing < 1), PINION_EINVAL,
                   "label smoothing is %g; expected at least 0 and less than 1", (double)o->label_smoothing);
    PINION_FAIL_IF(!isfinite(o->recompute_share) || o->recompute_share < 0, PINION_EINVAL,
                   "recompute share is %g; expected 0 or a positive number", (double)o->recompute_share);
    PINION_FAIL_IF((int)o->optimizer < PINION_SGD || o->optimizer > PINION_ADAMW, PINION_EINVAL,
                   "optimizer is %d; expected PINION_SGD or PINION_ADAMW", (int)o->optimizer);
    PINION_FAIL_IF((int)o->schedule < PINION_SCHEDULE_CONSTANT || o->schedule > PINION_SCHEDULE_ONECYCLE, PINION_EINVAL,
                   "schedule is %d; expected a value of enum pinion_schedule", (int)o->schedule);
fail:
    return status;
}

int pinion__options_check(pinion_context *ctx, pinion_train_options *options)
{
    int status = PINION_OK;
    PINION_TRY(check_counts(ctx, options));
    PINION_TRY(check_rates(ctx, options));
    if (options->learning_rate == 0)
        options->learning_rate = options->optimizer == PINION_SGD ? 0.1f : 1e-3f;
    if (options->freeze && !*options->freeze)
        options->freeze = NULL;
    if (options->processors && !*options->processors)
        options->processors = NULL;
    if (options->place && !*options->place)
        options->place = NULL;
fail:
    return status;
}

int pinion__options_check_data(const pinion_network *network, const pinion_dataset_info *info,
                               const pinion_train_options *options)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__data_fits(network, info));
    PINION_FAIL_IF(info->train_count > UINT32_MAX, PINION_EINVAL,
                   "'%s' has %" PRId64 " training samples; expected at most %" PRIu32, info->spec, info->train_count,
                   UINT32_MAX);
    PINION_FAIL_IF(options->validation > 0 && options->validation >= info->train_count, PINION_EINVAL,
                   "val-split is %" PRId64 ", but '%s' has %" PRId64 " training samples", options->validation,
                   info->spec, info->train_count);
    int64_t rest = info->train_count - options->validation;
    PINION_FAIL_IF(rest < options->batch, PINION_EINVAL,
                   "batch is %d, but '%s' has %" PRId64 " samples to train on (%" PRId64 " held back)", options->batch,
                   info->spec, rest, options->validation);
    PINION_FAIL_IF(options->epochs > PINION__MAX_COUNT / (rest / options->batch), PINION_EINVAL,
                   "epochs is %d, of %" PRId64 " steps each; expected at most %" PRId64 " steps", options->epochs,
                   rest / options->batch, PINION__MAX_COUNT);
fail:
    return status;
}

enum kind { INT, INT64, UINT64, SIZE, REAL, STRING };

typedef struct field {
    const char *key, *option; /* in metadata, on the command line */
    enum kind kind;
    size_t offset;
    bool free;                /* may differ on resuming */
    bool later;               /* absent in older checkpoints: the default */
    const char *const *words; /* of an INT, as the command line has them; NULL: numbers */
} field;

static const char *const optimizer_words[] = {[PINION_SGD] = "sgd", [PINION_ADAMW] = "adamw"};
static const char *const schedule_words[] = {[PINION_SCHEDULE_CONSTANT] = "constant",
                                             [PINION_SCHEDULE_STEP] = "step",
                                             [PINION_SCHEDULE_COSINE] = "cosine",
                                             [PINION_SCHEDULE_ONECYCLE] = "onecycle"};
static const char *const augment_words[] = {[PINION_AUGMENT_NONE] = "none",
                                            [PINION_AUGMENT_CROP] = "crop",
                                            [PINION_AUGMENT_FLIP] = "flip",
                                            [PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP] = "crop,flip"};

#define FIELD(key, option, kind, member, free, words)                                                                  \
    {                                                                                                                  \
        "pinion.train." key, "--" option, kind, offsetof(pinion_train_options, member), free, false, words             \
    }
#define LATER_FIELD(key, kind, member)                                                                                 \
    {                                                                                                                  \
        "pinion.train." key, "--" key, kind, offsetof(pinion_train_options, member), false, true, NULL                 \
    }

static const field fields[] = {
    FIELD("batch", "batch", INT, batch, false, NULL),
    FIELD("epochs", "epochs", INT, epochs, false, NULL),
    FIELD("steps", "steps", INT64, steps, false, NULL),
    FIELD("optimizer", "optimizer", INT, optimizer, false, optimizer_words),
    FIELD("learning-rate", "lr", REAL, learning_rate, false, NULL),
    FIELD("momentum", "momentum", REAL, momentum, false, NULL),
    FIELD("weight-decay", "weight-decay", REAL, weight_decay, false, NULL),
    FIELD("schedule", "schedule", INT, schedule, false, schedule_words),
    FIELD("clip-norm", "clip-norm", REAL, clip_norm, false, NULL),
    FIELD("label-smoothing", "label-smoothing", REAL, label_smoothing, false, NULL),
    FIELD("augment", "augment", INT, augment, false, augment_words),
    FIELD("freeze", "freeze", STRING, freeze, false, NULL),
    FIELD("seed", "seed", UINT64, seed, false, NULL),
    FIELD("unfused", "no-fuse", INT, unfused, false, NULL),
    FIELD("val-split", "val-split", INT64, validation, false, NULL),
    FIELD("mem-limit", "mem-limit", SIZE, memory_limit, false, NULL),
    FIELD("recompute-share", "mem-limit", REAL, recompute_share, true, NULL),
    FIELD("save-every", "save-every", INT64, save_every, true, NULL),
    LATER_FIELD("processors", STRING, processors),
    LATER_FIELD("place", STRING, place),
};

enum { FIELDS = sizeof fields / sizeof *fields };

_Static_assert(sizeof(enum pinion_optimizer) == sizeof(int) && sizeof(enum pinion_schedule) == sizeof(int),
               "the table treats enums as int");

int pinion__pairs_add_integer(pinion__pairs *pairs, const char *key, int64_t value)
{
    char text[PINION__NUMBER_TEXT];
    snprintf(text, sizeof text, "%" PRId64, value);
    return pinion__pairs_add(pairs, key, text);
}

int pinion__pairs_add_real(pinion__pairs *pairs, const char *key, double value)
{
    char text[PINION__NUMBER_TEXT];
    pinion__real_write(value, text);
    return pinion__pairs_add(pairs, key, text);
}

static void *member(const field *row, pinion_train_options *options)
{
    return (char *)options + row->offset;
}

/* A field's value as text; strings are returned as they are, NULL as "". */
static const char *field_text(const field *row, const pinion_train_options *options, char text[PINION__NUMBER_TEXT])
{
    const char *at = (const char *)options + row->offset;
    switch (row->kind) {
    case INT:
        snprintf(text, PINION__NUMBER_TEXT, "%d", *(const int *)(const void *)at);
        break;
    case INT64:
        snprintf(text, PINION__NUMBER_TEXT, "%" PRId64, *(const int64_t *)(const void *)at);
        break;
    case UINT64:
        snprintf(text, PINION__NUMBER_TEXT, "%" PRIu64, *(const uint64_t *)(const void *)at);
        break;
    case SIZE:
        snprintf(text, PINION__NUMBER_TEXT, "%zu", *(const size_t *)(const void *)at);
        break;
    case REAL:
        pinion__real_write((double)*(const float *)(const void *)at, text);
        break;
    case STRING: {
        const char *string = *(const char *const *)(const void *)at;
        return string ? string : "";
    }
    }
    return text;
}

static bool field_parse(const field *row, const char *text, pinion_train_options *options)
{
    void *at = member(row, options);
    int64_t integer;
    uint64_t bytes;
    double real;
    switch (row->kind) {
    case INT:
        if (!pinion__integer_read(text, &integer) || integer < INT32_MIN || integer > INT32_MAX)
            return false;
        *(int *)at = (int)integer;
        return true;
    case INT64:
        return pinion__integer_read(text, at);
    case UINT64:
        return pinion__unsigned_read(text, at);
    case SIZE:
        if (!pinion__unsigned_read(text, &bytes) || bytes > SIZE_MAX)
            return false;
        *(size_t *)at = (size_t)bytes;
        return true;
    case REAL:
        if (!pinion__real_read(text, &real))
            return false;
        *(float *)at = (float)real;
        return true;
    case STRING:
        *(const char **)at = text && *text ? text : NULL;
        return text != NULL;
    }
    return false;
}

int pinion__options_write(const pinion_train_options *options, pinion__pairs *pairs)
{
    pinion_context *ctx = pairs->ctx;
    int status = PINION_OK;
    for (size_t i = 0; i < FIELDS; i++) {
        char text[PINION__NUMBER_TEXT];
        PINION_TRY(pinion__pairs_add(pairs, fields[i].key, field_text(&fields[i], options, text)));
    }
fail:
    return status;
}

int pinion__options_read(pinion_context *ctx, const pinion__st_file *file, pinion_train_options *out)
{
    int status = PINION_OK;
    pinion_train_options options = pinion_train_options_default();
    for (size_t i = 0; i < FIELDS; i++) {
        const char *text = pinion__st_get(file, fields[i].key);
        if (!text && fields[i].later)
            continue;
        PINION_FAIL_IF(!text, PINION_EFORMAT, "%s: is no checkpoint of a training: it has no '%s'", file->path,
                       fields[i].key);
        PINION_FAIL_IF(!field_parse(&fields[i], text, &options), PINION_EFORMAT, "%s: '%s' is '%.80s'; expected a %s",
                       file->path, fields[i].key, text, fields[i].kind == STRING ? "text" : "number in range");
    }
    *out = options;
fail:
    return status;
}

/* A value as people write it; the options are checked. */
static const char *field_show(const field *row, const pinion_train_options *options, char text[PINION__NUMBER_TEXT])
{
    const char *at = (const char *)options + row->offset;
    if (row->words)
        return row->words[*(const int *)(const void *)at];
    if (row->kind != REAL)
        return field_text(row, options, text);
    float value = *(const float *)(const void *)at;
    for (int digits = 6; digits <= 9; digits++) { /* the fewest that read back as the same float */
        snprintf(text, PINION__NUMBER_TEXT, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return text;
}

int pinion__options_compare(pinion_context *ctx, const pinion_train_options *now, const pinion_train_options *then)
{
    int status = PINION_OK;
    for (size_t i = 0; i < FIELDS; i++) {
        char a[PINION__NUMBER_TEXT], b[PINION__NUMBER_TEXT];
        const field *row = &fields[i];
        bool same = strcmp(field_text(row, now, a), field_text(row, then, b)) == 0;
        PINION_FAIL_IF(!same && !row->free, PINION_EINVAL, "%s is '%s', but the checkpoint was made with '%s'",
                       row->option, field_show(row, now, a), field_show(row, then, b));
    }
fail:
    return status;
}
