/* SPDX-License-Identifier: Apache-2.0
 *
 * pinion inspect: what is in a weights file, or in a network description or model of the zoo; of a dynamic network,
 * what each width takes.
 */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *connection(enum pinion_connect connect)
{
    return connect == PINION_NESTED ? "nested" : "towers";
}

/* metadata: of the file that the network is from; NULL: of none. */
static bool get_accuracy(const pinion_weights_metadata *metadata, int width, double *top1)
{
    bool known = metadata && width <= metadata->known_widths;
    *top1 = known ? metadata->top1_per_width[width - 1] : (double)NAN;
    return known;
}

static void print_widths(const pinion_network *network, const pinion_weights_metadata *metadata)
{
    pinion_width_info info;
    double top1;
    printf("%-6s %12s %10s %12s %8s\n", "width", "parameters", "MMAC", "bytes", "top1");
    for (int j = 1; j <= pinion_network_get_info(network).groups; j++) {
        pinion_network_get_width(network, j, &info);
        printf("%-6d %12" PRId64 " %10.2f %12" PRId64, j, info.parameters, (double)info.macs * 1e-6, info.weight_bytes);
        if (get_accuracy(metadata, j, &top1))
            printf(" %6.2f %%\n", top1);
        else
            printf(" %8s\n", "unknown");
    }
}

static json_t *list_widths(const pinion_network *network, const pinion_weights_metadata *metadata)
{
    json_t *widths = json_array();
    pinion_width_info info;
    double top1;
    for (int j = 1; j <= pinion_network_get_info(network).groups; j++) {
        pinion_network_get_width(network, j, &info);
        get_accuracy(metadata, j, &top1);
        json_array_append_new(widths, json_pack("{s:i, s:I, s:I, s:I, s:o}", "width", j, "parameters",
                                                (json_int_t)info.parameters, "macs", (json_int_t)info.macs, "bytes",
                                                (json_int_t)info.weight_bytes, "top1", json_number(top1)));
    }
    return widths;
}

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

static void print_groups(const pinion_weights_metadata *metadata, const pinion_network *network)
{
    printf("groups   %d (%s)", metadata->groups, connection(metadata->connect));
    if (metadata->width < metadata->groups)
        printf(", %d in the file", metadata->width);
    if (metadata->whole_width < metadata->width)
        printf(", group %d is damaged: widths up to %d can be used", metadata->whole_width + 1, metadata->whole_width);
    printf("\n");
    if (network)
        print_widths(network, metadata);
}

static void print_metadata(const pinion_weights_metadata *metadata, const pinion_network *network)
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
    if (metadata->groups > 0)
        print_groups(metadata, network);
}

/* The dynamic network that a file is of; NULL: it is of none, or of an unknown model. */
static int open_described(pinion_context *ctx, const pinion_weights_metadata *metadata, pinion_network **out)
{
    const pinion_network_options chosen = {.input = metadata->input,
                                           .classes = metadata->class_count,
                                           .groups = metadata->groups,
                                           .connect = metadata->connect};
    *out = NULL;
    return metadata->groups && metadata->model ? open_model(ctx, metadata->model, &chosen, out) : PINION_OK;
}

static int print_weights_json(const pinion_weights_metadata *metadata, const pinion_network *network, json_t *tensors,
                              uint64_t bytes)
{
    json_t *root = json_pack("{s:s?, s:i, s:[i,i,i], s:O, s:I}", "model", metadata->model, "classes",
                             metadata->class_count, "input", metadata->input.h, metadata->input.w, metadata->input.c,
                             "tensors", tensors, "bytes", (json_int_t)bytes);
    if (root && metadata->groups > 0) {
        json_t *groups =
            json_pack("{s:i, s:s, s:i, s:i, s:o}", "groups", metadata->groups, "connect", connection(metadata->connect),
                      "width", metadata->width, "whole_width", metadata->whole_width, "widths",
                      network ? list_widths(network, metadata) : json_array());
        json_object_update(root, groups);
        json_decref(groups);
    }
    return print_json_line(root);
}

static int inspect_weights(pinion_context *ctx, const options *given, const char *path)
{
    pinion_weights_file *file;
    int status = pinion_weights_open(ctx, path, &file);
    if (status < 0)
        return report(ctx, status);
    const pinion_weights_metadata *metadata = pinion_weights_get_metadata(file);
    pinion_network *network;
    status = open_described(ctx, metadata, &network);
    if (status < 0) {
        pinion_weights_close(file);
        return report(ctx, status);
    }
    json_t *tensors = json_array();
    uint64_t bytes = 0;
    int count = 0, code = EXIT_DONE;
    pinion_tensor_info tensor;
    if (!given->json)
        print_metadata(metadata, network);
    for (; pinion_weights_get_tensor(file, count, &tensor) == PINION_OK; count++) {
        bytes += tensor.bytes;
        if (given->json)
            json_array_append_new(tensors, json_pack("{s:o, s:s, s:o}", "name", json_text(tensor.name), "dtype",
                                                     tensor.dtype, "shape", shape_array(&tensor)));
        else
            print_tensor(&tensor);
    }
    if (given->json) {
        code = print_weights_json(metadata, network, tensors, bytes);
    } else {
        printf("%d tensors, %" PRIu64 " bytes\n", count, bytes);
    }
    json_decref(tensors);
    pinion_network_destroy(network);
    pinion_weights_close(file);
    return code;
}

static int inspect_network(pinion_context *ctx, const options *given, const char *model)
{
    pinion_network *network;
    const pinion_network_options chosen = choose_network(given);
    int status = pinion_network_open(ctx, model, &chosen, &network);
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
        if (root && info.groups > 0)
            json_object_set_new(root, "widths", list_widths(network, NULL));
        code = print_json_line(root);
    } else {
        if (info.groups > 0)
            print_widths(network, NULL);
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
    const char *path = given->inputs[0];
    if (given->groups > 0 && !is_model(path))
        return usage_error("inspect: --groups is for models and network descriptions; a weights file says it itself");
    pinion_context *ctx;
    int code = open_context(given, &ctx);
    if (code != EXIT_DONE)
        return code;
    code = is_model(path) ? inspect_network(ctx, given, path) : inspect_weights(ctx, given, path);
    pinion_context_destroy(ctx);
    return code;
}
