/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights files: whatever is accepted can be read to its last byte, and loading it into a network, plain or dynamic,
 * either works or leaves the network alone.
 */
#include "net/weights.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pinion_context *ctx;
static pinion_network *network, *dynamic;

static void require(int condition)
{
    if (!condition)
        abort();
}

static void begin(void)
{
    pinion_context_options options = pinion_context_options_default();
    options.threads = 1;
    require(pinion_context_create(&options, &ctx) == PINION_OK);
    pinion_layer at;
    require(pinion_network_create(ctx, "n", (pinion_shape){2, 1, 1}, &network) == PINION_OK);
    require(pinion_network_add_batchnorm(network, "b", PINION_INPUT, NULL, &at) == PINION_OK);
    require(pinion_network_add_flatten(network, "f", at, &at) == PINION_OK);
    require(pinion_network_add_linear(network, "l", at, &(pinion_linear){.k = 2, .bias = 1}, &at) == PINION_OK);
    require(pinion_network_init_weights(network, 1) == PINION_OK);
    static const char text[] = "{\"name\": \"n\", \"input\": [1, 1, 1], \"layers\": ["
                               "{\"name\": \"a\", \"op\": \"linear\", \"input\": \"input\", \"channels\": 3},"
                               "{\"name\": \"b\", \"op\": \"linear\", \"input\": \"a\", \"channels\": 2}]}";
    const pinion_network_options chosen = {.groups = 3};
    require(pinion_network_parse(ctx, text, sizeof text - 1, "text", &chosen, &dynamic) == PINION_OK);
    require(pinion_network_init_weights(dynamic, 1) == PINION_OK);
}

static unsigned read_all(const pinion__st_file *file)
{
    unsigned sum = 0;
    for (size_t i = 0; i < file->tensor_count; i++) {
        for (uint64_t j = 0; j < file->tensors[i].bytes; j++)
            sum += file->tensors[i].data[j];
        require(pinion__st_find(file, file->tensors[i].name) == &file->tensors[i]);
    }
    return sum;
}

static void load(pinion_network *into, const pinion__st_file *file, bool replace)
{
    unsigned char before[16384];
    int width = into->width;
    require(into->block_bytes <= sizeof before);
    memcpy(before, into->block, into->block_bytes);
    if (pinion__weights_load(into, file, replace) != PINION_OK)
        require(into->width == width && memcmp(before, into->block, into->block_bytes) == 0);
    else
        require(into->width >= (into->groups ? 1 : 0) && into->width <= into->groups);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pinion__st_file *file = NULL;
    pinion_weights_file *weights = NULL;
    if (!ctx)
        begin();
    size_t live = atomic_load(&ctx->live_bytes);
    if (pinion__st_parse(ctx, data, size, "input", &file) == PINION_OK) {
        require(read_all(file) == read_all(file));
        if (pinion__weights_metadata(ctx, file, &weights) == PINION_OK)
            pinion_weights_close(weights);
        for (int replace = 0; replace < 2; replace++) {
            load(network, file, replace);
            load(dynamic, file, replace);
        }
        pinion__st_close(ctx, file);
    }
    require(atomic_load(&ctx->live_bytes) == live);
    return 0;
}
