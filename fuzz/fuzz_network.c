/* SPDX-License-Identifier: Apache-2.0
 *
 * Network descriptions: whatever is accepted can be described, and the description gives the same network again.
 * Overrides never do harm, and what can be cut into groups is cut into all its parts.
 */
#include "net/network.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pinion_context *ctx;

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check(const pinion_network *network)
{
    pinion_network *again = NULL;
    char *text = NULL, *same = NULL;
    pinion_network_info info = pinion_network_get_info(network);
    require(info.macs >= 0 && info.parameters >= 0 && info.output.c > 0);
    require(pinion__network_describe(network, &text) == PINION_OK);
    require(pinion_network_parse(ctx, text, strlen(text), "again", NULL, &again) == PINION_OK);
    require(pinion__network_describe(again, &same) == PINION_OK);
    require(strcmp(text, same) == 0);
    pinion__release(ctx, text);
    pinion__release(ctx, same);
    pinion_network_destroy(again);
}

/* Earlier groups never read later ones, and each width has more than the one before. */
static void check_groups(const pinion_network *network, int groups)
{
    pinion_width_info before = {0}, info;
    pinion_layer_info layer;
    int group = 1;
    for (int i = 0; pinion_network_get_layer(network, i, &layer) == PINION_OK; i++) {
        require(layer.group == group || layer.group == group + 1);
        group = layer.group;
    }
    require(group == groups);
    for (int width = 1; width <= groups; width++, before = info) {
        require(pinion_network_get_width(network, width, &info) == PINION_OK);
        require(info.parameters > before.parameters && info.macs >= before.macs);
    }
    require(before.parameters == pinion_network_get_info(network).parameters);
}

static void cut(const uint8_t *data, size_t size)
{
    pinion_network *network = NULL;
    pinion_network_options options = {.groups = 1 + (int)(size % PINION_MAX_GROUPS),
                                      .connect = (enum pinion_connect)(size / PINION_MAX_GROUPS % 2)};
    if (pinion_network_parse(ctx, (const char *)data, size, "input", &options, &network) != PINION_OK)
        return;
    check_groups(network, options.groups);
    if (pinion_network_get_info(network).weight_bytes < 1 << 20)
        require(pinion_network_init_weights(network, 1) == PINION_OK);
    pinion_network_destroy(network);
    options.like_width = options.groups;
    network = NULL;
    if (pinion_network_parse(ctx, (const char *)data, size, "input", &options, &network) == PINION_OK)
        check(network);
    pinion_network_destroy(network);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pinion_network *network = NULL;
    if (!ctx) {
        pinion_context_options options = pinion_context_options_default();
        options.threads = 1;
        require(pinion_context_create(&options, &ctx) == PINION_OK);
    }
    if (pinion_network_parse(ctx, (const char *)data, size, "input", NULL, &network) == PINION_OK) {
        check(network);
        if (pinion_network_get_info(network).weight_bytes < 1 << 20)
            require(pinion_network_init_weights(network, 1) == PINION_OK);
        pinion_network_destroy(network);
    }
    network = NULL;
    const pinion_network_options options = {.input = {33, 0, 0}, .classes = 3};
    if (pinion_network_parse(ctx, (const char *)data, size, "input", &options, &network) == PINION_OK) {
        check(network);
        pinion_network_destroy(network);
    }
    cut(data, size);
    require(atomic_load(&ctx->live_bytes) == 0);
    return 0;
}
