/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion eval: accuracy of a weights file on a data set.
 */
#include "command.h"

#include <jansson.h>

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
    if (given->json) {
        json_t *root = json_pack("{s:f, s:f, s:I, s:s}", "top1", result.top1, "loss", result.loss, "count",
                                 (json_int_t)result.count, "part", part == PINION_PART_TEST ? "test" : "train");
        json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        printf("\n");
        json_decref(root);
    } else {
        printf("top1 %.2f %%  loss %.4f  (%lld %s samples)\n", result.top1, result.loss, (long long)result.count,
               part == PINION_PART_TEST ? "test" : "training");
    }
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
