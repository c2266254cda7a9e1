/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of fields: how options are written into a checkpoint, read from it, and compared. Fields of stages are
 * lists, a value a stage, separated by commas.
 */
#include "learn/options.h"

#include "learn/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_TEXT = PINION_MAX_STAGES * PINION__NUMBER_TEXT };

enum kind { INT, INT64, UINT64, SIZE, REAL, STRING };

typedef struct field {
    const char *key, *option; /* in metadata, on the command line */
    enum kind kind;
    size_t offset;
    bool free;                /* may differ on resuming */
    bool later;               /* absent in older checkpoints: the default */
    bool staged;              /* written only where there are stages */
    bool list;                /* of the stages; offset is that of the first */
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
        "pinion.train." key, "--" option, kind, offsetof(pinion_train_options, member), free, false, false, false,     \
            words                                                                                                      \
    }
#define LATER_FIELD(key, kind, member)                                                                                 \
    {                                                                                                                  \
        "pinion.train." key, "--" key, kind, offsetof(pinion_train_options, member), false, true, false, false, NULL   \
    }
#define STAGED_FIELD(key, kind, member)                                                                                \
    {                                                                                                                  \
        "pinion.train." key, "--" key, kind, offsetof(pinion_train_options, member), true, true, true, false, NULL     \
    }
#define LIST_FIELD(key, option, kind, member)                                                                          \
    {                                                                                                                  \
        "pinion.train." key, "--" option, kind, offsetof(pinion_train_options, stages[0].member), false, true, true,   \
            true, NULL                                                                                                 \
    }

static const field fields[] = {
    LIST_FIELD("stage-groups", "incremental", INT, group), /* says how many stages there are: before the other lists */
    LIST_FIELD("stage-epochs", "epochs", INT, epochs),
    LIST_FIELD("stage-steps", "steps", INT64, steps),
    LIST_FIELD("stage-learning-rates", "lr", REAL, learning_rate),
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
    LATER_FIELD("stage", INT, stage),
    LATER_FIELD("joint", INT, joint),
    LATER_FIELD("distillation-weight", REAL, distillation_weight),
    STAGED_FIELD("patience", INT, patience), /* later stages are planned after resuming, too */
};

enum { FIELDS = sizeof fields / sizeof *fields };

_Static_assert(sizeof(enum pinion_optimizer) == sizeof(int) && sizeof(enum pinion_schedule) == sizeof(int) &&
                   sizeof(enum pinion_patience) == sizeof(int),
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

/* A value as text; strings are returned as they are, NULL as "". */
static const char *value_text(enum kind kind, const void *at, char text[PINION__NUMBER_TEXT])
{
    switch (kind) {
    case INT:
        snprintf(text, PINION__NUMBER_TEXT, "%d", *(const int *)at);
        break;
    case INT64:
        snprintf(text, PINION__NUMBER_TEXT, "%" PRId64, *(const int64_t *)at);
        break;
    case UINT64:
        snprintf(text, PINION__NUMBER_TEXT, "%" PRIu64, *(const uint64_t *)at);
        break;
    case SIZE:
        snprintf(text, PINION__NUMBER_TEXT, "%zu", *(const size_t *)at);
        break;
    case REAL:
        pinion__real_write((double)*(const float *)at, text);
        break;
    case STRING: {
        const char *string = *(const char *const *)at;
        return string ? string : "";
    }
    }
    return text;
}

static bool value_parse(enum kind kind, const char *text, void *at)
{
    int64_t integer;
    uint64_t bytes;
    double real;
    switch (kind) {
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

/* A real number as people write it: the fewest digits that read back as the same float. */
static const char *real_show(float value, char text[PINION__NUMBER_TEXT])
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, PINION__NUMBER_TEXT, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return text;
}

/* A field's value as text, as it is saved or (show) as people write it; the options are checked. */
static const char *field_text(const field *row, const pinion_train_options *options, bool show, char text[FIELD_TEXT])
{
    const char *at = (const char *)options + row->offset;
    const int count = row->list ? options->stage_count : 1;
    if (show && row->words)
        return row->words[*(const int *)(const void *)at];
    if (row->kind == STRING)
        return value_text(row->kind, at, text);
    char *end = text;
    *end = '\0';
    for (int i = 0; i < count; i++, at += sizeof *options->stages) {
        char value[PINION__NUMBER_TEXT];
        if (show && row->kind == REAL)
            real_show(*(const float *)(const void *)at, value);
        else
            value_text(row->kind, at, value);
        end += snprintf(end, PINION__NUMBER_TEXT, "%s%.46s", i ? "," : "", value);
    }
    return text;
}

/* The first list says how many stages there are. */
static bool list_parse(const field *row, const char *text, pinion_train_options *options)
{
    char *at = (char *)options + row->offset;
    int count = 0;
    for (; *text && count < PINION_MAX_STAGES; count++, at += sizeof *options->stages) {
        char value[PINION__NUMBER_TEXT];
        size_t length = strcspn(text, ",");
        if (length >= sizeof value)
            return false;
        memcpy(value, text, length);
        value[length] = '\0';
        if (!value_parse(row->kind, value, at))
            return false;
        text += length + (text[length] == ',');
    }
    if (row->offset == offsetof(pinion_train_options, stages[0].group))
        options->stage_count = count;
    return !*text && count == options->stage_count;
}

static bool field_parse(const field *row, const char *text, pinion_train_options *options)
{
    return row->list ? list_parse(row, text, options) : value_parse(row->kind, text, (char *)options + row->offset);
}

int pinion__options_write(const pinion_train_options *options, pinion__pairs *pairs)
{
    pinion_context *ctx = pairs->ctx;
    int status = PINION_OK;
    for (size_t i = 0; i < FIELDS; i++) {
        char text[FIELD_TEXT];
        if (fields[i].staged && !options->stage_count)
            continue;
        PINION_TRY(pinion__pairs_add(pairs, fields[i].key, field_text(&fields[i], options, false, text)));
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

int pinion__options_compare(pinion_context *ctx, const pinion_train_options *now, const pinion_train_options *then)
{
    int status = PINION_OK;
    for (size_t i = 0; i < FIELDS; i++) {
        char a[FIELD_TEXT], b[FIELD_TEXT];
        const field *row = &fields[i];
        bool same = strcmp(field_text(row, now, false, a), field_text(row, then, false, b)) == 0;
        PINION_FAIL_IF(!same && !row->free, PINION_EINVAL, "%s is '%s', but the checkpoint was made with '%s'",
                       row->option, field_text(row, now, true, a), field_text(row, then, true, b));
    }
fail:
    return status;
}
