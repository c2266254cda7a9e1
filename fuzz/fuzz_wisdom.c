/* SPDX-License-Identifier: Apache-2.0
 *
 * The wisdom file: whatever is accepted holds only times that are times, prints, and reads back as the same text. The
 * input is a file of the machine below, so that the checks behind the signature are reached.
 */
#include "plan/wisdom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const pinion__machine machine = {
    .cpu = "Fuzz", .processors = 2, .isa = "neon", .library = "1.0.0", .kernels = "0123456789abcdef"};

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check(const pinion__wisdom_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const pinion__wisdom_entry *entry = &table->entries[i];
        require(pinion__wisdom_find(table, entry->key) == entry);
        require(entry->count > 0 && entry->level > PINION_PATIENCE_ESTIMATE);
        for (size_t k = 0; k < entry->count; k++) {
            const pinion__wisdom_time *time = &entry->times[k];
            require(pinion__wisdom_find_time(entry, time->kernel) == time);
            require(isfinite(time->ms) && time->ms > 0 && time->repetitions > 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static pinion_context *ctx;
    pinion_context_options options = pinion_context_options_default();
    options.threads = 1;
    require(ctx || pinion_context_create(&options, &ctx) == PINION_OK);
    pinion__wisdom_table table = {.ctx = ctx}, again = {.ctx = ctx};
    if (pinion__wisdom_parse(ctx, "input", data, size, &machine, &table) == PINION_OK) {
        char *text = NULL, *same = NULL;
        check(&table);
        require(pinion__wisdom_print(&table, &machine, &text) == PINION_OK);
        require(pinion__wisdom_parse(ctx, "again", (const unsigned char *)text, strlen(text), &machine, &again) ==
                PINION_OK);
        require(pinion__wisdom_print(&again, &machine, &same) == PINION_OK);
        require(strcmp(text, same) == 0);
        free(text);
        free(same);
    } else {
        require(table.count == 0);
    }
    pinion__wisdom_table_fini(&table);
    pinion__wisdom_table_fini(&again);
    require(atomic_load(&ctx->live_bytes) == 0);
    return 0;
}
