/* SPDX-License-Identifier: Apache-2.0
 *
 * A table of times, sorted by key (plan/wisdom.h).
 */
#include "plan/wisdom.h"

#include <string.h>

/* Where the key stands, or would stand. */
static size_t position(const pinion__wisdom_table *table, const char *key)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(table->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const pinion__wisdom_entry *pinion__wisdom_find(const pinion__wisdom_table *table, const char *key)
{
    size_t at = position(table, key);
    return at < table->count && strcmp(table->entries[at].key, key) == 0 ? &table->entries[at] : NULL;
}

const pinion__wisdom_time *pinion__wisdom_find_time(const pinion__wisdom_entry *entry, const char *kernel)
{
    for (size_t i = 0; i < entry->count; i++)
        if (strcmp(entry->times[i].kernel, kernel) == 0)
            return &entry->times[i];
    return NULL;
}

/* The entry of that key, made where there is none. */
static int reach(pinion__wisdom_table *table, const char *key, enum pinion_patience level, pinion__wisdom_entry **out)
{
    pinion_context *ctx = table->ctx;
    int status = PINION_OK;
    char *copy = NULL;
    size_t at = position(table, key);
    if (at == table->count || strcmp(table->entries[at].key, key) != 0) {
        PINION_TRY(pinion__copy_string(ctx, key, &copy));
        PINION_TRY(pinion__grow(ctx, &table->entries, &table->capacity, table->count + 1, sizeof *table->entries,
                                "measured times"));
        memmove(&table->entries[at + 1], &table->entries[at], (table->count - at) * sizeof *table->entries);
        table->entries[at] = (pinion__wisdom_entry){.key = copy, .level = level};
        table->count++;
        copy = NULL;
    }
    *out = &table->entries[at];
fail:
    pinion__release(ctx, copy);
    return status;
}

int pinion__wisdom_put(pinion__wisdom_table *table, const char *key, enum pinion_patience level,
                       const pinion__wisdom_time *time)
{
    pinion_context *ctx = table->ctx;
    int status = PINION_OK;
    pinion__wisdom_entry *entry;
    PINION_TRY(reach(table, key, level, &entry));
    if (level > entry->level) {
        entry->level = level;
        entry->count = 0;
    }
    const pinion__wisdom_time *known = pinion__wisdom_find_time(entry, time->kernel);
    if (known && level == entry->level)
        entry->times[known - entry->times] = *time;
    if (known)
        return PINION_OK;
    PINION_TRY(
        pinion__grow(ctx, &entry->times, &entry->capacity, entry->count + 1, sizeof *entry->times, "measured times"));
    entry->times[entry->count++] = *time;
fail:
    return status;
}

int pinion__wisdom_merge(pinion__wisdom_table *table, const pinion__wisdom_table *from)
{
    pinion_context *ctx = table->ctx;
    int status = PINION_OK;
    for (size_t i = 0; i < from->count; i++)
        for (size_t k = 0; k < from->entries[i].count; k++)
            PINION_TRY(
                pinion__wisdom_put(table, from->entries[i].key, from->entries[i].level, &from->entries[i].times[k]));
fail:
    return status;
}

void pinion__wisdom_table_fini(pinion__wisdom_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        pinion__release(table->ctx, table->entries[i].key);
        pinion__release(table->ctx, table->entries[i].times);
    }
    pinion__release(table->ctx, table->entries);
    table->entries = NULL;
    table->count = table->capacity = 0;
}
