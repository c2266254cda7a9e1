/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights files of dynamic networks: what stands in them, round trips, files with fewer groups, damage.
 */
#include "net/groups.h"
#include "support.h"
#include <stdio.h>

typedef struct heard {
    int warnings;
    char text[1024];
} heard;

static void listen(void *user, enum pinion_log_level level, const char *text)
{
    heard *to = user;
    if (level != PINION_LOG_WARNING)
        return;
    to->warnings++;
    snprintf(to->text, sizeof to->text, "%s", text);
}

static pinion_context *listening(heard *to)
{
    pinion_context_options options = pinion_context_options_default();
    options.threads = 1;
    options.log = listen;
    options.log_user = to;
    pinion_context *ctx = NULL;
    *to = (heard){0};
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return ctx;
}

/* A network as the file says. */
static pinion_network *rebuild(pinion_context *ctx, const pinion_weights_metadata *m)
{
    pinion_network *n = NULL;
    const pinion_network_options options = {
        .input = m->input, .classes = m->class_count, .groups = m->groups, .connect = m->connect};
    if (m->model[0] == '{')
        assert_done(ctx, pinion_network_parse(ctx, m->model, strlen(m->model), "model", &options, &n));
    else
        assert_done(ctx, pinion_network_open(ctx, m->model, &options, &n));
    return n;
}

static void check_round_trip(const char *model, int groups, enum pinion_connect connect, int width)
{
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_cut(ctx, model, groups, connect);
    pinion_weights_file *file = NULL;
    assert_refused(ctx, pinion_weights_save(n, test_path("w.safetensors"), NULL), PINION_EINVAL,
                   model[0] == '{' ? "network 'every' has no weights yet: initialise or load them"
                                   : "network 'alexnet-cifar' has no weights yet: initialise or load them");
    assert_done(ctx, pinion__network_allocate(n)); /* as a plan does */
    assert_int_equal(pinion_weights_save(n, test_path("w.safetensors"), NULL), PINION_EINVAL);
    for (int j = 1; j <= width; j++)
        assert_done(ctx, pinion__network_init_group(n, j, 9));
    const char *path = test_path("w.safetensors");
    const pinion_weights_metadata given = {.known_widths = groups, .top1_per_width = {1, 2, 3.5, 100}};
    assert_done(ctx, pinion_weights_save(n, path, &given));
    assert_done(ctx, pinion_weights_open(ctx, path, &file));
    const pinion_weights_metadata *m = pinion_weights_get_metadata(file);
    if (model[0] != '{')
        assert_string_equal(m->model, model);
    assert_int_equal(m->groups, groups);
    assert_int_equal(m->connect, connect);
    assert_int_equal(m->width, width);
    assert_int_equal(m->whole_width, width);
    assert_int_equal(m->known_widths, width);
    for (int j = 0; j < width; j++)
        assert_true(m->top1_per_width[j] == given.top1_per_width[j]);
    pinion_network *again = rebuild(ctx, m);
    assert_int_equal(again->block_bytes, 0);
    assert_done(ctx, pinion_weights_load(again, file, NULL));
    assert_int_equal(pinion_network_get_info(again).width, width);
    assert_int_equal(again->block_bytes, n->block_bytes);
    assert_memory_equal(again->block, n->block, n->block_bytes);
    pinion_weights_close(file);
    pinion_network_destroy(again);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_round_trips(void **state)
{
    (void)state;
    check_round_trip("alexnet-cifar", 4, PINION_TOWERS, 4);
    check_round_trip("alexnet-cifar", 4, PINION_NESTED, 2);
    for (int width = 1; width <= 3; width++) {
        check_round_trip(test_every_cut, 3, PINION_TOWERS, width);
        check_round_trip(test_every_cut, 3, PINION_NESTED, width);
    }
    check_round_trip(test_every_cut, 1, PINION_TOWERS, 1);
}

/* A narrower file leaves the other groups' memory alone, but they are none of the network's any more. */
static void test_narrower(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_cut(ctx, test_every_cut, 3, PINION_NESTED);
    const char *path = test_save_groups(ctx, 2, PINION_NESTED, "two.safetensors");
    assert_done(ctx, pinion_network_init_weights(n, 6));
    size_t rest = n->block_bytes - n->group_offset[2];
    unsigned char *before = malloc(rest);
    memcpy(before, n->block + n->group_offset[2], rest);
    assert_done(ctx, test_load(n, path, false));
    assert_int_equal(pinion_network_get_info(n).width, 2);
    assert_memory_equal(n->block + n->group_offset[2], before, rest);
    free(before);
    /* The next group can follow. */
    assert_done(ctx, pinion__network_init_group(n, 3, 6));
    assert_int_equal(pinion_network_get_info(n).width, 3);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void check_load_refused(pinion_context *ctx, pinion_network *n, const char *path, const char *sentence)
{
    char expected[1024];
    snprintf(expected, sizeof expected, "%s: %s", path, sentence);
    assert_refused(ctx, test_load(n, path, false), PINION_EFORMAT, expected);
    pinion_network_destroy(n);
}

static void test_other_networks(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    const char *path = test_save_groups(ctx, 2, PINION_NESTED, "two.safetensors");
    check_load_refused(ctx, test_network_cut(ctx, test_every_cut, 2, PINION_NESTED), path,
                       "it is of a network that is cut into 3 groups (nested); network 'every' is cut into 2 (nested)");
    check_load_refused(ctx, test_network_cut(ctx, test_every_cut, 3, PINION_TOWERS), path,
                       "it is of a network that is cut into 3 groups (nested); network 'every' is cut into 3 (towers)");
    check_load_refused(ctx, test_network_small(ctx, "small", 4), path,
                       "it is of a network that is cut into 3 groups (nested); network 'small' is not cut");
    pinion_network *n = test_network_small(ctx, "small", 4);
    path = test_path("plain.safetensors");
    assert_done(ctx, pinion_weights_save(n, path, NULL));
    pinion_network_destroy(n);
    check_load_refused(ctx, test_network_cut(ctx, test_every_cut, 3, PINION_NESTED), path,
                       "tensor 'norm.g1.weight' of network 'every' is missing");
    test_context_end(ctx);
}

/* Other classes: every part of the classifier stays as it is, the rest is loaded. */
static void test_other_classes(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    const char *path = test_save_groups(ctx, 3, PINION_NESTED, "three.safetensors");
    pinion_network *n = NULL, *same = test_network_cut(ctx, test_every_cut, 3, PINION_NESTED);
    const pinion_network_options options = {.groups = 3, .connect = PINION_NESTED, .classes = 4};
    assert_done(ctx, pinion_network_parse(ctx, test_every_cut, strlen(test_every_cut), "text", &options, &n));
    assert_done(ctx, pinion_network_init_weights(n, 11));
    assert_done(ctx, test_load(same, path, false));
    unsigned char *before = malloc(n->block_bytes);
    memcpy(before, n->block, n->block_bytes);
    assert_int_equal(test_load(n, path, false), PINION_EFORMAT);
    assert_memory_equal(n->block, before, n->block_bytes);
    assert_done(ctx, test_load(n, path, true));
    int parts = 0;
    for (size_t i = 0; i < n->param_count; i++) {
        bool part = strncmp(n->params[i].name, "fc.", 3) == 0;
        const void *expected = part ? (const void *)(before + n->params[i].offset) : pinion__param_data(same, (int)i);
        assert_memory_equal(pinion__param_data(n, (int)i), expected, n->params[i].bytes);
        parts += part;
    }
    assert_int_equal(parts, 4); /* three weights and the bias of the first */
    free(before);
    pinion_network_destroy(n);
    pinion_network_destroy(same);
    test_context_end(ctx);
}

/* Flips a bit of the tensor of that name. */
static void damage(const char *path, const char *tensor)
{
    size_t bytes;
    char *data = test_read(path, &bytes), key[64];
    unsigned long long begin;
    snprintf(key, sizeof key, "\"%s\": {", tensor);
    const char *at = strstr(data + 8, key);
    assert_non_null(at);
    assert_int_equal(sscanf(strstr(at, "data_offsets"), "data_offsets\": [%llu", &begin), 1);
    uint64_t header;
    memcpy(&header, data, sizeof header);
    data[8 + header + begin] ^= 4;
    test_write(path, data, bytes);
    free(data);
}

static void check_damage(const char *tensor, int whole, const char *said)
{
    heard said_so;
    pinion_context *ctx = listening(&said_so);
    pinion_network *n = test_network_cut(ctx, test_every_cut, 3, PINION_NESTED);
    pinion_network *intact = test_network_cut(ctx, test_every_cut, 3, PINION_NESTED);
    pinion_weights_file *file = NULL;
    const char *path = test_save_groups(ctx, 3, PINION_NESTED, "damaged.safetensors");
    assert_done(ctx, test_load(intact, path, false));
    damage(path, tensor);
    assert_int_equal(said_so.warnings, 0);
    int status = pinion_weights_open(ctx, path, &file);
    if (whole == 0) {
        assert_int_equal(status, PINION_EFORMAT);
        assert_non_null(strstr(pinion_context_error(ctx), said));
        assert_int_equal(said_so.warnings, 0);
    } else {
        assert_done(ctx, status);
        assert_int_equal(said_so.warnings, 1);
        assert_non_null(strstr(said_so.text, path));
        assert_non_null(strstr(said_so.text, said));
        const pinion_weights_metadata *m = pinion_weights_get_metadata(file);
        assert_int_equal(m->width, 3);
        assert_int_equal(m->whole_width, whole);
        assert_done(ctx, pinion_weights_load(n, file, NULL));
        assert_int_equal(pinion_network_get_info(n).width, whole);
        assert_memory_equal(n->block, intact->block, n->group_offset[whole]);
    }
    pinion_weights_close(file);
    pinion_network_destroy(n);
    pinion_network_destroy(intact);
    test_context_end(ctx);
}

static void test_damage(void **state)
{
    (void)state;
    check_damage("norm.g1.running_var", 0, "its data is damaged: the checksum of group 1 is ");
    check_damage("a.g1.weight", 0, "its data is damaged: the checksum of group 1 is ");
    check_damage("a.g2.weight", 1, "group 2 of 3 is damaged: its checksum is ");
    check_damage("fc.g2.weight", 1, "only groups before it can be used");
    check_damage("a.g3.bias", 2, "group 3 of 3 is damaged: its checksum is ");
    check_damage("hidden.g3.weight", 2, "only groups before it can be used");
}

/* Tensors outside of the groups that have checksums: the checksum of all data decides. */
static void test_checksum_of_all(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_cut(ctx, test_every_cut, 3, PINION_TOWERS);
    const char *path = test_save_groups(ctx, 2, PINION_TOWERS, "sums.safetensors");
    size_t bytes;
    char *data = test_read(path, &bytes);
    memcpy(strstr(data + 8, "pinion.sha256.g2"), "pinion.sha256.x2", 16);
    test_write(path, data, bytes);
    free(data);
    assert_done(ctx, test_load(n, path, false));
    assert_int_equal(pinion_network_get_info(n).width, 2);
    damage(path, "a.g2.weight");
    assert_int_equal(test_load(n, path, false), PINION_EFORMAT);
    assert_non_null(strstr(pinion_context_error(ctx), "its data is damaged: the checksum is "));
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* Structure is refused as a whole, wherever it breaks. */
static void test_truncated(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_weights_file *file = NULL;
    const char *path = test_save_groups(ctx, 3, PINION_TOWERS, "short.safetensors");
    size_t bytes;
    char *data = test_read(path, &bytes);
    for (size_t left = 0; left < bytes; left += left < 64 ? 1 : 61) {
        test_write(path, data, left);
        assert_int_equal(pinion_weights_open(ctx, path, &file), PINION_EFORMAT);
    }
    free(data);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),   cmocka_unit_test(test_narrower), cmocka_unit_test(test_other_networks),
        cmocka_unit_test(test_other_classes), cmocka_unit_test(test_damage),   cmocka_unit_test(test_checksum_of_all),
        cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
