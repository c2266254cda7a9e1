/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns that name layers ("layer1,*.bn2"). A pattern matches a layer of that very name, layers of which it is a
 * prefix up to a dot, and, where it has '*', which stands for any characters, those it matches as a whole.
 */
#include "net/network.h"
#include "net/text.h"
#include <string.h>

static bool matches_wildcard(const char *pattern, size_t length, const char *name)
{
    size_t at = 0, star = length, resume = 0; /* star < length: a '*' was seen, name[resume..] is tried behind it */
    size_t i = 0;
    while (name[i]) {
        if (at < length && pattern[at] == '*') {
            star = at++;
            resume = i;
        } else if (at < length && pattern[at] == name[i]) {
            at++;
            i++;
        } else if (star < length) {
            at = star + 1;
            i = ++resume;
        } else {
            return false;
        }
    }
    while (at < length && pattern[at] == '*')
        at++;
    return at == length;
}

static bool matches(const char *pattern, size_t length, const char *name)
{
    if (memchr(pattern, '*', length))
        return matches_wildcard(pattern, length, name);
    return strncmp(name, pattern, length) == 0 && (name[length] == '\0' || name[length] == '.');
}

/* Marks the layers that one pattern matches; is one with parameters among them? */
static bool match_one(const pinion_network *network, const char *pattern, size_t length, bool *frozen)
{
    bool found = false;
    for (size_t i = 0; i < network->layer_count; i++) {
        if (!matches(pattern, length, network->layers[i].name))
            continue;
        frozen[i] = true;
        found |= network->layers[i].params[0] >= 0;
    }
    return found;
}

int pinion__network_match(const pinion_network *network, const char *patterns, bool *frozen)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    char *shown = NULL;
    memset(frozen, 0, network->layer_count * sizeof *frozen);
    for (const char *at = patterns;; at++) {
        size_t length = strcspn(at, ",");
        if (length == 0 || !match_one(network, at, length, frozen)) {
            PINION_TRY(pinion__copy_string(ctx, at, &shown));
            shown[length] = '\0';
            PINION_FAIL_IF(true, PINION_EINVAL, "network '%s': the pattern %s matches no layer with parameters",
                           network->name, pinion__quote(shown).text);
        }
        at += length;
        if (*at == '\0')
            break;
    }
fail:
    pinion__release(ctx, shown);
    return status;
}
