/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbered data set (numbered.h): a user's function makes its samples.
 */
#include "numbered.h"

#include <unistd.h>

pinion_context *ctx;
pinion_dataset *dataset;
numbered reader;

static int read_numbered(void *state, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    numbered *self = state;
    assert_int_equal(__atomic_add_fetch(&self->reading, 1, __ATOMIC_SEQ_CST), 1);
    if (self->sleep_us)
        usleep(self->sleep_us);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            *pixels++ = (unsigned char)(index + (part == PINION_PART_TEST ? 50 : 0));
            *pixels++ = (unsigned char)(100 + y);
            *pixels++ = (unsigned char)(200 + x);
        }
    *label = (int)index;
    __atomic_sub_fetch(&self->reading, 1, __ATOMIC_SEQ_CST);
    return index == self->fail_at ? PINION_EFORMAT : PINION_OK;
}

int numbered_open(void **state)
{
    (void)state;
    ctx = create_context(NULL);
    reader = (numbered){.fail_at = -1};
    /* Mean 0 and deviation 1/255: normalised values are the bytes. */
    pinion_dataset_source source = {
        .info = {.spec = "mine", .image = {H, W, 3}, .classes = COUNT, .train_count = COUNT, .test_count = 7},
        .read = read_numbered,
        .user = &reader,
    };
    for (int c = 0; c < 3; c++)
        source.info.std[c] = 1.0f / 255.0f;
    return pinion_dataset_create(ctx, &source, &dataset);
}

int numbered_close(void **state)
{
    (void)state;
    pinion_dataset_destroy(dataset);
    pinion_context_destroy(ctx);
    return 0;
}

pinion__loader *numbered_loader(const pinion__loader_options *options)
{
    pinion__loader *loader = NULL;
    assert_int_equal(pinion__loader_create(ctx, options, &loader), PINION_OK);
    return loader;
}

pinion__batch numbered_next(pinion__loader *loader)
{
    pinion__batch batch = {0};
    int64_t waited = -1;
    assert_int_equal(pinion__loader_next(loader, &batch, &waited), PINION_OK);
    assert_true(waited >= 0);
    return batch;
}

int byte_of(float value)
{
    return (int)(value + 0.5f);
}
