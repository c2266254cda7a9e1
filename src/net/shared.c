/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights that processors share. The block moves as a whole: its new place in the domain is the host's view of memory
 * of the same size, and the old one is released.
 */
#include "net/shared.h"
#include "net/residence.h"

#include <string.h>

/* The body that has the host hold what it does not. */
static void settle_all(const void *argument)
{
    const pinion_network *network = argument;
    const struct pinion__shared_weights *shared = network->shared;
    for (size_t p = 0; p < network->param_count; p++)
        pinion__hand_over(&(pinion__hand_over_args){.memory = shared->memory,
                                                    .by = shared->by,
                                                    .span = shared->spans[p],
                                                    .bytes = network->params[p].bytes,
                                                    .from = shared->held[p],
                                                    .to = PINION__HELD_BY_HOST,
                                                    .contents = true});
}

int pinion__network_settle(const pinion_network *network)
{
    struct pinion__shared_weights *shared = network->shared;
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    if (!shared)
        return PINION_OK;
    PINION_FAIL_IF(shared->failure, shared->failure,
                   "network '%s': a device has failed that held weights; load or initialise them anew", network->name);
    if (!shared->by)
        return PINION_OK;
    bool settled = true;
    for (size_t p = 0; p < network->param_count; p++)
        settled = settled && shared->held[p] == PINION__HELD_BY_HOST;
    status = settled ? PINION_OK : shared->by->class_->run(shared->by, settle_all, network);
    shared->by = NULL;
    shared->failure = status;
    for (size_t p = 0; p < network->param_count && status == PINION_OK; p++)
        shared->held[p] = PINION__HELD_BY_HOST;
fail:
    return status;
}

static void release(pinion_context *ctx, struct pinion__shared_weights *shared)
{
    if (!shared)
        return;
    pinion__memory_destroy(shared->memory);
    pinion__release(ctx, shared->spans);
    pinion__release(ctx, shared->held);
    pinion__release(ctx, shared);
}

static int create(const pinion_network *network, pinion__domain *domain, struct pinion__shared_weights **out)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    struct pinion__shared_weights *shared = NULL;
    PINION_FAIL_IF(domain->alignment > PINION__SHARED_ALIGNMENT, PINION_EUNSUPPORTED,
                   "the memory of '%s' wants spans at multiples of %zu bytes; weights lie at multiples of %d",
                   domain->name, domain->alignment, PINION__SHARED_ALIGNMENT);
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *shared, "shared weights", &shared));
    PINION_TRY(
        pinion__alloc_zeroed(ctx, network->param_count + 1, sizeof *shared->spans, "shared weights", &shared->spans));
    PINION_TRY(
        pinion__alloc_zeroed(ctx, network->param_count + 1, sizeof *shared->held, "shared weights", &shared->held));
    PINION_TRY(pinion__memory_create(domain, network->block_bytes, &shared->memory));
    for (size_t p = 0; p < network->param_count; p++)
        PINION_TRY(pinion__memory_span(shared->memory, network->params[p].offset, network->params[p].bytes,
                                       &shared->spans[p]));
    *out = shared;
    return PINION_OK;
fail:
    release(ctx, shared);
    return status;
}

int pinion__network_share(const pinion_network *of, pinion__processor *by)
{
    pinion_network *network = (pinion_network *)of;
    pinion_context *ctx = network->ctx;
    struct pinion__shared_weights *old = network->shared, *shared = NULL;
    int status = PINION_OK;
    if (old && old->failure)
        return pinion__network_settle(network);
    if (old && old->memory->domain == by->domain) {
        old->users++;
        return PINION_OK;
    }
    PINION_FAIL_IF(old && old->users > 0, PINION_EUNSUPPORTED,
                   "network '%s': its weights are in the memory of '%s', where a runner uses them; '%s' cannot",
                   network->name, old->memory->domain->name, by->domain->name);
    PINION_TRY(pinion__network_settle(network));
    if (network->residence && network->residence->version == network->version)
        PINION_TRY(pinion__network_restore_groups(network, network->residence->width));
    PINION_TRY(create(network, by->domain, &shared));
    memcpy(shared->memory->host, network->block, network->block_bytes);
    if (!old)
        pinion__release(ctx, network->block);
    release(ctx, old);
    network->block = shared->memory->host;
    network->shared = shared;
    shared->users = 1;
fail:
    return status;
}

void pinion__network_leave(const pinion_network *network)
{
    (void)pinion__network_settle(network);
    network->shared->users--;
}

void pinion__network_lose(const pinion_network *network, int failure)
{
    network->shared->by = NULL;
    network->shared->failure = failure;
}

int pinion__network_unshare(pinion_network *network)
{
    pinion_context *ctx = network->ctx;
    struct pinion__shared_weights *shared = network->shared;
    int status = PINION_OK;
    unsigned char *block = NULL;
    if (!shared)
        return PINION_OK;
    PINION_FAIL_IF(shared->users > 0, PINION_EINVAL, "network '%s': %d runners use its weights in the memory of '%s'",
                   network->name, shared->users, shared->memory->domain->name);
    PINION_TRY(pinion__alloc_aligned(ctx, network->block_bytes, pinion__network_alignment(network),
                                     "the network's weights", &block));
    memset(block, 0, network->block_bytes);
    for (size_t p = 0; p < network->param_count; p++)
        if (shared->held[p] == PINION__HELD_BY_HOST)
            memcpy(block + network->params[p].offset, network->block + network->params[p].offset,
                   network->params[p].bytes);
    release(ctx, shared);
    network->shared = NULL;
    network->block = block;
fail:
    return status;
}

void pinion__network_free_shared(pinion_network *network)
{
    if (!network->shared)
        return;
    release(network->ctx, network->shared);
    network->shared = NULL;
    network->block = NULL;
}
