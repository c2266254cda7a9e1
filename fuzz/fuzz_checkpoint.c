/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints and weights as a program opens them, by path: whatever is accepted can be read to its last tensor, text
 * and index, and nothing leaks. The file lives in memory where the system has /dev/shm.
 */
#include "base/context.h"
#include <pinion/train.h>
#include <pinion/weights.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENDING ".state.safetensors"

static void require(int condition)
{
    if (!condition)
        abort();
}

static void write_input(char *path, size_t room, const uint8_t *data, size_t size)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, room, "%s/pinion-fuzz-XXXXXX" ENDING, folder);
    int handle = mkstemps(path, (int)strlen(ENDING));
    require(handle >= 0);
    require(write(handle, data, size) == (ssize_t)size);
    require(close(handle) == 0);
}

/* Every byte of a text, as a sum that a compiler cannot leave out. */
static volatile size_t seen;

static void see(const char *text)
{
    seen += text ? strlen(text) : 0;
}

static void read_checkpoint(const pinion_checkpoint *checkpoint)
{
    const pinion_checkpoint_info *info = pinion_checkpoint_get_info(checkpoint);
    require(info->step >= 0 && info->log_bytes >= -1);
    require(info->model && info->data);
    see(info->model);
    see(info->data);
    see(info->options.freeze);
    require(info->options.out == NULL && info->options.validation >= 0);
    for (int64_t i = 0; info->options.validation_indices && i < info->options.validation; i++)
        require(info->options.validation_indices[i] >= 0);
}

static void read_weights(const pinion_weights_file *file)
{
    const pinion_weights_metadata *metadata = pinion_weights_get_metadata(file);
    pinion_tensor_info tensor;
    see(metadata->model);
    require(metadata->class_count >= 0);
    for (int i = 0; metadata->class_names && i < metadata->class_count; i++)
        see(metadata->class_names[i]);
    for (int i = 0; pinion_weights_get_tensor(file, i, &tensor) == PINION_OK; i++) {
        see(tensor.name);
        see(tensor.dtype);
        require(tensor.rank >= 0 && tensor.rank <= 8);
        for (int d = 0; d < tensor.rank; d++)
            require(tensor.shape[d] >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static pinion_context *ctx;
    char path[64];
    pinion_checkpoint *checkpoint = NULL;
    pinion_weights_file *weights = NULL;
    pinion_context_options options = pinion_context_options_default();
    options.threads = 1;
    require(ctx || pinion_context_create(&options, &ctx) == PINION_OK);
    size_t live = atomic_load(&ctx->live_bytes);
    write_input(path, sizeof path, data, size);
    if (pinion_checkpoint_open(ctx, path, &checkpoint) == PINION_OK)
        read_checkpoint(checkpoint);
    pinion_checkpoint_close(checkpoint);
    if (pinion_weights_open(ctx, path, &weights) == PINION_OK)
        read_weights(weights);
    pinion_weights_close(weights);
    unlink(path);
    require(atomic_load(&ctx->live_bytes) == live);
    return 0;
}
