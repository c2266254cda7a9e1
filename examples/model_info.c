/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the size of every model of the zoo, and classifies one sample of noise with the first.
 *
 *     cc model_info.c $(pkg-config --cflags --libs pinion) -o model_info && ./model_info
 */
#include <pinion/pinion.h>
#include <stdio.h>

static int classify_noise(pinion_network *network)
{
    static float image[32 * 32 * 3], logits[10];
    for (int i = 0; i < 32 * 32 * 3; i++)
        image[i] = (float)(i * 7919 % 256) / 128.0f - 1.0f;
    pinion_plan_options options = pinion_plan_options_default();
    pinion_plan *plan = NULL;
    pinion_runner *runner = NULL;
    int code = pinion_network_init_weights(network, 1);
    if (code == 0)
        code = pinion_plan_create(network, &options, &plan);
    if (code == 0)
        code = pinion_runner_create(plan, &runner);
    if (code == 0)
        code = pinion_runner_infer(runner, image, 1, logits);
    for (int i = 0; code == 0 && i < 10; i++)
        printf("%s%.3f", i ? " " : "logits ", (double)logits[i]);
    printf("\n");
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
    return code;
}

int main(void)
{
    pinion_context *ctx;
    if (pinion_context_create(NULL, &ctx) < 0)
        return 1;
    int code = 0;
    for (int i = 0; code == 0 && pinion_network_zoo_name(i); i++) {
        pinion_network *network = NULL;
        pinion_network_options options = {.classes = 10, .input = {32, 32, 3}};
        code = pinion_network_open(ctx, pinion_network_zoo_name(i), &options, &network);
        if (code == 0) {
            pinion_network_info info = pinion_network_get_info(network);
            printf("%-18s %9lld parameters\n", info.name, (long long)info.parameters);
        }
        if (code == 0 && !pinion_network_zoo_name(i + 1))
            code = classify_noise(network);
        pinion_network_destroy(network);
    }
    if (code < 0)
        fprintf(stderr, "%s\n", pinion_context_error(ctx));
    pinion_context_destroy(ctx);
    return code == 0 ? 0 : 1;
}
