/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds a network of one's own, trains it on the embedded data set and measures it.
 *
 *     cc own_network.c $(pkg-config --cflags --libs pinion) -o own_network && ./own_network
 */
#include <pinion/pinion.h>
#include <stdio.h>

/* Three blocks of convolution, batch norm, ReLU and pooling, then a linear classifier. */
static int build(pinion_network *network, int classes)
{
    static const char *const names[3][4] = {
        {"conv1", "bn1", "relu1", "pool1"}, {"conv2", "bn2", "relu2", "pool2"}, {"conv3", "bn3", "relu3", "pool3"}};
    pinion_layer at = PINION_INPUT;
    int code = 0;
    for (int block = 0; block < 3; block++) {
        pinion_conv2d conv = {.k = 16 << block, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
        pinion_pool pool = {.r = 2, .s = 2};
        if ((code = pinion_network_add_conv2d(network, names[block][0], at, &conv, &at)) < 0 ||
            (code = pinion_network_add_batchnorm(network, names[block][1], at, NULL, &at)) < 0 ||
            (code = pinion_network_add_relu(network, names[block][2], at, &at)) < 0 ||
            (code = pinion_network_add_maxpool(network, names[block][3], at, &pool, &at)) < 0)
            return code;
    }
    if ((code = pinion_network_add_flatten(network, "flatten", at, &at)) < 0)
        return code;
    return pinion_network_add_linear(network, "fc", at, &(pinion_linear){.k = classes, .bias = 1}, NULL);
}

int main(void)
{
    pinion_context *ctx = NULL;
    pinion_dataset *data = NULL;
    pinion_network *network = NULL;
    pinion_trainer *trainer = NULL;
    pinion_train_result result;
    pinion_train_options options = pinion_train_options_default();
    options.epochs = 1;

    int code = pinion_context_create(NULL, &ctx);
    if (code == 0)
        code = pinion_dataset_open(ctx, "synthetic", NULL, &data);
    if (code == 0)
        code = pinion_network_create(ctx, "own", pinion_dataset_get_info(data).image, &network);
    if (code == 0)
        code = build(network, pinion_dataset_get_info(data).classes);
    if (code == 0)
        code = pinion_network_init_weights(network, options.seed);
    if (code == 0)
        code = pinion_trainer_create(network, data, &options, &trainer);
    if (code == 0)
        code = pinion_trainer_run(trainer, NULL, &result);
    if (code == 0)
        printf("top-1 accuracy %.1f %% after %lld steps\n", result.top1, (long long)result.steps);
    else
        fprintf(stderr, "%s\n", ctx ? pinion_context_error(ctx) : pinion_error_text(code));

    pinion_trainer_destroy(trainer);
    pinion_network_destroy(network);
    pinion_dataset_destroy(data);
    pinion_context_destroy(ctx);
    return code == 0 ? 0 : 1;
}
