/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a network's weights with what is known about them. Metadata are strings; numbers and names in them are JSON.
 */
#include "net/groups.h"
#include "net/shared.h"
#include "net/text.h"
#include "net/weights.h"
#include "net/zoo.h"
#include <math.h>

static int add_model(pinion__pairs *list, const pinion_network *network, const char *given)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    const char *zoo = NULL;
    char *description;
    if (given)
        return pinion__pairs_add(list, "pinion.model", given);
    PINION_TRY(pinion__network_zoo_model(network, &zoo));
    if (zoo)
        return pinion__pairs_add(list, "pinion.model", zoo);
    PINION_TRY(pinion__network_describe(network, &description));
    return pinion__pairs_add_take(list, "pinion.model", description);
fail:
    return status;
}

static int add_classes(pinion__pairs *list, const char *const *names, int count)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, "["));
    for (int i = 0; i < count; i++) {
        PINION_TRY(pinion__text_add(&text, i ? ", " : ""));
        PINION_TRY(pinion__text_add_json(&text, names[i]));
    }
    PINION_TRY(pinion__text_add(&text, "]"));
    return pinion__pairs_add_take(list, "pinion.classes", text.bytes);
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

static int add_floats(pinion__pairs *list, const char *key, const float values[3], int count)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    pinion__text text = {.ctx = ctx};
    for (int i = 0; i < count; i++) {
        PINION_TRY(pinion__text_add(&text, i ? ", " : "["));
        PINION_TRY(pinion__text_add_float(&text, values[i]));
    }
    PINION_TRY(pinion__text_add(&text, "]"));
    return pinion__pairs_add_take(list, key, text.bytes);
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

static int add_formatted(pinion__pairs *list, const char *key, const char *format, int a, int b, int c)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, format, a, b, c));
    return pinion__pairs_add_take(list, key, text.bytes);
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

/* What would be refused when the file is read is refused here. */
static int check_metadata(pinion_context *ctx, const pinion_weights_metadata *m, int channels)
{
    int status = PINION_OK;
    PINION_FAIL_IF(m->model && !pinion__model_valid(m->model), PINION_EINVAL,
                   "metadata of weights: the model is %s; expected a name of the zoo or a JSON description",
                   pinion__quote(m->model).text);
    for (int i = 0; i < channels && m->std[0] != 0; i++)
        PINION_FAIL_IF(!isfinite(m->mean[i]) || !isfinite(m->std[i]) || m->std[i] <= 0, PINION_EINVAL,
                       "metadata of weights: mean %g and std %g of channel %d; expected finite numbers and std > 0",
                       (double)m->mean[i], (double)m->std[i], i);
fail:
    return status;
}

int pinion__weights_pairs(const pinion_network *network, const pinion_weights_metadata *metadata, pinion__pairs *pairs)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    const pinion_weights_metadata none = {0};
    const pinion_weights_metadata *m = metadata ? metadata : &none;
    pinion_network_info info = pinion_network_get_info(network);
    pinion_shape input = m->input.h ? m->input : info.input;
    int channels = input.c < 3 ? input.c : 3;
    PINION_TRY(check_metadata(ctx, m, channels));
    PINION_TRY(pinion__pairs_add(pairs, "format", "pt"));
    PINION_TRY(add_model(pairs, network, m->model));
    PINION_TRY(add_formatted(pairs, "pinion.input", "%dx%dx%d", input.h, input.w, input.c));
    PINION_TRY(add_formatted(pairs, "pinion.class_count", "%d", m->class_count ? m->class_count : info.output.c, 0, 0));
    if (network->groups)
        PINION_TRY(pinion__groups_pairs(network, m, pairs));
    if (m->class_names)
        PINION_TRY(add_classes(pairs, m->class_names, m->class_count));
    if (m->std[0] > 0) {
        PINION_TRY(add_floats(pairs, "pinion.mean", m->mean, channels));
        PINION_TRY(add_floats(pairs, "pinion.std", m->std, channels));
    }
fail:
    return status;
}

pinion__st_tensor pinion__param_tensor(const pinion_network *network, size_t param)
{
    const pinion__param *from = &network->params[param];
    pinion__st_tensor tensor = {.name = from->name, .dtype = PINION__F32, .group = network->layers[from->layer].group};
    pinion__param_file_shape(from, tensor.shape, &tensor.rank);
    return tensor;
}

static int fill(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes)
{
    const pinion_network *network = user;
    pinion__param_to_file(&network->params[tensor], pinion__param_data(network, (int)tensor), offset / sizeof(float),
                          bytes / sizeof(float), buffer);
    return PINION_OK;
}

int pinion_weights_save(const pinion_network *network, const char *path, const pinion_weights_metadata *metadata)
{
    if (!network)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion__st_tensor *tensors = NULL;
    pinion__pairs pairs = {.ctx = ctx};
    size_t count = pinion__network_param_count(network, network->width);
    PINION_FAIL_IF(!path, PINION_EINVAL, "the path of the weights is missing");
    PINION_FAIL_IF(!network->block || (network->groups && network->width == 0), PINION_EINVAL,
                   "network '%s' has no weights yet: initialise or load them", network->name);
    PINION_TRY(pinion__network_settle(network));
    PINION_TRY(pinion__weights_pairs(network, metadata, &pairs));
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *tensors, "tensors", &tensors));
    for (size_t i = 0; i < count; i++)
        tensors[i] = pinion__param_tensor(network, i);
    PINION_TRY(pinion__st_save(ctx, path, tensors, count, pairs.at, pairs.count, fill, (void *)network));
fail:
    pinion__release(ctx, tensors);
    pinion__pairs_fini(&pairs);
    return status;
}
