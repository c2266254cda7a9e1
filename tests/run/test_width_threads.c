/* SPDX-License-Identifier: Apache-2.0
 *
 * Other threads set the width while inference runs: each inference keeps the width that it began with, so its logits
 * are those of some width; and while groups are released and restored between inferences, no width is ever set whose
 * groups are away.
 */
#include "run/widths.h"

#include <time.h>

enum { INFERENCES = 300, SETTERS = 2 };
static const struct timespec interval = {.tv_nsec = 10000};

typedef struct setter {
    pinion_runner *runner;
    atomic_bool *over;
    uint64_t seed;
    int set, refused;
} setter;

static void *set_often(void *argument)
{
    setter *of = argument;
    for (uint64_t i = 0; !atomic_load(of->over); i++) {
        const int width = 1 + (int)(pinion__random_uniform(of->seed, DRAWS_DATA, 9, i) * (float)GROUPS);
        if (pinion_runner_set_width(of->runner, width) == PINION_OK)
            of->set++;
        else
            of->refused++;
        nanosleep(&interval, NULL);
        const int now = pinion_runner_get_width(of->runner);
        if (now < 1 || now > GROUPS)
            return argument;
    }
    return NULL;
}

/* Which width's logits these are; 0: no width's. */
static int find_width(const answers *all, const float *logits, int count)
{
    for (int width = 1; width <= GROUPS; width++)
        if (memcmp(all->at[width - 1], logits, sizeof(float) * (size_t)(count * ANSWERS)) == 0)
            return width;
    return 0;
}

/* Inferences, some of them until a deadline; with `releases`, groups come and go between them. */
static void check_inferences(bed *b, const answers *all, bool releases, int *seen)
{
    const pinion_anytime_options options = {.deadline_ms = 1000};
    float logits[MOST_BATCH * ANSWERS];
    for (int i = 0; i < INFERENCES; i++) {
        pinion_anytime_result result = {0};
        const int count = 1 + i % MOST_BATCH;
        const int most = releases && i % 3 == 0 ? 1 + i % GROUPS : GROUPS;
        if (releases)
            assert_int_equal(pinion_runner_release(b->m.runner, most, NULL), PINION_OK);
        int code = i % 2 ? pinion_runner_infer(b->m.runner, b->images, count, logits)
                         : pinion_runner_infer_anytime(b->m.runner, b->images, count, &options, logits, &result);
        assert_int_equal(code, PINION_OK);
        const int width = find_width(all, logits, count);
        assert_true(width >= 1 && width <= most);
        if (i % 2 == 0)
            assert_int_equal(width, result.width);
        if (releases)
            assert_int_equal(pinion_runner_restore(b->m.runner, GROUPS, NULL), PINION_OK);
        seen[width - 1]++;
    }
}

static void check(enum where where, bool releases)
{
    pinion_context *ctx = make_context();
    const answers all = find_answers(ctx, PINION_NESTED, MOST_BATCH, 1);
    bed b = make_bed(ctx, PINION_NESTED, where, MOST_BATCH, 1);
    setter setters[SETTERS];
    pthread_t threads[SETTERS];
    atomic_bool over = false;
    int seen[GROUPS] = {0};
    for (int i = 0; i < SETTERS; i++) {
        setters[i] = (setter){.runner = b.m.runner, .over = &over, .seed = (uint64_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, set_often, &setters[i]), 0);
    }
    check_inferences(&b, &all, releases, seen);
    atomic_store(&over, true);
    for (int i = 0; i < SETTERS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
        assert_true(setters[i].set > 0 && (releases || setters[i].refused == 0));
    }
    for (int width = 1; width <= GROUPS; width++)
        assert_true(seen[width - 1] > 0);
    end_bed(&b);
    pinion_context_destroy(ctx);
}

static void test_widths_while_running(void **state)
{
    (void)state;
    check(ON_CPU, false);
    check(ON_TWO_HOSTS, false);
    check(ON_MAPPED, false);
}

static void test_widths_while_releasing(void **state)
{
    (void)state;
    check(ON_CPU, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths_while_running),
        cmocka_unit_test(test_widths_while_releasing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
