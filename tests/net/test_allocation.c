/* SPDX-License-Identifier: Apache-2.0
 *
 * Each allocation of opening, parsing, saving and loading fails in turn: every failure is PINION_ENOMEM with a
 * sentence, leaves nothing behind, and leaves weights as they were.
 */
#include "net/residence.h"
#include "support.h"

typedef int (*job)(pinion_context *ctx);

/* Runs the job with allocation 0, 1, 2 … failing until it succeeds. */
static void fail_each(job run)
{
    for (size_t fail_at = 0;; fail_at++) {
        test_allocator allocator = {.fail_at = fail_at};
        pinion_context *ctx = test_context_failing(&allocator);
        int status = run(ctx);
        if (status != PINION_OK) {
            assert_int_equal(status, PINION_ENOMEM);
            assert_non_null(strstr(pinion_context_error(ctx), "out of memory: "));
        }
        test_context_end(ctx);
        if (status == PINION_OK) {
            assert_true(fail_at > 2);
            assert_true(allocator.count <= fail_at);
            return;
        }
    }
}

static int open_model(pinion_context *ctx)
{
    pinion_network *network = NULL;
    pinion_network_options options = {.classes = 5};
    int status = pinion_network_open(ctx, "alexnet-cifar", &options, &network);
    if (status == PINION_OK)
        status = pinion_network_init_weights(network, 1);
    else
        assert_null(network);
    pinion_network_destroy(network);
    return status;
}

static int describe(pinion_context *ctx)
{
    pinion_network *network = NULL;
    const char *zoo;
    int status = pinion_network_open(ctx, "alexnet-cifar", NULL, &network);
    if (status == PINION_OK)
        status = pinion__network_zoo_model(network, &zoo);
    pinion_network_destroy(network);
    return status;
}

static int refuse(pinion_context *ctx)
{
    static const char json[] = "{\"name\": \"n\", \"input\": [8, 8, 3], \"layers\": ["
                               "{\"name\": \"a\", \"op\": \"relu\", \"input\": \"b\"},"
                               "{\"name\": \"b\", \"op\": \"relu\", \"input\": \"a\"}]}";
    pinion_network *network = NULL;
    int status = pinion_network_parse(ctx, json, sizeof json - 1, "n", NULL, &network);
    return status == PINION_EFORMAT ? PINION_OK : status;
}

static int create_small(pinion_context *ctx, pinion_network **out)
{
    static const char json[] =
        "{\"name\": \"n\", \"input\": [4, 4, 3], \"layers\": ["
        "{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 4, \"filter\": 3},"
        "{\"name\": \"b\", \"op\": \"batchnorm\", \"input\": \"a\"},"
        "{\"name\": \"c\", \"op\": \"flatten\", \"input\": \"b\"},"
        "{\"name\": \"d\", \"op\": \"linear\", \"input\": \"c\", \"channels\": 2}]}";
    int status = pinion_network_parse(ctx, json, sizeof json - 1, "n", NULL, out);
    return status == PINION_OK ? pinion_network_init_weights(*out, 1) : status;
}

static int save(pinion_context *ctx)
{
    static const char *const names[2] = {"cat", "dog"};
    const pinion_weights_metadata metadata = {
        .class_names = names, .class_count = 2, .mean = {1, 2, 3}, .std = {1, 2, 3}};
    pinion_network *network = NULL;
    int status = create_small(ctx, &network);
    if (status == PINION_OK)
        status = pinion_weights_save(network, test_path("w.safetensors"), &metadata);
    pinion_network_destroy(network);
    return status;
}

static int load(pinion_context *ctx)
{
    pinion_network *network = NULL;
    pinion_weights_file *file = NULL;
    unsigned char *before = NULL;
    int status = create_small(ctx, &network);
    if (status == PINION_OK) {
        memset(network->block, 0, network->block_bytes);
        status = pinion_weights_open(ctx, test_path("w.safetensors"), &file);
    }
    if (status == PINION_OK)
        status = pinion_weights_load(network, file, NULL);
    if (status != PINION_OK && network && network->block) {
        before = calloc(1, network->block_bytes);
        assert_memory_equal(network->block, before, network->block_bytes);
        free(before);
    }
    pinion_weights_close(file);
    pinion_network_destroy(network);
    return status;
}

static int open_groups(pinion_context *ctx)
{
    pinion_network *cut = NULL, *plain = NULL;
    pinion_network_options options = {.groups = 3, .connect = PINION_NESTED};
    int status = pinion_network_parse(ctx, test_every_cut, strlen(test_every_cut), "n", &options, &cut);
    options = (pinion_network_options){.groups = 1, .like_width = 1};
    if (status == PINION_OK)
        status = pinion_network_parse(ctx, test_every_cut, strlen(test_every_cut), "n", &options, &plain);
    pinion_network_destroy(cut);
    pinion_network_destroy(plain);
    return status;
}

/* Saves, loads, releases and brings back. */
static int turn_over(pinion_context *ctx)
{
    pinion_network *network = NULL;
    pinion_weights_file *file = NULL;
    const pinion_weights_metadata metadata = {.known_widths = 2, .top1_per_width = {50, 60}};
    const pinion_network_options options = {.groups = 3};
    int status = pinion_network_parse(ctx, test_every_cut, strlen(test_every_cut), "n", &options, &network);
    if (status == PINION_OK)
        status = pinion_network_init_weights(network, 1);
    if (status == PINION_OK)
        status = pinion_weights_save(network, test_path("groups.safetensors"), &metadata);
    if (status == PINION_OK)
        status = pinion_weights_open(ctx, test_path("groups.safetensors"), &file);
    if (status == PINION_OK)
        status = pinion_weights_load(network, file, NULL);
    if (status == PINION_OK) {
        pinion__network_release_groups(network, 1);
        status = pinion__network_restore_groups(network, 3);
        assert_int_equal(pinion_network_get_info(network).width, status == PINION_OK ? 3 : 1);
    }
    pinion_weights_close(file);
    pinion_network_destroy(network);
    return status;
}

/* A failed add leaves the network as it was: adding again, with memory, gives what it would have given. */
static void test_add(void **state)
{
    (void)state;
    test_allocator allocator = {.fail_at = SIZE_MAX};
    pinion_context *ctx = test_context_failing(&allocator);
    pinion_network *network = NULL;
    assert_done(ctx, pinion_network_create(ctx, "n", (pinion_shape){4, 4, 3}, &network));
    for (int layer = 0; layer < 20; layer++) {
        char name[2] = {(char)('a' + layer), 0};
        for (size_t fail_at = 0;; fail_at++) {
            allocator.count = 0;
            allocator.fail_at = fail_at;
            int status = pinion_network_add_batchnorm(network, name, layer - 1, NULL, NULL);
            assert_int_equal(network->layer_count, layer + (status == PINION_OK));
            assert_int_equal(network->param_count, 4 * network->layer_count);
            if (status == PINION_OK)
                break;
            assert_int_equal(status, PINION_ENOMEM);
        }
    }
    assert_string_equal(network->params[79].name, "t.running_var");
    pinion_network_destroy(network);
    test_context_end(ctx);
}

static void test_jobs(void **state)
{
    (void)state;
    fail_each(open_model);
    fail_each(open_groups);
    fail_each(turn_over);
    fail_each(describe);
    fail_each(refuse);
    fail_each(save);
    fail_each(load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_add), cmocka_unit_test(test_jobs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
