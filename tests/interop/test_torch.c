/* SPDX-License-Identifier: Apache-2.0
 *
 * PyTorch in and out: a state dict of torchvision's resnet18 saved by PyTorch gives PyTorch's logits here, and the file
 * that is saved here gives our logits there; a dynamic network is the one that was cut with zeros in its weights.
 * Skipped where PyTorch or safetensors is not installed (PINION_PYTHON names the interpreter, python3 by default).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/network.h"
#include <math.h>
#include <pinion/pinion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { BATCH = 2, SIZE = 64, CLASSES = 1000, PIXELS = SIZE * SIZE * 3 };

static char folder[] = "/tmp/pinion-interop-XXXXXX";
static const char *python, *source;

static int run(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *path(const char *name)
{
    static char buffers[4][512];
    static int next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, sizeof buffers[0], "%s/%s", folder, name);
    return buffer;
}

static void read_floats(const char *name, float *values, size_t count)
{
    FILE *file = fopen(path(name), "rb");
    assert_non_null(file);
    assert_int_equal(fread(values, sizeof *values, count, file), count);
    fclose(file);
}

static void write_floats(const char *name, const float *values, size_t count)
{
    FILE *file = fopen(path(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(values, sizeof *values, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void infer(const pinion_network *network, const float *images, int batch, float *logits)
{
    pinion_plan *plan;
    pinion_runner *runner;
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = batch;
    assert_int_equal(pinion_plan_create(network, &options, &plan), PINION_OK);
    assert_int_equal(pinion_runner_create(plan, &runner), PINION_OK);
    assert_int_equal(pinion_runner_infer(runner, images, batch, logits), PINION_OK);
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
}

static void test_resnet18(void **state)
{
    (void)state;
    static float images[BATCH * PIXELS], theirs[BATCH * CLASSES], ours[BATCH * CLASSES];
    assert_int_equal(run("%s %s/tests/golden/make_torch_files.py --out %s --batch %d --size %d", python, source, folder,
                         BATCH, SIZE),
                     0);
    read_floats("resnet18.input.f32", images, BATCH * PIXELS);
    read_floats("resnet18.logits.f32", theirs, BATCH * CLASSES);

    pinion_context *ctx;
    pinion_weights_file *file;
    pinion_network *network;
    pinion_network_options options = {.input = {SIZE, SIZE, 3}};
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    assert_int_equal(pinion_network_open(ctx, "resnet18", &options, &network), PINION_OK);
    assert_int_equal(pinion_weights_open(ctx, path("resnet18.safetensors"), &file), PINION_OK);
    assert_int_equal(pinion_weights_load(network, file, NULL), PINION_OK);
    infer(network, images, BATCH, ours);
    double error = 0, norm = 0;
    for (int i = 0; i < BATCH * CLASSES; i++) {
        error += pow((double)ours[i] - (double)theirs[i], 2);
        norm += pow((double)theirs[i], 2);
    }
    printf("logits differ from PyTorch's by %.2e of their norm\n", sqrt(error / norm));
    assert_true(sqrt(error / norm) < 1e-5);

    assert_int_equal(pinion_weights_save(network, path("ours.safetensors"), NULL), PINION_OK);
    write_floats("ours.f32", ours, BATCH * CLASSES);
    assert_int_equal(run("%s %s/tests/interop/compare.py --weights %s --model resnet18 --input %s --logits %s", python,
                         source, path("ours.safetensors"), path("resnet18.input.f32"), path("ours.f32")),
                     0);
    pinion_weights_close(file);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

/* The other models: what is saved here loads there by name, a flattened linear layer among them. */
static void test_models(void **state)
{
    (void)state;
    enum { SMALL = 32 * 32 * 3 };
    static const char *const models[] = {"resnet18-cifar", "alexnet-cifar", "mobilenetv2-cifar"};
    static float images[BATCH * SMALL], logits[BATCH * 10];
    for (int i = 0; i < BATCH * SMALL; i++)
        images[i] = (float)(i * 7919 % 1000) / 500.0f - 1.0f;
    write_floats("images.f32", images, BATCH * SMALL);
    pinion_context *ctx;
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        pinion_network *network;
        assert_int_equal(pinion_network_open(ctx, models[m], NULL, &network), PINION_OK);
        assert_int_equal(pinion_network_init_weights(network, 5), PINION_OK);
        infer(network, images, BATCH, logits);
        write_floats("logits.f32", logits, BATCH * 10);
        assert_int_equal(pinion_weights_save(network, path("model.safetensors"), NULL), PINION_OK);
        assert_int_equal(run("%s %s/tests/interop/compare.py --weights %s --model %s --input %s --logits %s", python,
                             source, path("model.safetensors"), models[m], path("images.f32"), path("logits.f32")),
                         0);
        pinion_network_destroy(network);
    }
    pinion_context_destroy(ctx);
}

/* Every weight and statistic has a value of its own, so that none can stand in for another. */
static void vary(pinion_network *network)
{
    for (size_t p = 0; p < network->param_count; p++) {
        float *values = pinion__param_data(network, (int)p);
        bool variance = strcmp(network->params[p].spec.suffix, "running_var") == 0;
        for (size_t i = 0; i < network->params[p].bytes / sizeof *values; i++)
            values[i] += (variance ? 0.5f : 0.02f) * (float)((p * 31 + i * 7919) % 1000) / 1000.0f;
    }
}

static void check_groups(pinion_context *ctx, const char *model, int groups, enum pinion_connect connect)
{
    enum { SMALL = 32 * 32 * 3 };
    static float images[BATCH * SMALL], logits[BATCH * 10];
    pinion_network *network;
    const pinion_network_options options = {.groups = groups, .connect = connect};
    for (int i = 0; i < BATCH * SMALL; i++)
        images[i] = (float)(i * 7919 % 1000) / 500.0f - 1.0f;
    write_floats("images.f32", images, BATCH * SMALL);
    assert_int_equal(pinion_network_open(ctx, model, &options, &network), PINION_OK);
    assert_int_equal(pinion_network_init_weights(network, 5), PINION_OK);
    vary(network);
    infer(network, images, BATCH, logits);
    write_floats("logits.f32", logits, BATCH * 10);
    assert_int_equal(pinion_weights_save(network, path("groups.safetensors"), NULL), PINION_OK);
    assert_int_equal(run("%s %s/tests/interop/compare.py --weights %s --model %s --input %s --logits %s", python,
                         source, path("groups.safetensors"), model, path("images.f32"), path("logits.f32")),
                     0);
    pinion_network_destroy(network);
}

/* Towers are the dense network with zeros outside of the slices on the diagonal, nested groups the one with zeros above
 * them. Three groups: of uneven slices. */
static void test_groups(void **state)
{
    (void)state;
    pinion_context *ctx;
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    check_groups(ctx, "alexnet-cifar", 3, PINION_TOWERS);
    check_groups(ctx, "alexnet-cifar", 3, PINION_NESTED);
    check_groups(ctx, "resnet18-cifar", 4, PINION_NESTED);
    check_groups(ctx, "mobilenetv2-cifar", 3, PINION_TOWERS);
    check_groups(ctx, "mobilenetv2-cifar", 3, PINION_NESTED);
    pinion_context_destroy(ctx);
}

int main(void)
{
    python = getenv("PINION_PYTHON") ? getenv("PINION_PYTHON") : "python3";
    source = getenv("PINION_SOURCE");
    if (!source || run("%s -c 'import torch, safetensors, numpy' 2>/dev/null", python) != 0) {
        printf("PyTorch is not installed: skipped\n");
        return 77;
    }
    if (!mkdtemp(folder))
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_resnet18), cmocka_unit_test(test_models),
                                       cmocka_unit_test(test_groups)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    run("rm -rf %s", folder);
    return failed;
}
