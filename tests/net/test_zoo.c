/* SPDX-License-Identifier: Apache-2.0
 *
 * The zoo: parameter counts, multiply-adds and weight names are those of the models they are called after
 * (names/MODEL.txt is PyTorch's state dict, made by make_names.py).
 */
#include "support.h"
#include <stdio.h>

static pinion_network *open_model(pinion_context *ctx, const char *model, int size, int classes)
{
    pinion_network *network = NULL;
    pinion_network_options options = {.input = {size, size, 0}, .classes = classes};
    assert_done(ctx, pinion_network_open(ctx, model, &options, &network));
    return network;
}

static void check_counts(const char *model, int size, int classes, int64_t parameters, int64_t macs)
{
    pinion_context *ctx = test_context();
    pinion_network *network = open_model(ctx, model, size, classes);
    pinion_network_info info = pinion_network_get_info(network);
    assert_string_equal(info.name, model);
    assert_int_equal(info.parameters, parameters);
    assert_int_equal(info.macs, macs);
    assert_int_equal(info.output.h * info.output.w, 1);

    int64_t layer_parameters = 0, layer_macs = 0;
    pinion_layer_info layer;
    for (int i = 0; i < info.layers; i++) {
        assert_done(ctx, pinion_network_get_layer(network, i, &layer));
        layer_parameters += layer.parameters;
        layer_macs += layer.macs;
    }
    assert_int_equal(layer_parameters, parameters);
    assert_int_equal(layer_macs, macs);
    assert_int_equal(layer.output.c, info.output.c);
    pinion_network_destroy(network);
    test_context_end(ctx);
}

/* Counted in PyTorch by hooks on its convolutions and linear layers. */
static void test_counts(void **state)
{
    (void)state;
    check_counts("resnet18", 0, 0, 11689512, 1814073344);
    check_counts("resnet18", 0, 10, 11181642, 1813566464);
    check_counts("resnet18", 32, 10, 11181642, 37016576);
    check_counts("resnet18-cifar", 0, 0, 11173962, 555422720);
    check_counts("mobilenetv2-cifar", 0, 0, 2236682, 87976448);
    check_counts("alexnet-cifar", 0, 0, 2293706, 166961152);
}

static int compare_lines(const void *a, const void *b)
{
    const char *const *first = a, *const *second = b;
    return strcmp(*first, *second);
}

static void check_names(const char *model)
{
    enum { MAX_NAMES = 400, MAX_LINE = 100 };
    static char lines[MAX_NAMES][MAX_LINE];
    const char *sorted[MAX_NAMES];
    pinion_context *ctx = test_context();
    pinion_network *network = open_model(ctx, model, 0, 0);
    assert_true(network->param_count <= MAX_NAMES);
    for (size_t i = 0; i < network->param_count; i++) {
        int64_t shape[8];
        int rank, at = snprintf(lines[i], MAX_LINE, "%s", network->params[i].name);
        pinion__param_file_shape(&network->params[i], shape, &rank);
        for (int j = 0; j < rank; j++)
            at += snprintf(lines[i] + at, (size_t)(MAX_LINE - at), " %lld", (long long)shape[j]);
        sorted[i] = lines[i];
    }
    qsort(sorted, network->param_count, sizeof *sorted, compare_lines);

    char path[64];
    snprintf(path, sizeof path, "tests/net/names/%s.txt", model);
    char *expected = test_read(test_source(path), NULL);
    char *line = strtok(expected, "\n");
    for (size_t i = 0; i < network->param_count; i++, line = strtok(NULL, "\n")) {
        assert_non_null(line);
        assert_string_equal(sorted[i], line);
    }
    assert_null(line);
    free(expected);
    pinion_network_destroy(network);
    test_context_end(ctx);
}

static void test_names(void **state)
{
    (void)state;
    int models = 0;
    for (; pinion_network_zoo_name(models); models++)
        check_names(pinion_network_zoo_name(models));
    assert_int_equal(models, 4);
    assert_null(pinion_network_zoo_name(100));
    assert_null(pinion_network_zoo_name(-1));
}

static void test_sizes(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int size = 32; size <= 97; size += 13)
        pinion_network_destroy(open_model(ctx, "resnet18", size, 7));
    pinion_network *network = NULL;
    pinion_network_options options = {.input = {1 << 20, 0, 0}};
    assert_refused(ctx, pinion_network_open(ctx, "resnet18", &options, &network), PINION_EINVAL,
                   "resnet18: network 'resnet18': its input is 1048576x224x3; expected rows and columns of 1 to 65536, "
                   "channels of 1 to 1048576, at most 2147483647 elements");
    options = (pinion_network_options){.classes = -3};
    assert_refused(ctx, pinion_network_open(ctx, "resnet18", &options, &network), PINION_EINVAL,
                   "resnet18: layer 'fc' (linear): \"channels\" is -3; expected 1 to 1048576");
    options = (pinion_network_options){.input = {1, 1, 0}};
    assert_refused(ctx, pinion_network_open(ctx, "alexnet-cifar", &options, &network), PINION_EINVAL,
                   "alexnet-cifar: layer 'features.3' (maxpool): a window of 2x2 does not fit its input of 1x1x64 with "
                   "padding 0x0");
    assert_refused(
        ctx, pinion_network_open(ctx, "resnet19", NULL, &network), PINION_EINVAL,
        "unknown model 'resnet19'; expected alexnet-cifar, mobilenetv2-cifar, resnet18-cifar, resnet18, or a "
        "file whose name ends in .json");
    assert_null(network);
    test_context_end(ctx);
}

/* The embedded texts are in the form that describe writes: what scripts/models.py made is what the library would write.
 */
static void test_descriptions_are_canonical(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int i = 0; pinion_network_zoo_name(i); i++) {
        char path[64], *text = NULL;
        const char *model = pinion_network_zoo_name(i), *zoo = NULL;
        pinion_network *network = open_model(ctx, model, 0, 0);
        assert_done(ctx, pinion__network_describe(network, &text));
        snprintf(path, sizeof path, "src/net/models/%s.json", model);
        char *file = test_read(test_source(path), NULL);
        assert_string_equal(text, file);
        assert_done(ctx, pinion__network_zoo_model(network, &zoo));
        assert_string_equal(zoo, model);
        pinion__release(ctx, text);
        free(file);
        pinion_network_destroy(network);
    }
    test_context_end(ctx);
}

/* A network that only has the name of a model is none of the zoo, also where the model could not have its input. */
static void test_impostor(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int size = 1; size <= 32; size += 31) {
        pinion_network *network = NULL;
        const char *zoo = "";
        assert_done(ctx, pinion_network_create(ctx, "alexnet-cifar", (pinion_shape){size, size, 3}, &network));
        assert_done(ctx, pinion_network_add_global_avgpool(network, "pool", PINION_INPUT, NULL));
        assert_done(ctx, pinion__network_zoo_model(network, &zoo));
        assert_null(zoo);
        pinion_network_destroy(network);
    }
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_descriptions_are_canonical),
        cmocka_unit_test(test_impostor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
