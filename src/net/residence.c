/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights that leave memory and come back (net/residence.h). A file that took the place of the one that was loaded is
 * found out by its tensors: names, shapes, types and bytes of all that are wanted must be as they were. All of it is
 * checked before the first weight is written.
 */
#include "net/residence.h"
#include "base/pages.h"
#include "net/convert.h"
#include "net/groups.h"
#include "net/weights.h"
#include <stdlib.h>
#include <string.h>

static void release(pinion_context *ctx, pinion__residence *residence)
{
    if (residence)
        pinion__release(ctx, residence->path);
    pinion__release(ctx, residence);
}

static bool same_shape(const pinion__param *param, const pinion__st_tensor *tensor)
{
    int64_t shape[8];
    int rank;
    pinion__param_file_shape(param, shape, &rank);
    return tensor->rank == rank && memcmp(tensor->shape, shape, (size_t)rank * sizeof *shape) == 0;
}

/* Every step is a bijection of either argument, so another word at one place always gives another print. Against
 * accidents only, but at the speed of memory: groups are to come back quickly. */
static uint64_t mix(uint64_t print, uint64_t word)
{
    print = (print ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return print ^ print >> 32;
}

static uint64_t mix_bytes(uint64_t print, const unsigned char *data, uint64_t bytes)
{
    uint64_t word;
    for (; bytes >= sizeof word; bytes -= sizeof word, data += sizeof word) {
        memcpy(&word, data, sizeof word);
        print = mix(print, word);
    }
    word = 0;
    memcpy(&word, data, (size_t)bytes);
    return mix(print, word);
}

/* Of type and bytes of a group's tensors in the network's order. False: one is missing or of another shape. */
static bool take_print(const pinion_network *network, const pinion__st_file *file, int group, uint64_t *print)
{
    *print = 0;
    size_t last = pinion__network_param_count(network, group);
    for (size_t i = pinion__network_param_count(network, group - 1); i < last; i++) {
        const pinion__st_tensor *tensor = pinion__st_find(file, network->params[i].name);
        if (!tensor || !same_shape(&network->params[i], tensor))
            return false;
        *print = mix_bytes(mix(*print, (uint64_t)tensor->dtype), tensor->data, tensor->bytes);
    }
    return true;
}

int pinion__residence_create(const pinion_network *network, const pinion__st_file *file, size_t count,
                             pinion__residence **out)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion__residence *residence = NULL;
    char *path = network->groups && file->file.data ? realpath(file->path, NULL) : NULL;
    *out = NULL;
    if (!path)
        return PINION_OK;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *residence, "the origin of weights", &residence));
    PINION_TRY(pinion__copy_string(ctx, path, &residence->path));
    residence->width = network->layers[network->params[count - 1].layer].group;
    for (int group = 1; group <= residence->width; group++)
        take_print(network, file, group, &residence->prints[group - 1]);
    *out = residence;
    residence = NULL;
fail:
    free(path);
    release(ctx, residence);
    return status;
}

void pinion__network_reside_take(pinion_network *network, pinion__residence *residence)
{
    release(network->ctx, network->residence);
    network->residence = residence;
    if (residence)
        residence->version = network->version;
}

/* The file whose weights the network has, if it still has them and nobody else holds them. */
static const pinion__residence *current(const pinion_network *network)
{
    const pinion__residence *residence = network->residence;
    return residence && residence->version == network->version && !network->shared ? residence : NULL;
}

size_t pinion__network_release_groups(pinion_network *network, int width)
{
    const pinion__residence *residence = current(network);
    if (!residence || width < 0 || width >= network->width)
        return 0;
    size_t begin = network->group_offset[width], end = network->group_offset[network->width];
    network->width = width;
    return pinion__pages_give_back(network->block + begin, end - begin);
}

static int check_groups(pinion_context *ctx, const pinion_network *network, const pinion__st_file *file, int width)
{
    int status = PINION_OK;
    uint64_t found;
    for (int group = network->width + 1; group <= width; group++) {
        bool there = take_print(network, file, group, &found);
        PINION_FAIL_IF(!there || found != network->residence->prints[group - 1], PINION_EFORMAT,
                       "%s: the weights of group %d in it are not those that were loaded from it", file->path, group);
    }
fail:
    return status;
}

int pinion__network_restore_groups(pinion_network *network, int width)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion__st_file *file = NULL;
    float *values = NULL;
    size_t largest = 0;
    if (width <= network->width)
        return PINION_OK;
    const pinion__residence *residence = current(network);
    PINION_FAIL_IF(!residence || width > residence->width, PINION_EINVAL,
                   "network '%s': the weights of group %d were not released, they cannot come back", network->name,
                   width);
    size_t first = pinion__network_param_count(network, network->width);
    size_t last = pinion__network_param_count(network, width);
    PINION_TRY(pinion__st_open_unchecked(ctx, residence->path, &file));
    PINION_TRY(check_groups(ctx, network, file, width));
    for (size_t i = first; i < last; i++)
        largest = network->params[i].bytes > largest ? network->params[i].bytes : largest;
    PINION_TRY(pinion__alloc(ctx, largest, 1, "a tensor that is being loaded", &values));
    for (size_t i = first; i < last; i++) {
        const pinion__st_tensor *tensor = pinion__st_find(file, network->params[i].name);
        pinion__tensor_floats(tensor, 0, network->params[i].bytes / sizeof(float), values);
        pinion__param_from_file(&network->params[i], values, pinion__param_data(network, (int)i));
    }
    network->width = width;
fail:
    pinion__st_close(ctx, file);
    pinion__release(ctx, values);
    return status;
}
