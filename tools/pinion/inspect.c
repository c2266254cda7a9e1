/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion inspect: what is in a weights file, or in a network description or model of the zoo.
 */
#include "json.h"

#include <inttypes.h>
#include <string.h>

static json_t *shape_array(const pinion_tensor_info *tensor)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return shape;
}

static void print_tensor(const pinion_tensor_info *tensor)
{
    printf("%-44s %-4s [", tensor->name, tensor->dtype);
    for (int i = 0; i < tensor->rank; i++)
        printf("%s%" PRId64, i ? ", " : "", tensor->shape[i]);
    printf("]\n");
}

static void print_metadata(const pinion_weights_metadata *metadata)
{
    printf("model    %s\n", !metadata->model ? "unknown" : metadata->model[0] == '{' ? "(described)" : metadata->model);
    if (metadata->input.h > 0)
        printf("input    %d x %d x %d\n", metadata->input.h, metadata->input.w, metadata->input.c);
    if (metadata->class_count > 0) {
        printf("classes  %d", metadata->class_count);
        for (int i = 0; metadata->class_names && i < metadata->class_count && i < 20; i++)
            printf("%s %s", i ? "," : ":", metadata->class_names[i]);
        printf("\n");
    }
    int channels = metadata->input.c > 0 && metadata->input.c < 3 ? metadata->input.c : 3;
    for (int i = 0; metadata->std[0] > 0 && i < channels; i++)
        printf("channel  %d: mean %g std %g\n", i, (double)metadata->mean[i], (double)metadata->std[i]);
}

static int inspect_weights(pinion_context *ctx, const options *given, const char *path)
{
    pinion_weights_file *file;
    int status = pinion_weights_open(ctx, path, &file);
    if (status < 0)
        return report(ctx, status);
    const pinion_weights_metadata *metadata = pinion_weights_get_metadata(file);
    json_t *tensors = json_array();
    uint64_t bytes = 0;
    int count = 0, code = EXIT_DONE;
    pinion_tensor_info tensor;
    if (!given->json)
        print_metadata(metadata);
    for (; pinion_weights_get_tensor(file, count, &tensor) == PINION_OK; count++) {
        bytes += tensor.bytes;
        if (given->json)
            json_array_append_new(tensors, json_pack("{s:o, s:s, s:o}", "name", json_text(tensor.name), "dtype",
                                                     tensor.dtype, "shape", shape_array(&tensor)));
        else
            print_tensor(&tensor);
    }
    if (given->json) {
        json_t *root = json_pack("{s:s?, s:i, s:[i,i,i], s:O, s:I}", "model", metadata->model, "classes",
                                 metadata->class_count, "input", metadata->input.h, metadata->input.w,
                                 metadata->input.c, "tensors", tensors, "bytes", (json_int_t)bytes);
        code = print_json_line(root);
    } else {
        printf("%d tensors, %" PRIu64 " bytes\n", count, bytes);
    }
    json_decref(tensors);
    pinion_weights_close(file);
    return code;
}

static int inspect_network(pinion_context *ctx, const options *given, const char *model)
{
    pinion_network *network;
    int status = pinion_network_open(ctx, model, NULL, &network);
    if (status < 0)
        return report(ctx, status);
    pinion_network_info info = pinion_network_get_info(network);
    json_t *layers = json_array();
    int code = EXIT_DONE;
    pinion_layer_info layer;
    if (!given->json)
        printf("%-28s %-17s %-15s %12s %10s\n", "layer", "op", "output", "parameters", "MMAC");
    for (int i = 0; pinion_network_get_layer(network, i, &layer) == PINION_OK; i++) {
        char shape[48];
        snprintf(shape, sizeof shape, "%dx%dx%d", layer.output.h, layer.output.w, layer.output.c);
        if (given->json)
            json_array_append_new(layers, json_pack("{s:o, s:s, s:[i,i,i], s:I, s:I}", "name", json_text(layer.name),
                                                    "op", layer.op, "output", layer.output.h, layer.output.w,
                                                    layer.output.c, "parameters", (json_int_t)layer.parameters, "macs",
                                                    (json_int_t)layer.macs));
        else
            printf("%-28s %-17s %-15s %12" PRId64 " %10.2f\n", layer.name, layer.op, shape, layer.parameters,
                   (double)layer.macs * 1e-6);
    }
    if (given->json) {
        json_t *root = json_pack("{s:o, s:O, s:I, s:I}", "model", json_text(info.name), "layers", layers, "parameters",
                                 (json_int_t)info.parameters, "macs", (json_int_t)info.macs);
        code = print_json_line(root);
    } else {
        printf("%s: %d layers, %" PRId64 " parameters, %.2f MMAC, %.1f MiB of weights\n", info.name, info.layers,
               info.parameters, (double)info.macs * 1e-6, (double)info.weight_bytes / 1048576);
    }
    json_decref(layers);
    pinion_network_destroy(network);
    return code;
}

static bool is_model(const char *name)
{
    size_t length = strlen(name);
    if (length > 5 && strcmp(name + length - 5, ".json") == 0)
        return true;
    for (int i = 0; pinion_network_zoo_name(i); i++)
        if (strcmp(pinion_network_zoo_name(i), name) == 0)
            return true;
    return false;
}

int run_inspect(const options *given)
{
    if (given->input_count != 1)
        return usage_error("inspect: expected one FILE, got %d", given->input_count);
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    const char *path = given->inputs[0];
    code = is_model(path) ? inspect_network(ctx, given, path) : inspect_weights(ctx, given, path);
    pinion_context_destroy(ctx);
    return code;
}
