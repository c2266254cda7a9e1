/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing list of metadata (net/pairs.h).
 */
#include "net/pairs.h"

int pinion__pairs_add_take(pinion__pairs *pairs, const char *key, char *value)
{
    pinion_context *ctx = pairs->ctx;
    int status = PINION_OK;
    pinion__st_pair pair = {.value = value};
    PINION_TRY(pinion__grow(ctx, &pairs->at, &pairs->capacity, pairs->count + 1, sizeof pair, "metadata"));
    PINION_TRY(pinion__copy_string(ctx, key, &pair.key));
    pairs->at[pairs->count++] = pair;
    return PINION_OK;
fail:
    pinion__release(ctx, value);
    return status;
}

int pinion__pairs_add(pinion__pairs *pairs, const char *key, const char *value)
{
    char *copy;
    int status = pinion__copy_string(pairs->ctx, value, &copy);
    return status < 0 ? status : pinion__pairs_add_take(pairs, key, copy);
}

void pinion__pairs_fini(pinion__pairs *pairs)
{
    pinion__pairs_release(pairs->ctx, pairs->at, pairs->count);
    *pairs = (pinion__pairs){0};
}
