/* SPDX-License-Identifier: Apache-2.0
 *
 * Each hand-over of a plan is needed, and carries no byte too many; a device that fails ends the step and the runner.
 */
#include "run/shared.h"

#include <sys/wait.h>
#include <unistd.h>

enum { STEPS = 2, MOST_WEIGHTS = 16384 };

/* The chain network on one host processor and one device, its tasks dealt out by the seed. */
typedef struct bench {
    machine m;
    pinion__domain *domain;
    deal by;
} bench;

static void make_plan(bench *b, const pinion_plan_options *options, bool copies, uint64_t seed)
{
    b->m = (machine){.ctx = make_context()};
    b->by = (deal){.seed = seed, .hosts = 1, .devices = 1};
    b->m.network = make_chain(b->m.ctx);
    assert_int_equal(pinion__domain_create_simulated(b->m.ctx, copies, &b->domain), PINION_OK);
    add_processors(&b->m, b->domain, &b->by);
    pinion__plan_tuning tuning = {.processor_of = deal_out, .user = &b->by};
    if (pinion__plan_create_tuned(b->m.network, options, &tuning, b->m.processors, b->m.processor_count, &b->m.plan) <
        0)
        fail_msg("%s", pinion_context_error(b->m.ctx));
    make_batch(b->m.network, 1, BATCH, b->m.images, b->m.labels);
}

static void end_bench(bench *b)
{
    pinion_context *ctx = b->m.ctx;
    end(&b->m);
    pinion__domain_destroy_simulated(b->domain);
    pinion_context_destroy(ctx);
}

typedef struct results {
    float losses[STEPS], logits[BATCH * CLASSES];
    unsigned char weights[MOST_WEIGHTS];
} results;

/* A few steps, or inferences. */
static int run_some(bench *b, results *out)
{
    const machine *m = &b->m;
    int status = pinion_runner_create(m->plan, &b->m.runner);
    memset(out, 0, sizeof *out);
    for (uint64_t number = 0; number < STEPS && status == PINION_OK; number++) {
        pinion_runner_step_options options = step_options(m, number);
        status = m->plan->options.mode == PINION_TRAIN
                     ? pinion_runner_train(m->runner, m->images, m->labels, &options, &out->losses[number])
                     : pinion_runner_infer(m->runner, m->images, BATCH, out->logits);
    }
    if (status == PINION_OK)
        status = pinion__network_settle(m->network);
    assert_true(m->network->block_bytes <= sizeof out->weights);
    memcpy(out->weights, m->network->block, m->network->block_bytes);
    return status;
}

/* In a process of its own, without one hand-over: are the results the same? */
static bool is_needless(const pinion_plan_options *options, bool copies, uint64_t seed, int t, const results *expected)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bench b;
        results found;
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        make_plan(&b, options, copies, seed);
        b.m.plan->tasks[t].hand_over.from = b.m.plan->tasks[t].hand_over.to;
        bool same = run_some(&b, &found) == PINION_OK && memcmp(&found, expected, sizeof found) == 0;
        _exit(same ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int check_each(const pinion_plan_options *options, bool copies, uint64_t seed)
{
    bench b;
    results expected;
    make_plan(&b, options, copies, seed);
    assert_int_equal(run_some(&b, &expected), PINION_OK);
    int count = 0;
    for (int t = 0; t < (int)b.m.plan->task_count; t++) {
        if (!b.m.plan->tasks[t].hand_over.present)
            continue;
        count++;
        if (is_needless(options, copies, seed, t, &expected))
            fail_msg("seed %d: hand-over %d of storage %d is not needed", (int)seed, t,
                     b.m.plan->tasks[t].hand_over.storage);
    }
    end_bench(&b);
    return count;
}

static void test_each_is_needed(void **state)
{
    (void)state;
    int count = 0;
    for (uint64_t seed = 0; seed < 3; seed++)
        for (int copies = 0; copies < 2; copies++) {
            pinion_plan_options training = training_options(BATCH), inference = pinion_plan_options_default();
            inference.batch = BATCH;
            count += check_each(&training, copies != 0, seed);
            count += check_each(&inference, copies != 0, seed);
        }
    print_message("%d hand-overs\n", count);
    assert_true(count > 100);
}

/* The second of two convolutions on the device. */
static int second_only(void *user, int index)
{
    const int *task = user;
    return index == *task;
}

/* Where memory is copied, a layer on the device costs its input and its output, and nothing else: neither its weights,
 * which stay, nor what is dead. Where it is shared nothing is copied. */
static void test_copied_bytes(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        pinion_context *ctx = make_context();
        machine m = {.ctx = ctx, .network = make_chain(ctx)};
        pinion__domain *domain = NULL;
        pinion_plan_options options = pinion_plan_options_default();
        options.batch = BATCH;
        options.unfused = 1;
        int conv2 = 3;
        assert_int_equal(pinion__domain_create_simulated(ctx, copies != 0, &domain), PINION_OK);
        add_processors(&m, domain, &(deal){.hosts = 1, .devices = 1});
        start(&m, &options, &(pinion__plan_tuning){.processor_of = second_only, .user = &conv2});
        float logits[BATCH * CLASSES];
        for (int i = 0; i < 3; i++)
            assert_int_equal(pinion_runner_infer(m.runner, m.images, BATCH, logits), PINION_OK);
        int64_t tensor = BATCH * SIDE * SIDE * CHANNELS * (int64_t)sizeof(float);
        assert_int_equal(pinion_runner_get_info(m.runner).copied_bytes, copies ? 2 * tensor : 0);
        end(&m);
        pinion__domain_destroy_simulated(domain);
        pinion_context_destroy(ctx);
    }
}

/* What the caller gives is copied to where a device can read it, and counted. */
static void test_copied_input(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    machine m = {.ctx = ctx, .network = make_chain(ctx)};
    pinion__domain *domain = NULL;
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = BATCH;
    assert_int_equal(pinion__domain_create_simulated(ctx, false, &domain), PINION_OK);
    add_processors(&m, domain, &(deal){.devices = 1});
    start(&m, &options, NULL);
    float logits[BATCH * CLASSES];
    assert_int_equal(pinion_runner_infer(m.runner, m.images, BATCH, logits), PINION_OK);
    assert_int_equal(pinion_runner_get_info(m.runner).copied_bytes, sizeof m.images);
    end(&m);
    pinion__domain_destroy_simulated(domain);
    pinion_context_destroy(ctx);
}

/* A device that fails at its n-th piece of work. */
static atomic_int left;
static pinion__processor_class failing;
static const pinion__processor_class *real;

static void count_down(pinion__processor *processor)
{
    if (atomic_fetch_sub(&left, 1) == 1)
        pinion__processor_fail(processor, PINION_EDEVICE, "the device is lost");
}

static int run_failing(pinion__processor *processor, pinion__body *body, const void *args)
{
    count_down(processor);
    return real->run(processor, body, args);
}

static void submit_failing(pinion__processor *processor, pinion__body *body, const void *args,
                           void (*done)(void *user, int status), void *user)
{
    count_down(processor);
    real->submit(processor, body, args, done, user);
}

/* With new weights the network goes on without the device. */
static void recover(bench *b, enum pinion_mode mode)
{
    machine *m = &b->m;
    pinion_plan_options options = m->plan->options;
    results found;
    pinion_runner_destroy(m->runner);
    pinion_plan_destroy(m->plan);
    assert_int_equal(pinion_network_init_weights(m->network, 1), PINION_EDEVICE);
    assert_int_equal(pinion__network_unshare(m->network), PINION_OK);
    assert_int_equal(pinion_network_init_weights(m->network, 1), PINION_OK);
    options.mode = mode;
    assert_int_equal(pinion__plan_create(m->network, &options, m->processors, 1, &m->plan), PINION_OK);
    assert_int_equal(run_some(b, &found), PINION_OK);
}

/* Returns whether the steps came to their end before the device failed. */
static bool fail_at(int work, bool serial, enum pinion_mode mode)
{
    bench b;
    pinion_plan_options options = training_options(BATCH);
    options.mode = mode;
    make_plan(&b, &options, true, 1);
    b.m.plan->serial = serial;
    pinion__processor *device = b.m.processors[1];
    real = device->class_;
    failing = *real;
    failing.run = run_failing;
    failing.submit = submit_failing;
    device->class_ = &failing;
    atomic_store(&left, work);
    results found;
    int status = run_some(&b, &found);
    if (status < 0) {
        assert_int_equal(status, PINION_EDEVICE);
        assert_non_null(strstr(pinion_context_error(b.m.ctx), "the device is lost"));
        float loss, logits[BATCH * CLASSES];
        pinion_runner_step_options step = step_options(&b.m, 9);
        status = mode == PINION_TRAIN ? pinion_runner_train(b.m.runner, b.m.images, b.m.labels, &step, &loss)
                                      : pinion_runner_infer(b.m.runner, b.m.images, BATCH, logits);
        assert_int_equal(status, PINION_EDEVICE);
        assert_int_equal(pinion__network_settle(b.m.network), PINION_EDEVICE);
        recover(&b, mode);
    }
    end_bench(&b);
    return status == PINION_OK;
}

static void test_failures(void **state)
{
    (void)state;
    for (int serial = 0; serial < 2; serial++)
        for (int mode = PINION_INFER; mode <= PINION_TRAIN; mode++) {
            int work = 1;
            while (!fail_at(work, serial != 0, (enum pinion_mode)mode))
                work++;
            assert_true(work > (mode == PINION_TRAIN ? 40 : 10));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_needed),
        cmocka_unit_test(test_copied_bytes),
        cmocka_unit_test(test_copied_input),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
