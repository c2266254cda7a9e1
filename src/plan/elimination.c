/* SPDX-License-Identifier: Apache-2.0
 *
 * Bucket elimination (Dechter, Artificial Intelligence 113, 1999). Each factor lies in the bucket of the variable that
 * is eliminated first of those it speaks of. Eliminating a variable walks over all values of its scope, the other
 * variables of its bucket, and puts the minima as a new factor into a later bucket; the values that gave them are kept,
 * so that in the end the best values can be read off in the opposite order.
 */
#include "plan/elimination.h"
#include "plan/elimination_order.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct factor {
    int *variables;
    int count;
    double *table; /* NULL: used up */
    int next;      /* of the same bucket; -1: none */
} factor;

typedef struct bucket {
    int first;  /* factor, -1: none */
    int *scope; /* the other variables, by rising number */
    int count;
    uint8_t *best; /* per assignment of the scope */
} bucket;

struct pinion__elimination {
    pinion_context *ctx;
    int *sizes;
    size_t size_count, size_capacity;
    factor *factors;
    size_t factor_count, factor_capacity;
    bucket *buckets; /* per variable */
    int *position;   /* per variable: its turn */
};

/* A factor while a bucket is walked over. */
typedef struct reading {
    const double *at;  /* its entry for the present assignment, the bucket's variable being 0 */
    ptrdiff_t own;     /* to the next value of that variable */
    ptrdiff_t *stride; /* per variable of the scope */
} reading;

int pinion__elimination_create(pinion_context *ctx, pinion__elimination **out)
{
    int status = PINION_OK;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof **out, "a placement", out));
    (*out)->ctx = ctx;
fail:
    return status;
}

void pinion__elimination_destroy(pinion__elimination *elimination)
{
    if (!elimination)
        return;
    pinion_context *ctx = elimination->ctx;
    for (size_t f = 0; f < elimination->factor_count; f++) {
        pinion__release(ctx, elimination->factors[f].variables);
        pinion__release(ctx, elimination->factors[f].table);
    }
    for (size_t v = 0; elimination->buckets && v < elimination->size_count; v++) {
        pinion__release(ctx, elimination->buckets[v].scope);
        pinion__release(ctx, elimination->buckets[v].best);
    }
    pinion__release(ctx, elimination->factors);
    pinion__release(ctx, elimination->buckets);
    pinion__release(ctx, elimination->sizes);
    pinion__release(ctx, elimination->position);
    pinion__release(ctx, elimination);
}

int pinion__elimination_add_variable(pinion__elimination *elimination, int values, int *out)
{
    pinion_context *ctx = elimination->ctx;
    int status = PINION_OK;
    assert(values >= 1 && values <= PINION__ELIMINATION_VALUES);
    PINION_TRY(pinion__grow(ctx, &elimination->sizes, &elimination->size_capacity, elimination->size_count + 1,
                            sizeof *elimination->sizes, "a placement"));
    *out = (int)elimination->size_count;
    elimination->sizes[elimination->size_count++] = values;
fail:
    return status;
}

static size_t table_size(const pinion__elimination *elimination, const int *variables, int count)
{
    size_t size = 1;
    for (int i = 0; i < count; i++)
        size *= (size_t)elimination->sizes[variables[i]];
    return size;
}

/* A factor of these variables, its table not yet filled. */
static int add_factor(pinion__elimination *elimination, const int *variables, int count, factor **out)
{
    pinion_context *ctx = elimination->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &elimination->factors, &elimination->factor_capacity, elimination->factor_count + 1,
                            sizeof *elimination->factors, "a placement"));
    factor *made = &elimination->factors[elimination->factor_count++];
    *made = (factor){.count = count, .next = -1};
    PINION_TRY(pinion__alloc(ctx, (size_t)count + 1, sizeof *made->variables, "a placement", &made->variables));
    if (count)
        memcpy(made->variables, variables, (size_t)count * sizeof *made->variables);
    PINION_TRY(pinion__alloc(ctx, table_size(elimination, variables, count), sizeof *made->table,
                             "the tables of a placement", &made->table));
    *out = made;
fail:
    return status;
}

int pinion__elimination_add_factor(pinion__elimination *elimination, const int *variables, int count,
                                   const double *table)
{
    pinion_context *ctx = elimination->ctx;
    int status = PINION_OK;
    factor *made = NULL;
    assert(count <= PINION__ELIMINATION_SCOPE);
    PINION_TRY(add_factor(elimination, variables, count, &made));
    memcpy(made->table, table, table_size(elimination, variables, count) * sizeof *table);
fail:
    return status;
}

/* A factor of no variables is a constant and lies in no bucket. */
static void file_factor(pinion__elimination *elimination, int index)
{
    factor *filed = &elimination->factors[index];
    int first = -1;
    for (int i = 0; i < filed->count; i++)
        if (first < 0 || elimination->position[filed->variables[i]] < elimination->position[first])
            first = filed->variables[i];
    if (first < 0)
        return;
    filed->next = elimination->buckets[first].first;
    elimination->buckets[first].first = index;
}

static int find_order(pinion__elimination *elimination, size_t limit, int *order)
{
    pinion_context *ctx = elimination->ctx;
    int status = PINION_OK;
    size_t count = elimination->size_count;
    pinion__meeting meeting = {.count = (int)count, .words = (count + 63) / 64};
    PINION_TRY(
        pinion__alloc_zeroed(ctx, count * meeting.words + 1, sizeof *meeting.rows, "a placement", &meeting.rows));
    for (size_t f = 0; f < elimination->factor_count; f++)
        for (int i = 0; i < elimination->factors[f].count; i++)
            for (int k = 0; k < i; k++)
                pinion__meeting_add(&meeting, elimination->factors[f].variables[i],
                                    elimination->factors[f].variables[k]);
    PINION_TRY(pinion__elimination_order(ctx, &meeting, elimination->sizes, limit, order));
fail:
    pinion__release(ctx, meeting.rows);
    return status;
}

/* Marks are zeros before and after. */
static int find_scope(pinion__elimination *elimination, int variable, bool *marks)
{
    pinion_context *ctx = elimination->ctx;
    int status = PINION_OK;
    bucket *at = &elimination->buckets[variable];
    int last = -1;
    for (int f = at->first; f >= 0; f = elimination->factors[f].next)
        for (int i = 0; i < elimination->factors[f].count; i++) {
            int other = elimination->factors[f].variables[i];
            at->count += other != variable && !marks[other];
            marks[other] = true;
            last = other > last ? other : last;
        }
    marks[variable] = false;
    PINION_TRY(pinion__alloc(ctx, (size_t)at->count + 1, sizeof *at->scope, "a placement", &at->scope));
    for (int v = 0, count = 0; v <= last; v++) {
        if (marks[v])
            at->scope[count++] = v;
        marks[v] = false;
    }
fail:
    return status;
}

static void begin_reading(const pinion__elimination *elimination, const factor *from, const bucket *at, int variable,
                          reading *out)
{
    out->at = from->table;
    ptrdiff_t stride = 1;
    for (int i = from->count - 1; i >= 0; i--) {
        if (from->variables[i] == variable)
            out->own = stride;
        for (int k = 0; k < at->count; k++)
            if (at->scope[k] == from->variables[i])
                out->stride[k] = stride;
        stride *= elimination->sizes[from->variables[i]];
    }
}

/* To the next assignment of the scope, the last variable being the fastest. */
static void advance(const pinion__elimination *elimination, const bucket *at, int *values, reading *readings, int count)
{
    for (int k = at->count - 1; k >= 0; k--) {
        int size = elimination->sizes[at->scope[k]];
        bool wraps = ++values[k] == size;
        for (int f = 0; f < count; f++)
            readings[f].at += wraps ? -(size - 1) * readings[f].stride[k] : readings[f].stride[k];
        if (!wraps)
            return;
        values[k] = 0;
    }
}

static void minimise(const pinion__elimination *elimination, const bucket *at, int size, reading *readings, int count,
                     int *values, double *minima)
{
    size_t entries = table_size(elimination, at->scope, at->count);
    for (size_t entry = 0; entry < entries; entry++) {
        double least = HUGE_VAL;
        int best = 0;
        for (int x = 0; x < size; x++) {
            double sum = 0;
            for (int f = 0; f < count; f++)
                sum += readings[f].at[x * readings[f].own];
            if (sum < least) {
                least = sum;
                best = x;
            }
        }
        minima[entry] = least;
        at->best[entry] = (uint8_t)best;
        advance(elimination, at, values, readings, count);
    }
}

static int eliminate(pinion__elimination *elimination, int variable, bool *marks)
{
    pinion_context *ctx = elimination->ctx;
    int status = PINION_OK;
    bucket *at = &elimination->buckets[variable];
    reading *readings = NULL;
    ptrdiff_t *strides = NULL;
    int *values = NULL, count = 0;
    factor *made = NULL;
    PINION_TRY(find_scope(elimination, variable, marks));
    for (int f = at->first; f >= 0; f = elimination->factors[f].next)
        count++;
    const size_t scope = (size_t)at->count, factors = (size_t)count;
    PINION_TRY(
        pinion__alloc(ctx, table_size(elimination, at->scope, at->count), 1, "the tables of a placement", &at->best));
    PINION_TRY(pinion__alloc_zeroed(ctx, factors + 1, sizeof *readings, "a placement", &readings));
    PINION_TRY(pinion__alloc_zeroed(ctx, factors * scope + 1, sizeof *strides, "a placement", &strides));
    PINION_TRY(pinion__alloc_zeroed(ctx, scope + 1, sizeof *values, "a placement", &values));
    PINION_TRY(add_factor(elimination, at->scope, at->count, &made));
    for (int f = at->first, i = 0; f >= 0; f = elimination->factors[f].next, i++) {
        readings[i].stride = strides + (size_t)i * scope;
        begin_reading(elimination, &elimination->factors[f], at, variable, &readings[i]);
    }
    minimise(elimination, at, elimination->sizes[variable], readings, count, values, made->table);
    for (int f = at->first; f >= 0; f = elimination->factors[f].next) {
        pinion__release(ctx, elimination->factors[f].table);
        elimination->factors[f].table = NULL;
    }
    file_factor(elimination, (int)(made - elimination->factors));
fail:
    pinion__release(ctx, readings);
    pinion__release(ctx, strides);
    pinion__release(ctx, values);
    return status;
}

static void read_off(const pinion__elimination *elimination, int variable, int *values)
{
    const bucket *at = &elimination->buckets[variable];
    size_t entry = 0;
    for (int k = 0; k < at->count; k++)
        entry = entry * (size_t)elimination->sizes[at->scope[k]] + (size_t)values[at->scope[k]];
    values[variable] = at->best[entry];
}

int pinion__elimination_solve(pinion__elimination *elimination, size_t limit, int *values)
{
    pinion_context *ctx = elimination->ctx;
    int status = PINION_OK, variables = (int)elimination->size_count, factors = (int)elimination->factor_count;
    const size_t count = (size_t)variables + 1;
    int *order = NULL;
    bool *marks = NULL;
    assert(!elimination->buckets);
    PINION_TRY(pinion__alloc(ctx, count, sizeof *order, "a placement", &order));
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *marks, "a placement", &marks));
    PINION_TRY(pinion__alloc(ctx, count, sizeof *elimination->position, "a placement", &elimination->position));
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *elimination->buckets, "a placement", &elimination->buckets));
    PINION_TRY(find_order(elimination, limit, order));
    for (int i = 0; i < variables; i++) {
        elimination->position[order[i]] = i;
        elimination->buckets[i].first = -1;
    }
    for (int f = 0; f < factors; f++)
        file_factor(elimination, f);
    for (int i = 0; i < variables; i++)
        PINION_TRY(eliminate(elimination, order[i], marks));
    for (int i = variables - 1; i >= 0; i--)
        read_off(elimination, order[i], values);
fail:
    pinion__release(ctx, order);
    pinion__release(ctx, marks);
    return status;
}
