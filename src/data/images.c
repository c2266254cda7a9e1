/* SPDX-License-Identifier: Apache-2.0
 *
 * "images:DIR": a folder a class, classes in the order of their names. Where DIR/train is itself a folder of folders,
 * the classes are there and DIR/test, if it exists, is the test part; otherwise all of DIR is the training part.
 * Headers of all images are read when the data set is opened; pixels are decoded when a sample is read, as decoding
 * everything would take minutes.
 */
#include "data/dataset.h"
#include "data/folder.h"
#include "data/image.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SIDE = 224 };

typedef struct sample {
    char *path;
    int label;
} sample;

typedef struct sample_list {
    sample *samples;
    size_t count, capacity;
    size_t passed_over; /* entries that are neither PNG nor JPEG */
} sample_list;

typedef struct images {
    sample_list parts[2]; /* by enum pinion_part */
} images;

static bool is_image(const pinion__entry *entry)
{
    return !entry->is_folder && (pinion__has_suffix(entry->name, ".png") || pinion__has_suffix(entry->name, ".jpg") ||
                                 pinion__has_suffix(entry->name, ".jpeg"));
}

static int add_sample(pinion_context *ctx, sample_list *list, const char *folder, const char *name, int label)
{
    int status = PINION_OK;
    PINION_TRY(
        pinion__grow(ctx, &list->samples, &list->capacity, list->count + 1, sizeof *list->samples, "a list of images"));
    sample *added = &list->samples[list->count];
    *added = (sample){.label = label};
    PINION_TRY(pinion__path_join(ctx, folder, name, &added->path));
    list->count++;
    pinion__image header = {0};
    PINION_TRY(pinion__image_load(ctx, added->path, PINION__IMAGE_HEADER, &header));
fail:
    return status;
}

static int scan_class(pinion_context *ctx, const char *root, const char *name, int label, sample_list *list)
{
    int status = PINION_OK;
    char *folder = NULL;
    pinion__folder listed = {0};
    PINION_TRY(pinion__path_join(ctx, root, name, &folder));
    PINION_TRY(pinion__folder_list(ctx, folder, &listed));
    size_t before = list->count;
    for (size_t i = 0; i < listed.count; i++) {
        if (is_image(&listed.entries[i]))
            PINION_TRY(add_sample(ctx, list, folder, listed.entries[i].name, label));
        else
            list->passed_over++;
    }
    PINION_FAIL_IF(list->count == before, PINION_EFORMAT, "%s: no images: expected PNG or JPEG files of the class '%s'",
                   folder, name);
fail:
    pinion__folder_release(ctx, &listed);
    pinion__release(ctx, folder);
    return status;
}

/* Keeps only the folders: the classes. */
static int list_classes(pinion_context *ctx, const char *root, pinion__folder *out)
{
    int status = PINION_OK;
    PINION_TRY(pinion__folder_list(ctx, root, out));
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (out->entries[i].is_folder)
            out->entries[kept++] = out->entries[i];
        else
            pinion__release(ctx, out->entries[i].name);
    }
    out->count = kept;
    PINION_FAIL_IF(kept == 0, PINION_EFORMAT, "%s: no folders: expected a folder a class with PNG or JPEG images in it",
                   root);
    PINION_FAIL_IF(kept > PINION__MAX_CLASSES, PINION_EFORMAT, "%s: %zu folders: expected at most %d", root, kept,
                   (int)PINION__MAX_CLASSES);
fail:
    if (status < 0)
        pinion__folder_release(ctx, out);
    return status;
}

static int set_names(pinion_context *ctx, pinion_dataset *dataset, const pinion__folder *classes)
{
    int status = PINION_OK;
    const char **names;
    PINION_TRY(pinion__alloc(ctx, classes->count, sizeof *names, "class names", &names));
    for (size_t i = 0; i < classes->count; i++)
        names[i] = classes->entries[i].name;
    status = pinion__dataset_set_names(ctx, dataset, names, (int)classes->count);
    pinion__release(ctx, names);
fail:
    return status;
}

static int scan_train(pinion_context *ctx, pinion_dataset *dataset, const char *root)
{
    int status = PINION_OK;
    images *state = dataset->state;
    pinion__folder classes = {0};
    PINION_TRY(list_classes(ctx, root, &classes));
    PINION_TRY(set_names(ctx, dataset, &classes));
    for (size_t i = 0; i < classes.count; i++)
        PINION_TRY(scan_class(ctx, root, classes.entries[i].name, (int)i, &state->parts[PINION_PART_TRAIN]));
fail:
    pinion__folder_release(ctx, &classes);
    return status;
}

static int compare_names(const void *key, const void *name)
{
    return strcmp(key, *(const char *const *)name);
}

/* The test part may lack classes but has none of its own. */
static int scan_test(pinion_context *ctx, pinion_dataset *dataset, const char *root)
{
    int status = PINION_OK;
    images *state = dataset->state;
    const pinion_dataset_info *info = &dataset->info;
    pinion__folder classes = {0};
    PINION_TRY(list_classes(ctx, root, &classes));
    for (size_t i = 0; i < classes.count; i++) {
        const char *name = classes.entries[i].name;
        const char *const *found =
            bsearch(name, info->class_names, (size_t)info->classes, sizeof *info->class_names, compare_names);
        PINION_FAIL_IF(!found, PINION_EFORMAT, "%s: class '%s' is not among the %d classes of the training part", root,
                       name, info->classes);
        PINION_TRY(scan_class(ctx, root, name, (int)(found - info->class_names), &state->parts[PINION_PART_TEST]));
    }
fail:
    pinion__folder_release(ctx, &classes);
    return status;
}

static bool has_folder(const pinion__folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->count; i++)
        if (folder->entries[i].is_folder && (!name || strcmp(folder->entries[i].name, name) == 0))
            return true;
    return false;
}

/* Are the classes in DIR/train? A class may be called "train": then there are images in it, not folders. */
static int find_split(pinion_context *ctx, const char *folder, const char *train, bool *is_split, bool *has_test)
{
    int status = PINION_OK;
    pinion__folder listed = {0}, inner = {0};
    PINION_TRY(pinion__folder_list(ctx, folder, &listed));
    *is_split = *has_test = false;
    if (has_folder(&listed, "train")) {
        PINION_TRY(pinion__folder_list(ctx, train, &inner));
        *is_split = has_folder(&inner, NULL);
        *has_test = *is_split && has_folder(&listed, "test");
    }
fail:
    pinion__folder_release(ctx, &listed);
    pinion__folder_release(ctx, &inner);
    return status;
}

static int scan_all(pinion_context *ctx, pinion_dataset *dataset, const char *folder)
{
    int status = PINION_OK;
    images *state = dataset->state;
    char *train = NULL, *test = NULL;
    bool is_split, has_test;
    PINION_TRY(pinion__path_join(ctx, folder, "train", &train));
    PINION_TRY(pinion__path_join(ctx, folder, "test", &test));
    PINION_TRY(find_split(ctx, folder, train, &is_split, &has_test));
    PINION_TRY(scan_train(ctx, dataset, is_split ? train : folder));
    if (has_test)
        PINION_TRY(scan_test(ctx, dataset, test));
    const sample_list *parts = state->parts;
    PINION_FAIL_IF(parts[0].count > INT32_MAX || parts[1].count > INT32_MAX, PINION_EFORMAT,
                   "%s: more than %d images in a part", folder, INT32_MAX);
    dataset->info.train_count = (int64_t)parts[PINION_PART_TRAIN].count;
    dataset->info.test_count = (int64_t)parts[PINION_PART_TEST].count;
    size_t passed_over = parts[0].passed_over + parts[1].passed_over;
    if (passed_over)
        pinion__log(ctx, PINION_LOG_WARNING, "%s: passed over what is neither PNG nor JPEG: %zu entries", folder,
                    passed_over);
fail:
    pinion__release(ctx, train);
    pinion__release(ctx, test);
    return status;
}

static int images_open(pinion_context *ctx, pinion_dataset *dataset, const char *folder,
                       const pinion_dataset_options *options)
{
    int status = PINION_OK;
    images *state;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *state, "a data set", &state));
    dataset->state = state;
    pinion_dataset_info *info = &dataset->info;
    const pinion_shape *wanted = &options->image;
    info->image = (pinion_shape){.h = wanted->h ? wanted->h : DEFAULT_SIDE,
                                 .w = wanted->w ? wanted->w : DEFAULT_SIDE,
                                 .c = wanted->c ? wanted->c : 3};
    PINION_FAIL_IF(info->image.h < 1 || info->image.h > PINION__MAX_IMAGE_SIDE || info->image.w < 1 ||
                       info->image.w > PINION__MAX_IMAGE_SIDE || info->image.c != 3,
                   PINION_EINVAL, "%s: images of %dx%dx%d: expected sides of 1 to %d and 3 channels", dataset->spec,
                   info->image.h, info->image.w, info->image.c, (int)PINION__MAX_IMAGE_SIDE);
    info->augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP;
    /* ImageNet's, which torchvision's weights were trained with. */
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    memcpy(info->mean, mean, sizeof mean);
    memcpy(info->std, std, sizeof std);
    PINION_TRY(scan_all(ctx, dataset, folder));
fail:
    return status;
}

static int images_read(pinion_context *ctx, const pinion_dataset *dataset, enum pinion_part part, int64_t index,
                       unsigned char *pixels, int *label)
{
    int status = PINION_OK;
    const images *state = dataset->state;
    const sample *wanted = &state->parts[part].samples[index];
    PINION_TRY(pinion__image_read(ctx, wanted->path, dataset->info.image, pixels));
    *label = wanted->label;
fail:
    return status;
}

static void images_close(pinion_dataset *dataset)
{
    images *state = dataset->state;
    for (int part = 0; state && part < 2; part++) {
        for (size_t i = 0; i < state->parts[part].count; i++)
            pinion__release(dataset->ctx, state->parts[part].samples[i].path);
        pinion__release(dataset->ctx, state->parts[part].samples);
    }
    pinion__release(dataset->ctx, state);
}

const pinion__dataset_kind pinion__dataset_images = {
    .name = "images",
    .spec = "images:DIR",
    .open = images_open,
    .read = images_read,
    .close = images_close,
};
