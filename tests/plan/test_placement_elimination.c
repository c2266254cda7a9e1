/* SPDX-License-Identifier: Apache-2.0
 *
 * Elimination of random sums of factors against all assignments, its limit, and placement when memory runs out.
 */
#include "plan/elimination.h"
#include "plan/placement_random.h"

enum { VARIABLES = 9, FACTORS = 14 };

typedef struct sum {
    int sizes[VARIABLES], variables;
    int scopes[FACTORS][4], scope_counts[FACTORS], factors;
    double tables[FACTORS][256];
} sum;

static double value_of(const sum *of, const int *values)
{
    double total = 0;
    for (int f = 0; f < of->factors; f++) {
        int entry = 0;
        for (int i = 0; i < of->scope_counts[f]; i++)
            entry = entry * of->sizes[of->scopes[f][i]] + values[of->scopes[f][i]];
        total += of->tables[f][entry];
    }
    return total;
}

static double least_value(const sum *of)
{
    int values[VARIABLES] = {0};
    double least = HUGE_VAL;
    for (;;) {
        least = fmin(least, value_of(of, values));
        int v = 0;
        while (v < of->variables && ++values[v] == of->sizes[v])
            values[v++] = 0;
        if (v == of->variables)
            return least;
    }
}

static void draw_sum(bed *b, sum *of)
{
    *of = (sum){.variables = 1 + (int)bed_draw(b, VARIABLES), .factors = (int)bed_draw(b, FACTORS + 1)};
    for (int v = 0; v < of->variables; v++)
        of->sizes[v] = 1 + (int)bed_draw(b, v < 5 ? 4 : 2);
    for (int f = 0; f < of->factors; f++) {
        for (int tries = (int)bed_draw(b, 5); tries > 0; tries--) {
            int variable = (int)bed_draw(b, (uint32_t)of->variables);
            bool known = false;
            for (int i = 0; i < of->scope_counts[f]; i++)
                known = known || of->scopes[f][i] == variable;
            if (!known)
                of->scopes[f][of->scope_counts[f]++] = variable;
        }
        /* The first entry of each is allowed, so that something is. */
        for (int i = 0; i < 256; i++)
            of->tables[f][i] = i > 0 && bed_draw(b, 8) == 0 ? HUGE_VAL : bed_uniform(b, -1, 1);
    }
}

static pinion__elimination *state_sum(pinion_context *ctx, const sum *of)
{
    pinion__elimination *elimination = NULL;
    assert_int_equal(pinion__elimination_create(ctx, &elimination), PINION_OK);
    for (int v = 0; v < of->variables; v++) {
        int number = -1;
        assert_int_equal(pinion__elimination_add_variable(elimination, of->sizes[v], &number), PINION_OK);
        assert_int_equal(number, v);
    }
    for (int f = 0; f < of->factors; f++)
        assert_int_equal(pinion__elimination_add_factor(elimination, of->scopes[f], of->scope_counts[f], of->tables[f]),
                         PINION_OK);
    return elimination;
}

static void finds_the_minimum(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    bed *b = bed_create(ctx, 7, 1);
    for (int i = 0; i < 5000; i++) {
        sum of;
        int values[VARIABLES];
        draw_sum(b, &of);
        pinion__elimination *elimination = state_sum(ctx, &of);
        assert_int_equal(pinion__elimination_solve(elimination, 1 << 20, values), PINION_OK);
        for (int v = 0; v < of.variables; v++)
            assert_true(values[v] >= 0 && values[v] < of.sizes[v]);
        expect_near(value_of(&of, values), least_value(&of));
        pinion__elimination_destroy(elimination);
    }
    free(b);
    close_context(ctx);
}

/* A path of factors of two variables with 10 values each needs tables of 100 entries, whatever its length; that is so
 * whatever order its variables were made in. A clique of eight needs one of 10^8. */
static void a_path_is_cheap_and_a_clique_is_not(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    double table[100];
    for (int i = 0; i < 100; i++)
        table[i] = i % 7;
    for (int clique = 0; clique < 2; clique++)
        for (size_t limit = 99; limit < 101; limit++) {
            pinion__elimination *elimination = NULL;
            int values[200], count = clique ? 8 : 200, number;
            assert_int_equal(pinion__elimination_create(ctx, &elimination), PINION_OK);
            for (int v = 0; v < count; v++)
                assert_int_equal(pinion__elimination_add_variable(elimination, 10, &number), PINION_OK);
            for (int v = 1; v < count; v++)
                for (int u = clique ? 0 : v - 1; u < v; u++)
                    assert_int_equal(pinion__elimination_add_factor(
                                         elimination, (int[]){(u * 37) % count, (v * 37) % count}, 2, table),
                                     PINION_OK);
            int status = pinion__elimination_solve(elimination, limit, values);
            assert_int_equal(status, clique || limit == 99 ? PINION_EUNSUPPORTED : PINION_OK);
            pinion__elimination_destroy(elimination);
        }
    close_context(ctx);
}

/* ---- Every allocation fails in turn ---- */

static int allocations_left;

static void *give(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    void *block = NULL;
    if (allocations_left-- <= 0 ||
        posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes))
        return NULL;
    return block;
}

static void take_back(void *user, void *block)
{
    (void)user;
    free(block);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    pinion_context *ctx = NULL;
    pinion_context_options options = pinion_context_options_default();
    options.alloc = give;
    options.release = take_back;
    allocations_left = 1000;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    bed *b = bed_draw_problem(ctx, 3, 3, 2);
    int failed = 0;
    for (int rule = 0; rule < 4; rule++)
        for (int allowed = 0, done = false; !done; allowed++) {
            pinion__schedule out = {.placement = {.ms = (double)NAN}};
            const size_t before = atomic_load(&ctx->live_bytes);
            allocations_left = allowed;
            int status = rule == 0   ? pinion__place_serial(&b->problem, &out.placement)
                         : rule == 1 ? pinion__place_layerwise(&b->problem, &out.placement)
                         : rule == 2 ? pinion__place_greedy(&b->problem, &out.placement)
                                     : pinion__place_concurrent(&b->problem, &out);
            done = status == PINION_OK;
            if (!done)
                assert_int_equal(status, PINION_ENOMEM);
            failed += !done;
            pinion__schedule_fini(ctx, &out);
            assert_int_equal(atomic_load(&ctx->live_bytes), before);
        }
    allocations_left = 0;
    assert_true(isnan(pinion__placement_bound(&b->problem, false)));
    assert_true(failed > 100);
    free(b);
    close_context(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_minimum),
        cmocka_unit_test(a_path_is_cheap_and_a_clique_is_not),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests_name("placement_elimination", tests, NULL, NULL);
}
