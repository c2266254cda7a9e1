/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of networks and weights share (support.h).
 */
#include "support.h"
#include "net/groups.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void *failing_alloc(void *user, size_t bytes, size_t alignment)
{
    test_allocator *allocator = user;
    void *block = NULL;
    if (allocator->count++ == allocator->fail_at)
        return NULL;
    return posix_memalign(&block, alignment, bytes) == 0 ? block : NULL;
}

static void failing_release(void *user, void *block)
{
    (void)user;
    free(block);
}

pinion_context *test_context_failing(test_allocator *allocator)
{
    size_t fail_at = allocator->fail_at;
    pinion_context_options options = pinion_context_options_default();
    options.alloc = failing_alloc;
    options.release = failing_release;
    options.alloc_user = allocator;
    options.threads = 1;
    pinion_context *ctx = NULL;
    allocator->fail_at = SIZE_MAX;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    allocator->count = 0;
    allocator->fail_at = fail_at;
    return ctx;
}

pinion_context *test_context(void)
{
    pinion_context_options options = pinion_context_options_default();
    options.threads = 1;
    pinion_context *ctx = NULL;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return ctx;
}

void test_context_end(pinion_context *ctx)
{
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    pinion_context_destroy(ctx);
}

static char folder[64];

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s could not be removed\n", folder);
}

const char *test_path(const char *name)
{
    static char path[256];
    if (!folder[0]) {
        strcpy(folder, "/tmp/pinion-test-net-XXXXXX");
        assert_non_null(mkdtemp(folder));
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

const char *test_source(const char *name)
{
    static char path[4096];
    const char *source = getenv("PINION_SOURCE");
    snprintf(path, sizeof path, "%s/%s", source ? source : ".", name);
    return path;
}

void test_write(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

char *test_read(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, size, file), size);
    data[size] = '\0';
    fclose(file);
    if (bytes)
        *bytes = size;
    return data;
}

int test_load(pinion_network *n, const char *path, bool replace)
{
    pinion_weights_file *file = NULL;
    pinion_weights_load_options options = {.replace_classifier = replace};
    int status = pinion_weights_open(n->ctx, path, &file);
    if (status == PINION_OK)
        status = pinion_weights_load(n, file, &options);
    pinion_weights_close(file);
    return status;
}

pinion_network *test_network_small(pinion_context *ctx, const char *name, int classes)
{
    pinion_network *n = NULL;
    pinion_layer at;
    assert_done(ctx, pinion_network_create(ctx, name, (pinion_shape){4, 6, 2}, &n));
    assert_done(ctx, pinion_network_add_conv2d(n, "conv", PINION_INPUT,
                                               &(pinion_conv2d){.k = 3, .r = 2, .s = 3, .bias = 1}, &at));
    assert_done(ctx, pinion_network_add_depthwise_conv2d(n, "dw", at, &(pinion_depthwise_conv2d){.r = 2, .s = 2}, &at));
    assert_done(ctx, pinion_network_add_flatten(n, "flatten", at, &at)); /* 2x3x3 */
    assert_done(ctx, pinion_network_add_dropout(n, "drop", at, &(pinion_dropout){.rate = 0.5f}, &at));
    assert_done(ctx, pinion_network_add_batchnorm(n, "bn", at, NULL, &at));
    assert_done(ctx, pinion_network_add_linear(n, "hidden", at, &(pinion_linear){.k = 5, .bias = 1}, &at));
    assert_done(ctx, pinion_network_add_batchnorm(n, "bn2", at, NULL, &at));
    assert_done(ctx, pinion_network_add_linear(n, "fc", at, &(pinion_linear){.k = classes, .bias = 1}, &at));
    assert_done(ctx, pinion_network_init_weights(n, 3));
    return n;
}

const char test_every_cut[] =
    "{\"name\": \"every\", \"input\": [6, 6, 2], \"layers\": ["
    "{\"name\": \"norm\", \"op\": \"batchnorm\", \"input\": \"input\"},"
    "{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"norm\", \"channels\": 5, \"filter\": 3, \"padding\": 1},"
    "{\"name\": \"dw\", \"op\": \"depthwise_conv2d\", \"input\": \"a\", \"filter\": 3, \"padding\": 1},"
    "{\"name\": \"sum\", \"op\": \"add\", \"inputs\": [\"a\", \"dw\"]},"
    "{\"name\": \"cat\", \"op\": \"concat\", \"inputs\": [\"sum\", \"a\"]},"
    "{\"name\": \"b\", \"op\": \"conv2d\", \"input\": \"cat\", \"channels\": 7, \"filter\": 1, \"bias\": false},"
    "{\"name\": \"pool\", \"op\": \"maxpool\", \"input\": \"b\", \"window\": 3},"
    "{\"name\": \"flat\", \"op\": \"flatten\", \"input\": \"pool\"},"
    "{\"name\": \"drop\", \"op\": \"dropout\", \"input\": \"flat\", \"rate\": 0.5},"
    "{\"name\": \"hidden\", \"op\": \"linear\", \"input\": \"drop\", \"channels\": 8},"
    "{\"name\": \"relu\", \"op\": \"relu\", \"input\": \"hidden\"},"
    "{\"name\": \"fc\", \"op\": \"linear\", \"input\": \"relu\", \"channels\": 3}]}";

pinion_network *test_network_cut(pinion_context *ctx, const char *model, int groups, enum pinion_connect connect)
{
    pinion_network *n = NULL;
    const pinion_network_options options = {.groups = groups, .connect = connect};
    if (model[0] == '{')
        assert_done(ctx, pinion_network_parse(ctx, model, strlen(model), "text", &options, &n));
    else
        assert_done(ctx, pinion_network_open(ctx, model, &options, &n));
    return n;
}

pinion_network *test_network_linear(pinion_context *ctx, int channels)
{
    pinion_network *n = NULL;
    pinion_layer at;
    assert_done(ctx, pinion_network_create(ctx, "grey", (pinion_shape){2, 2, channels}, &n));
    assert_done(ctx, pinion_network_add_flatten(n, "flat", PINION_INPUT, &at));
    assert_done(ctx, pinion_network_add_linear(n, "fc", at, &(pinion_linear){.k = 2}, &at));
    assert_done(ctx, pinion_network_init_weights(n, 3));
    return n;
}

const char *test_save_groups(pinion_context *ctx, int width, enum pinion_connect connect, const char *file)
{
    pinion_network *n = test_network_cut(ctx, test_every_cut, 3, connect);
    const pinion_weights_metadata metadata = {.known_widths = 2, .top1_per_width = {61.5, 70.25}};
    for (int j = 1; j <= width; j++)
        assert_done(ctx, pinion__network_init_group(n, j, 5));
    const char *path = test_path(file);
    assert_done(ctx, pinion_weights_save(n, path, &metadata));
    pinion_network_destroy(n);
    return path;
}
