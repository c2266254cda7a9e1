/* SPDX-License-Identifier: Apache-2.0
 *
 * "cifar10:DIR": data_batch_*.bin (any number of them, in the order of their numbers) and test_batch.bin, read into
 * memory. Every record is checked when the data set is opened, so reading cannot fail.
 */
#include "data/cifar10.h"
#include "base/file.h"
#include "data/dataset.h"
#include "data/folder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_RECORDS = 1000000 };

static const char *const published_names[PINION__CIFAR10_CLASSES] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
};

typedef struct batch_file {
    pinion__file file;
    int64_t count; /* records */
} batch_file;

typedef struct cifar10 {
    batch_file *train;
    size_t train_files, capacity;
    batch_file test;
} cifar10;

int pinion__cifar10_check(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                          int64_t *count)
{
    int status = PINION_OK;
    size_t records = bytes / PINION__CIFAR10_RECORD, rest = bytes % PINION__CIFAR10_RECORD;
    PINION_FAIL_IF(bytes == 0, PINION_EFORMAT, "%s: is empty: expected records of %d bytes", path,
                   (int)PINION__CIFAR10_RECORD);
    PINION_FAIL_IF(rest, PINION_EFORMAT,
                   "%s: %zu bytes are not a whole number of records of %d bytes: record %zu ends after %zu bytes", path,
                   bytes, (int)PINION__CIFAR10_RECORD, records, rest);
    PINION_FAIL_IF(records > MAX_RECORDS, PINION_EFORMAT, "%s: %zu records: expected at most %d", path, records,
                   (int)MAX_RECORDS);
    for (size_t i = 0; i < records; i++) {
        int label = data[i * PINION__CIFAR10_RECORD];
        PINION_FAIL_IF(label >= PINION__CIFAR10_CLASSES, PINION_EFORMAT, "%s: record %zu has label %d: expected 0 to 9",
                       path, i, label);
    }
    *count = (int64_t)records;
fail:
    return status;
}

int pinion__cifar10_unpack(const unsigned char *record, unsigned char *pixels)
{
    const unsigned char *red = record + 1, *green = red + PINION__CIFAR10_PLANE, *blue = green + PINION__CIFAR10_PLANE;
    for (int i = 0; i < PINION__CIFAR10_PLANE; i++) {
        pixels[3 * i] = red[i];
        pixels[3 * i + 1] = green[i];
        pixels[3 * i + 2] = blue[i];
    }
    return record[0];
}

int pinion__cifar10_parse_names(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                                pinion__cifar10_names names)
{
    int status = PINION_OK;
    int found = 0;
    for (size_t at = 0; at < bytes;) {
        size_t end = at;
        while (end < bytes && data[end] != '\n')
            end++;
        size_t length = end - at;
        if (length && data[at + length - 1] == '\r')
            length--;
        PINION_FAIL_IF(length >= PINION__CIFAR10_NAME_BYTES || memchr(data + at, '\0', length), PINION_EFORMAT,
                       "%s: line %d is not a class name: expected text of at most %d bytes", path, found + 1,
                       PINION__CIFAR10_NAME_BYTES - 1);
        PINION_FAIL_IF(length && found == PINION__CIFAR10_CLASSES, PINION_EFORMAT,
                       "%s: more than 10 class names: expected 10", path);
        if (length) {
            memcpy(names[found], data + at, length);
            names[found++][length] = '\0';
        }
        at = end + 1;
    }
    PINION_FAIL_IF(found < PINION__CIFAR10_CLASSES, PINION_EFORMAT, "%s: %d class names: expected 10", path, found);
fail:
    return status;
}

static int open_batch(pinion_context *ctx, const char *folder, const char *name, batch_file *out)
{
    int status = PINION_OK;
    char *path = NULL;
    PINION_TRY(pinion__path_join(ctx, folder, name, &path));
    PINION_TRY(pinion__file_open(ctx, path, &out->file));
    PINION_TRY(pinion__cifar10_check(ctx, path, out->file.data, out->file.bytes, &out->count));
fail:
    pinion__release(ctx, path);
    return status;
}

static int read_names(pinion_context *ctx, pinion_dataset *dataset, const char *folder)
{
    int status = PINION_OK;
    char *path = NULL;
    pinion__file file = {0};
    pinion__cifar10_names text;
    const char *names[PINION__CIFAR10_CLASSES];
    struct stat info;
    memcpy(names, published_names, sizeof names);
    PINION_TRY(pinion__path_join(ctx, folder, "batches.meta.txt", &path));
    if (stat(path, &info) == 0) {
        PINION_TRY(pinion__file_open(ctx, path, &file));
        PINION_TRY(pinion__cifar10_parse_names(ctx, path, file.data, file.bytes, text));
        for (int i = 0; i < PINION__CIFAR10_CLASSES; i++)
            names[i] = text[i];
    }
    status = pinion__dataset_set_names(ctx, dataset, names, PINION__CIFAR10_CLASSES);
fail:
    pinion__file_close(&file);
    pinion__release(ctx, path);
    return status;
}

/* data_batch_2.bin before data_batch_10.bin. */
static int by_number(const void *a, const void *b)
{
    const char *left = ((const pinion__entry *)a)->name, *right = ((const pinion__entry *)b)->name;
    size_t left_length = strlen(left), right_length = strlen(right);
    if (left_length != right_length)
        return left_length < right_length ? -1 : 1;
    return strcmp(left, right);
}

static bool is_train_batch(const char *name)
{
    static const char prefix[] = "data_batch_";
    return strncmp(name, prefix, sizeof prefix - 1) == 0 && pinion__has_suffix(name, ".bin");
}

static int open_train(pinion_context *ctx, pinion_dataset *dataset, const char *folder)
{
    int status = PINION_OK;
    cifar10 *state = dataset->state;
    pinion__folder listed = {0};
    PINION_TRY(pinion__folder_list(ctx, folder, &listed));
    if (listed.count > 1)
        qsort(listed.entries, listed.count, sizeof *listed.entries, by_number);
    for (size_t i = 0; i < listed.count; i++) {
        if (!is_train_batch(listed.entries[i].name))
            continue;
        PINION_TRY(pinion__grow(ctx, &state->train, &state->capacity, state->train_files + 1, sizeof *state->train,
                                "the files of a data set"));
        batch_file *batch = &state->train[state->train_files++];
        *batch = (batch_file){0};
        PINION_TRY(open_batch(ctx, folder, listed.entries[i].name, batch));
        dataset->info.train_count += batch->count;
    }
    PINION_FAIL_IF(state->train_files == 0, PINION_EFORMAT,
                   "%s: no data_batch_*.bin: expected the binary version of CIFAR-10", folder);
    PINION_FAIL_IF(dataset->info.train_count > MAX_RECORDS, PINION_EFORMAT,
                   "%s: %lld training records: expected at most %d", folder, (long long)dataset->info.train_count,
                   (int)MAX_RECORDS);
fail:
    pinion__folder_release(ctx, &listed);
    return status;
}

static int cifar10_open(pinion_context *ctx, pinion_dataset *dataset, const char *folder,
                        const pinion_dataset_options *options)
{
    (void)options;
    int status = PINION_OK;
    cifar10 *state;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *state, "a data set", &state));
    dataset->state = state;
    pinion_dataset_info *info = &dataset->info;
    info->image = (pinion_shape){PINION__CIFAR10_SIDE, PINION__CIFAR10_SIDE, 3};
    info->augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP;
    static const float mean[3] = {0.49140f, 0.48216f, 0.44653f}, std[3] = {0.24703f, 0.24349f, 0.26159f};
    memcpy(info->mean, mean, sizeof mean);
    memcpy(info->std, std, sizeof std);
    PINION_TRY(open_train(ctx, dataset, folder));
    PINION_TRY(open_batch(ctx, folder, "test_batch.bin", &state->test));
    info->test_count = state->test.count;
    PINION_TRY(read_names(ctx, dataset, folder));
fail:
    return status;
}

static int cifar10_read(pinion_context *ctx, const pinion_dataset *dataset, enum pinion_part part, int64_t index,
                        unsigned char *pixels, int *label)
{
    (void)ctx;
    const cifar10 *state = dataset->state;
    const batch_file *batch = &state->test;
    if (part == PINION_PART_TRAIN)
        for (batch = state->train; index >= batch->count; batch++)
            index -= batch->count;
    *label = pinion__cifar10_unpack(batch->file.data + (size_t)index * PINION__CIFAR10_RECORD, pixels);
    return PINION_OK;
}

static void cifar10_close(pinion_dataset *dataset)
{
    cifar10 *state = dataset->state;
    if (!state)
        return;
    for (size_t i = 0; i < state->train_files; i++)
        pinion__file_close(&state->train[i].file);
    pinion__file_close(&state->test.file);
    pinion__release(dataset->ctx, state->train);
    pinion__release(dataset->ctx, state);
}

const pinion__dataset_kind pinion__dataset_cifar10 = {
    .name = "cifar10",
    .spec = "cifar10:DIR",
    .open = cifar10_open,
    .read = cifar10_read,
    .close = cifar10_close,
};
