/* SPDX-License-Identifier: Apache-2.0
 *
 * The tiny training and the files it leaves.
 */
#include "learn/tiny.h"

#include <dirent.h>
#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"

/* A bright bar whose direction is the class, on noise. */
static int read_sample(void *user, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    (void)user;
    *label = (int)(index % TINY_CLASSES);
    for (int y = 0; y < TINY_SIDE; y++) {
        for (int x = 0; x < TINY_SIDE; x++) {
            const bool bar[TINY_CLASSES] = {y == 4, x == 4, x == y, x + y == TINY_SIDE - 1};
            for (int c = 0; c < 3; c++) {
                int element = (y * TINY_SIDE + x) * 3 + c;
                float noise = pinion__random_uniform(7, PINION__RANDOM_TEST, (uint32_t)part,
                                                     (uint64_t)(index * TINY_SIDE * TINY_SIDE * 3 + element));
                pixels[element] = (unsigned char)(noise * 150 + (bar[*label] ? 100 : 0));
            }
        }
    }
    return PINION_OK;
}

static int add_layers(pinion_network *network)
{
    const pinion_conv2d conv = {.k = 8, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    const pinion_dropout dropout = {.rate = 0.2f};
    const pinion_pool pool = {.r = 2, .s = 2};
    const pinion_linear linear = {.k = TINY_CLASSES, .bias = 1};
    pinion_layer at = PINION_INPUT;
    int status = pinion_network_add_conv2d(network, "conv1", at, &conv, &at);
    if (status == PINION_OK)
        status = pinion_network_add_batchnorm(network, "bn1", at, NULL, &at);
    if (status == PINION_OK)
        status = pinion_network_add_relu(network, "relu1", at, &at);
    if (status == PINION_OK)
        status = pinion_network_add_maxpool(network, "pool1", at, &pool, &at);
    if (status == PINION_OK)
        status = pinion_network_add_dropout(network, "drop1", at, &dropout, &at);
    if (status == PINION_OK)
        status = pinion_network_add_flatten(network, "flat", at, &at);
    if (status == PINION_OK)
        status = pinion_network_add_linear(network, "fc", at, &linear, &at);
    return status;
}

int tiny_fill(tiny *t, uint64_t seed)
{
    const pinion_shape shape = {TINY_SIDE, TINY_SIDE, 3};
    pinion_dataset_source source = {
        .info = {.spec = "tiny",
                 .image = shape,
                 .classes = TINY_CLASSES,
                 .train_count = TINY_TRAIN,
                 .test_count = TINY_TEST,
                 .mean = {0.3f, 0.3f, 0.4f},
                 .std = {0.2f, 0.25f, 0.2f},
                 .augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP},
        .read = read_sample,
    };
    int status = pinion_dataset_create(t->ctx, &source, &t->dataset);
    if (status == PINION_OK)
        status = pinion_network_create(t->ctx, "tiny", shape, &t->network);
    if (status == PINION_OK)
        status = add_layers(t->network);
    if (status == PINION_OK)
        status = pinion_network_init_weights(t->network, seed);
    return status;
}

void tiny_open(tiny *t, const pinion_context_options *options, uint64_t seed)
{
    *t = (tiny){.ctx = NULL};
    assert_int_equal(pinion_context_create(options, &t->ctx), PINION_OK);
    assert_int_equal(tiny_fill(t, seed), PINION_OK);
}

void tiny_close(tiny *t)
{
    pinion_trainer_destroy(t->trainer);
    pinion_network_destroy(t->network);
    pinion_dataset_destroy(t->dataset);
    pinion_context_destroy(t->ctx);
    *t = (tiny){.ctx = NULL};
}

pinion_train_options tiny_options(const char *out)
{
    pinion_train_options options = pinion_train_options_default();
    options.batch = TINY_BATCH;
    options.epochs = 2;
    options.learning_rate = 0.02f;
    options.clip_norm = 2;
    options.label_smoothing = 0.1f;
    options.validation = 3;
    options.out = out;
    return options;
}

typedef struct stopper {
    int64_t step, stop_after;
} stopper;

static void count_step(void *user, const pinion_step_report *report)
{
    stopper *at = user;
    at->step = report->done;
}

static int ask_stop(void *user)
{
    const stopper *at = user;
    return at->stop_after > 0 && at->step == at->stop_after;
}

int tiny_train(tiny *t, const pinion_train_options *options, const char *resume, int64_t stop_after,
               pinion_train_result *result)
{
    stopper at = {.step = 0, .stop_after = stop_after};
    const pinion_train_callbacks callbacks = {.step = count_step, .stop = ask_stop, .user = &at};
    int status = pinion_trainer_create(t->network, t->dataset, options, &t->trainer);
    if (status == PINION_OK && resume)
        status = pinion_trainer_resume(t->trainer, resume);
    if (status == PINION_OK)
        status = pinion_trainer_run(t->trainer, &callbacks, result);
    return status;
}

static char folder[64];

const char *tiny_folder(void)
{
    if (!*folder) {
        bool memory = access("/dev/shm", W_OK | X_OK) == 0;
        snprintf(folder, sizeof folder, "%s/pinion-learn-XXXXXX", memory ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(folder));
    }
    return folder;
}

/* Calls `visit` for each file of the folder. */
static void walk_folder(void (*visit)(void *user, const char *name), void *user)
{
    DIR *directory = opendir(tiny_folder());
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(user, entry->d_name);
    closedir(directory);
}

static void remove_other(void *user, const char *name)
{
    const char *kept = user;
    if (!kept || strncmp(name, kept, strlen(kept)) != 0)
        assert_int_equal(remove(tiny_path(name)), 0);
}

void tiny_folder_clean(void)
{
    walk_folder(remove_other, NULL);
}

void tiny_folder_keep(const char *name)
{
    char kept[64];
    snprintf(kept, sizeof kept, "%s", name);
    walk_folder(remove_other, kept);
}

typedef struct count {
    const char *part;
    int found;
} count;

static void count_file(void *user, const char *name)
{
    count *of = user;
    of->found += strstr(name, of->part) != NULL;
}

int tiny_folder_count(const char *part)
{
    count of = {.part = part};
    walk_folder(count_file, &of);
    return of.found;
}

void tiny_folder_remove(void)
{
    tiny_folder_clean();
    assert_int_equal(rmdir(folder), 0);
    *folder = '\0';
}

const char *tiny_path(const char *name)
{
    enum { BUFFERS = 8 };
    static char buffers[BUFFERS][512];
    static int next;
    char *buffer = buffers[next++ % BUFFERS];
    snprintf(buffer, sizeof buffers[0], "%s/%s", tiny_folder(), name);
    return buffer;
}

bool tiny_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* A whole file; the caller frees it. */
static unsigned char *slurp(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened", path);
    enum { MOST = 1 << 20 };
    unsigned char *data = malloc(MOST);
    assert_non_null(data);
    *bytes = fread(data, 1, MOST, file);
    assert_true(*bytes < MOST);
    fclose(file);
    return data;
}

void tiny_copy(const char *from, const char *to)
{
    size_t bytes;
    unsigned char *data = slurp(from, &bytes);
    FILE *file = fopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    free(data);
}

void tiny_assert_same(const char *a, const char *b)
{
    size_t bytes[2];
    unsigned char *data[2] = {slurp(a, &bytes[0]), slurp(b, &bytes[1])};
    bool same = bytes[0] == bytes[1] && memcmp(data[0], data[1], bytes[0]) == 0;
    free(data[0]);
    free(data[1]);
    if (!same)
        fail_msg("%s and %s differ", a, b);
}

static const char *const endings[] = {".safetensors", ".state.safetensors", ".best.safetensors"};
enum { FILES = sizeof endings / sizeof *endings };

void tiny_remove_training(const char *name)
{
    for (size_t i = 0; i < FILES; i++) {
        char file[128];
        snprintf(file, sizeof file, "%s%s", name, endings[i]);
        unlink(tiny_path(file));
    }
}

void tiny_assert_same_training(const char *a, const char *b)
{
    for (size_t i = 0; i < FILES; i++) {
        char names[2][128];
        snprintf(names[0], sizeof names[0], "%s%s", a, endings[i]);
        snprintf(names[1], sizeof names[1], "%s%s", b, endings[i]);
        tiny_assert_same(tiny_path(names[0]), tiny_path(names[1]));
    }
}

void tiny_make_checkpoint(void)
{
    tiny t;
    pinion_train_options options = tiny_options(tiny_path("W.safetensors"));
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 5, NULL), PINION_EINTERRUPTED);
    tiny_close(&t);
}

void tiny_edit_checkpoint(const char *from, const char *to)
{
    enum { MOST = 1 << 18 };
    static char data[MOST];
    FILE *file = fopen(tiny_path("W.state.safetensors"), "r+b");
    assert_non_null(file);
    size_t bytes = fread(data, 1, MOST, file);
    char *at = memmem(data, bytes, from, strlen(from));
    if (!at)
        fail_msg("the checkpoint has no '%s'", from);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    rewind(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}
