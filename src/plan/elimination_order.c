/* SPDX-License-Identifier: Apache-2.0
 *
 * Min-fill: the next variable is the one whose elimination makes the fewest new pairs meet; among those the one with
 * the smallest table, then the first. How many it would be is kept for each variable and counted again where an
 * elimination changed it: for its neighbours, and for all that know both sides of a new pair.
 */
#include "plan/elimination_order.h"

#include <assert.h>

typedef struct greedy {
    pinion__meeting *meeting;
    const int *sizes;
    size_t limit;
    int *fill;     /* per variable: new pairs */
    size_t *table; /* per variable: entries of its table, at most limit + 1 */
    bool *gone, *stale;
    int *neighbours; /* of the variable at hand */
} greedy;

static int list_row(const uint64_t *row, size_t words, int *out)
{
    int count = 0;
    for (size_t w = 0; w < words; w++)
        for (uint64_t bits = row[w]; bits; bits &= bits - 1)
            out[count++] = (int)(w * 64) + __builtin_ctzll(bits);
    return count;
}

static int count_common(const uint64_t *a, const uint64_t *b, size_t words)
{
    int count = 0;
    for (size_t w = 0; w < words; w++)
        count += __builtin_popcountll(a[w] & b[w]);
    return count;
}

static void weigh(greedy *g, int variable)
{
    const uint64_t *row = pinion__meeting_row(g->meeting, variable);
    int count = list_row(row, g->meeting->words, g->neighbours), met = 0;
    size_t table = (size_t)g->sizes[variable];
    for (int i = 0; i < count; i++) {
        met += count_common(row, pinion__meeting_row(g->meeting, g->neighbours[i]), g->meeting->words);
        size_t size = (size_t)g->sizes[g->neighbours[i]];
        table = table > g->limit / size ? g->limit + 1 : table * size;
    }
    g->fill[variable] = (count * (count - 1) - met) / 2;
    g->table[variable] = table;
    g->stale[variable] = false;
}

static int find_next(const greedy *g)
{
    int best = -1;
    for (int v = 0; v < g->meeting->count; v++)
        if (!g->gone[v] &&
            (best < 0 || g->fill[v] < g->fill[best] || (g->fill[v] == g->fill[best] && g->table[v] < g->table[best])))
            best = v;
    return best;
}

static void meet(greedy *g, int a, int b)
{
    const uint64_t *row_a = pinion__meeting_row(g->meeting, a), *row_b = pinion__meeting_row(g->meeting, b);
    if (row_a[b / 64] >> (b % 64) & 1)
        return;
    for (size_t w = 0; w < g->meeting->words; w++)
        for (uint64_t bits = row_a[w] & row_b[w]; bits; bits &= bits - 1)
            g->stale[w * 64 + (size_t)__builtin_ctzll(bits)] = true;
    pinion__meeting_add(g->meeting, a, b);
}

static void eliminate(greedy *g, int variable)
{
    pinion__meeting *meeting = g->meeting;
    uint64_t *own = pinion__meeting_row(meeting, variable);
    int count = list_row(own, meeting->words, g->neighbours);
    for (size_t w = 0; w < meeting->words; w++)
        own[w] = 0;
    for (int i = 0; i < count; i++) {
        pinion__meeting_row(meeting, g->neighbours[i])[variable / 64] &= ~(UINT64_C(1) << (variable % 64));
        g->stale[g->neighbours[i]] = true;
    }
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            meet(g, g->neighbours[i], g->neighbours[k]);
    g->gone[variable] = true;
    for (int v = 0; v < meeting->count; v++)
        if (g->stale[v] && !g->gone[v])
            weigh(g, v);
}

int pinion__elimination_order(pinion_context *ctx, pinion__meeting *meeting, const int *sizes, size_t limit, int *order)
{
    int status = PINION_OK;
    size_t count = (size_t)meeting->count + 1;
    greedy g = {.meeting = meeting, .sizes = sizes, .limit = limit};
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *g.fill, "a placement", &g.fill));
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *g.table, "a placement", &g.table));
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *g.gone, "a placement", &g.gone));
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *g.stale, "a placement", &g.stale));
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *g.neighbours, "a placement", &g.neighbours));
    for (int v = 0; v < meeting->count; v++)
        weigh(&g, v);
    for (int i = 0; i < meeting->count; i++) {
        int next = find_next(&g);
        assert(next >= 0); /* one is left */
        PINION_FAIL_IF(g.table[next] > limit, PINION_EUNSUPPORTED,
                       "the network is too entangled to place its tasks exactly: a table of more than %zu entries",
                       limit);
        order[i] = next;
        eliminate(&g, next);
    }
fail:
    pinion__release(ctx, g.fill);
    pinion__release(ctx, g.table);
    pinion__release(ctx, g.gone);
    pinion__release(ctx, g.stale);
    pinion__release(ctx, g.neighbours);
    return status;
}
