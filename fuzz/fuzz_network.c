/* SPDX-License-Identifier: Apache-2.0
 *
 * Network descriptions: whatever is accepted can be described, and the description gives the same network again.
 * Overrides never do harm.
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
    require(atomic_load(&ctx->live_bytes) == 0);
    return 0;
}
