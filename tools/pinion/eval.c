/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion eval: accuracy of a weights file on a data set.
 */
#include "json.h"

static int evaluate(pinion_context *ctx, const options *given, const pinion_weights_metadata *metadata,
                    const pinion_network *network, pinion_dataset *dataset)
{
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    enum pinion_part part = info.test_count > 0 ? PINION_PART_TEST : PINION_PART_TRAIN;
    pinion_eval_result result;
    bool normalised = metadata->std[0] > 0;
    int status = pinion_evaluate(network, dataset, part, given->batch, normalised ? metadata->mean : NULL,
                                 normalised ? metadata->std : NULL, &result);
    if (status < 0)
        return report(ctx, status);
    const char *name = part == PINION_PART_TEST ? "test" : "training";
    if (given->json)
        return print_json_line(json_pack("{s:o, s:o, s:I, s:s, s:[o]}", "top1", json_number(result.top1), "loss",
                                         json_number(result.loss), "count", (json_int_t)result.count, "part", name,
                                         "top1_per_width", json_number(result.top1)));
    printf("top1 %.2f %%  loss %.4f  (%lld %s samples)\n", result.top1, result.loss, (long long)result.count, name);
    return EXIT_DONE;
}

int run_eval(const options *given)
{
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    pinion_weights_file *file = NULL;
    pinion_network *network = NULL;
    pinion_dataset *dataset = NULL;
    code = open_weights(ctx, given->weights, given->model, &file, &network);
    if (code == EXIT_DONE) {
        pinion_dataset_options chosen = {.image = pinion_network_get_info(network).input};
        int status = pinion_dataset_open(ctx, given->data, &chosen, &dataset);
        code = status < 0 ? report(ctx, status)
                          : evaluate(ctx, given, pinion_weights_get_metadata(file), network, dataset);
    }
    pinion_dataset_destroy(dataset);
    pinion_network_destroy(network);
    pinion_weights_close(file);
    pinion_context_destroy(ctx);
    return code;
}
