/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion eval: accuracy of a weights file on a data set.
 */
#include "json.h"

static json_t *list_numbers(const double *values, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_number(values[i]));
    return list;
}

/* At --width the result is that of the width, and no wider one is shown. */
static int take_width(const options *given, const pinion_network *network, pinion_eval_result *result)
{
    const int width = given->width;
    if (width == 0)
        return EXIT_DONE;
    if (result->widths == 0)
        return usage_error("--width: network '%s' is not cut into groups", pinion_network_get_info(network).name);
    if (width > result->widths)
        return usage_error("--width: %d is out of range: %s has the weights of %d groups", width, given->weights,
                           result->widths);
    result->widths = width;
    result->top1 = result->top1_per_width[width - 1];
    result->loss = result->loss_per_width[width - 1];
    return EXIT_DONE;
}

static int print(const options *given, const pinion_eval_result *result, const char *part)
{
    const bool cut = result->widths > 0;
    const int widths = cut ? result->widths : 1;
    if (given->json) {
        json_t *root = json_pack("{s:o, s:o, s:I, s:s, s:o}", "top1", json_number(result->top1), "loss",
                                 json_number(result->loss), "count", (json_int_t)result->count, "part", part,
                                 "top1_per_width", list_numbers(cut ? result->top1_per_width : &result->top1, widths));
        if (cut) {
            json_object_set_new(root, "loss_per_width", list_numbers(result->loss_per_width, widths));
            json_object_set_new(root, "confidence_per_width", list_numbers(result->confidence_per_width, widths));
        }
        return print_json_line(root);
    }
    for (int i = given->width > 0 ? widths - 1 : 0; cut && i < widths; i++)
        printf("width %d  top1 %.2f %%  loss %.4f  right class' probability %.4f\n", i + 1, result->top1_per_width[i],
               result->loss_per_width[i], result->confidence_per_width[i] / (double)result->count);
    printf("top1 %.2f %%  loss %.4f  (%lld %s samples)\n", result->top1, result->loss, (long long)result->count, part);
    return EXIT_DONE;
}

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
    int code = take_width(given, network, &result);
    return code == EXIT_DONE ? print(given, &result, part == PINION_PART_TEST ? "test" : "training") : code;
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
