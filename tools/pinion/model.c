/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening networks for the verbs: from --model, or from what a weights file says about itself.
 */
#include "command.h"

#include <string.h>

int open_model(pinion_context *ctx, const char *model, const pinion_network_options *chosen, pinion_network **out)
{
    if (model[0] == '{')
        return pinion_network_parse(ctx, model, strlen(model), "the model in the file", chosen, out);
    return pinion_network_open(ctx, model, chosen, out);
}

pinion_network_options choose_network(const options *given)
{
    return (pinion_network_options){.classes = given->classes,
                                    .groups = given->groups,
                                    .connect = (enum pinion_connect)given->connect,
                                    .like_width = given->static_width};
}

int open_weights(pinion_context *ctx, const char *path, const char *model, pinion_weights_file **file,
                 pinion_network **out)
{
    pinion_weights_file *opened = NULL;
    pinion_network *network = NULL;
    int code = pinion_weights_open(ctx, path, &opened);
    if (code < 0)
        return report(ctx, code);
    const pinion_weights_metadata *metadata = pinion_weights_get_metadata(opened);
    if (!model)
        model = metadata->model;
    if (!model) {
        pinion_weights_close(opened);
        return usage_error("%s does not say which model it is of: --model is missing", path);
    }
    const pinion_network_options chosen = {.input = metadata->input,
                                           .classes = metadata->class_count,
                                           .groups = metadata->groups,
                                           .connect = metadata->connect};
    code = open_model(ctx, model, &chosen, &network);
    if (code == PINION_OK)
        code = pinion_weights_load(network, opened, NULL);
    if (code < 0) {
        pinion_network_destroy(network);
        pinion_weights_close(opened);
        return report(ctx, code);
    }
    *file = opened;
    *out = network;
    return EXIT_DONE;
}
