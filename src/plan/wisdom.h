/* SPDX-License-Identifier: Apache-2.0
 *
 * Wisdom: how long kernels take on this machine. A table of times is kept in the context and, unless PINION_WISDOM is
 * "off", in a file: $PINION_WISDOM, else $XDG_CACHE_HOME/pinion/wisdom.json, else ~/.cache/pinion/wisdom.json. The file
 * is read once a context, and replaced whole, under a lock, with what it held by then and what was measured here. It is
 * never trusted and never needed: what is wrong with it is a warning, and a plan is made without it.
 */
#ifndef PINION_PLAN_WISDOM_H
#define PINION_PLAN_WISDOM_H

#include "plan/plan.h"

enum { PINION__WISDOM_NAME_MAX = 63, PINION__WISDOM_KEY_MAX = 2047 };

typedef struct pinion__wisdom_time {
    char kernel[PINION__WISDOM_NAME_MAX + 1];
    double ms; /* > 0, finite */
    int repetitions;
    int64_t khz; /* at which the processor's first core ran then; 0: the platform does not tell */
} pinion__wisdom_time;

/* The times of one kind of task. */
typedef struct pinion__wisdom_entry {
    char *key;
    enum pinion_patience level; /* MEASURE or PATIENT */
    pinion__wisdom_time *times;
    size_t count, capacity;
} pinion__wisdom_entry;

typedef struct pinion__wisdom_table {
    pinion_context *ctx;
    pinion__wisdom_entry *entries; /* by rising key */
    size_t count, capacity;
} pinion__wisdom_table;

/* NULL: there is none of that key. */
const pinion__wisdom_entry *pinion__wisdom_find(const pinion__wisdom_table *table, const char *key);
const pinion__wisdom_time *pinion__wisdom_find_time(const pinion__wisdom_entry *entry, const char *kernel);

/* Keeps a time under key and kernel, in place of an older one. A higher level than the entry's drops its other times,
 * which are worth less; a lower one replaces nothing. */
int pinion__wisdom_put(pinion__wisdom_table *table, const char *key, enum pinion_patience level,
                       const pinion__wisdom_time *time);
/* Puts all of `from`. */
int pinion__wisdom_merge(pinion__wisdom_table *table, const pinion__wisdom_table *from);
void pinion__wisdom_table_fini(pinion__wisdom_table *table);

/* What times are good for. */
typedef struct pinion__machine {
    char cpu[128];
    int processors; /* hardware threads, whatever this process may use */
    char isa[16];   /* the best of machine and build */
    char library[32];
    char kernels[20]; /* fingerprint of the table of kernels */
} pinion__machine;

void pinion__machine_describe(pinion__machine *out);

/* Adds the contents of a file to a table. PINION_EFORMAT: it is damaged, or of another format, machine or build; the
 * sentence begins with `path`; nothing was added. */
int pinion__wisdom_parse(pinion_context *ctx, const char *path, const unsigned char *text, size_t bytes,
                         const pinion__machine *machine, pinion__wisdom_table *table);
/* The text of a file: malloc'd, the caller frees *out. */
int pinion__wisdom_print(const pinion__wisdom_table *table, const pinion__machine *machine, char **out);

/* A context's wisdom, thread-safe. */
typedef struct pinion__wisdom pinion__wisdom;

/* The context's; made, and read from the file, when it is first asked for. *out is NULL where there is none and `keep`
 * is false: wisdom is off and nothing was measured. */
int pinion__wisdom_open(pinion_context *ctx, bool keep, pinion__wisdom **out);
/* Fills the candidates' times, and the level with which all of them were measured. */
void pinion__wisdom_look_up(pinion__wisdom *wisdom, pinion_plan *plan, pinion__record *record);
/* Keeps the candidates' times that are known. */
int pinion__wisdom_keep(pinion__wisdom *wisdom, const pinion_plan *plan, const pinion__record *record,
                        enum pinion_patience level);
/* A single time, not of a record; NaN: not known. */
double pinion__wisdom_get(pinion__wisdom *wisdom, const char *key, const char *name);
int pinion__wisdom_note(pinion__wisdom *wisdom, const char *key, const char *name, double ms, int repetitions);
/* Writes the file. Never fails: a file that cannot be written is a warning, once a context. */
void pinion__wisdom_save(pinion__wisdom *wisdom);

#endif
