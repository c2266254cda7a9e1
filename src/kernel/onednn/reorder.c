/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights between Pinion's order and the format that oneDNN chose: blocks of filters (depthwise: of channels), an item
 * of the workers each. All blocks but the last have one shape and so one primitive; their places are found from the
 * format itself, since a block of filters lies in one piece in every format with filters outermost. A format that
 * cannot be cut so is one block.
 */
#include "kernel/onednn/onednn.h"
#include <stdatomic.h>
#include <string.h>

/* Blocks of one shape, counted from their first byte. */
typedef struct block {
    dnnl_memory_desc_t plain, formatted;
    dnnl_primitive_t primitive;
} block;

typedef struct reordering {
    const pinion__onednn *item;
    block full, rest; /* rest: the last block where it is shorter */
    size_t blocks;
    dnnl_dim_t plain_step, formatted_step; /* elements from block to block */
    float *plain, *formatted;
    bool back;
    atomic_bool failed;
} reordering;

/* The descriptor of some filters and the elements in front of them. */
static bool cut(const dnnl_memory_desc_t *whole, dnnl_dim_t first, dnnl_dim_t filters, dnnl_memory_desc_t *out,
                dnnl_dim_t *offset)
{
    dnnl_dims_t dims = {0};
    const dnnl_dims_t offsets = {first};
    memcpy(dims, whole->dims, sizeof dims);
    dims[0] = filters;
    if (dnnl_memory_desc_init_submemory(out, whole, dims, offsets) != dnnl_success)
        return false;
    *offset = out->offset0;
    out->offset0 = 0;
    return true;
}

static bool create(const reordering *work, block *b, bool accumulate)
{
    const pinion__onednn *item = work->item;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t operations = NULL;
    dnnl_primitive_desc_t description = NULL;
    bool good =
        dnnl_primitive_attr_create(&attributes) == dnnl_success && dnnl_post_ops_create(&operations) == dnnl_success;
    if (good && accumulate)
        good = dnnl_post_ops_append_sum(operations, 1.0F) == dnnl_success &&
               dnnl_primitive_attr_set_post_ops(attributes, operations) == dnnl_success;
    good = good && dnnl_reorder_primitive_desc_create(&description, work->back ? &b->formatted : &b->plain,
                                                      item->engine, work->back ? &b->plain : &b->formatted,
                                                      item->engine, attributes) == dnnl_success;
    good = good && dnnl_primitive_create(&b->primitive, description) == dnnl_success;
    if (description)
        dnnl_primitive_desc_destroy(description);
    if (operations)
        dnnl_post_ops_destroy(operations);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return good;
}

/* Cuts both formats; false where one of them cannot be cut. */
static bool cut_blocks(reordering *work)
{
    const pinion__onednn *item = work->item;
    const dnnl_dim_t filters = item->w.dims[0], each = PINION__ONEDNN_FILTERS;
    dnnl_dim_t none;
    work->blocks = (size_t)((filters + each - 1) / each);
    if (work->blocks < 2)
        return false;
    const dnnl_dim_t last = (dnnl_dim_t)(work->blocks - 1) * each;
    dnnl_memory_desc_t *plain = &work->rest.plain, *formatted = &work->rest.formatted;
    return cut(&item->plain, 0, each, &work->full.plain, &none) &&
           cut(&item->w, 0, each, &work->full.formatted, &none) &&
           cut(&item->plain, each, filters - each < each ? filters - each : each, plain, &work->plain_step) &&
           cut(&item->w, each, filters - each < each ? filters - each : each, formatted, &work->formatted_step) &&
           cut(&item->plain, last, filters - last, plain, &none) &&
           cut(&item->w, last, filters - last, formatted, &none);
}

static void run_block(void *user, size_t index, int lane)
{
    (void)lane;
    reordering *work = user;
    const block *b = index + 1 == work->blocks ? &work->rest : &work->full;
    float *plain = work->plain + (dnnl_dim_t)index * work->plain_step;
    float *formatted = work->formatted + (dnnl_dim_t)index * work->formatted_step;
    const pinion__onednn_argument args[] = {
        {work->back ? DNNL_ARG_TO : DNNL_ARG_FROM, &b->plain, plain},
        {work->back ? DNNL_ARG_FROM : DNNL_ARG_TO, &b->formatted, formatted},
    };
    if (!pinion__onednn_execute(work->item->engine, b->primitive, args, 2))
        atomic_store(&work->failed, true);
}

bool pinion__onednn_reorder(const pinion__onednn *item, pinion__workers *workers, void *plain, void *formatted,
                            bool back, bool accumulate)
{
    reordering work = {.item = item, .plain = plain, .formatted = formatted, .back = back};
    if (!cut_blocks(&work)) {
        work.blocks = 1;
        work.rest.plain = item->plain;
        work.rest.formatted = item->w;
    }
    const int threads = pinion__onednn_enter();
    const bool created =
        create(&work, &work.rest, accumulate) && (work.blocks == 1 || create(&work, &work.full, accumulate));
    pinion__onednn_leave(threads);
    if (created)
        pinion__parallel(workers, work.blocks, run_block, &work);
    if (work.full.primitive)
        dnnl_primitive_destroy(work.full.primitive);
    if (work.rest.primitive)
        dnnl_primitive_destroy(work.rest.primitive);
    return created && !atomic_load(&work.failed);
}
