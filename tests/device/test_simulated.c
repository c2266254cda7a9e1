/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated domain and its processors: bytes are seen by their holder alone, copies are counted, hand-overs that
 * are not allowed end the program, submissions run in their order.
 */
#include "device/support.h"

#include "device/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOST = PINION__HELD_BY_HOST, DEVICE = PINION__HELD_BY_DEVICE, BOTH = PINION__HELD_BY_BOTH };

typedef struct bed {
    pinion_context *ctx;
    pinion__domain *domain;
    pinion__processor *processor;
    pinion__memory *memory;
    pinion__span span; /* of 1000 bytes at 256 */
    float *host, *device;
} bed;

static void open_bed(bed *of, bool copies)
{
    of->ctx = new_quiet_context();
    assert_int_equal(pinion__domain_create_simulated(of->ctx, copies, &of->domain), PINION_OK);
    assert_int_equal(pinion__processor_create_simulated_in(of->ctx, "device", of->domain, 1, 100000, &of->processor),
                     PINION_OK);
    assert_int_equal(pinion__memory_create(of->domain, 4096, &of->memory), PINION_OK);
    assert_int_equal(pinion__memory_span(of->memory, 256, 1000, &of->span), PINION_OK);
    of->host = (float *)(void *)(of->memory->host + 256);
    of->device = of->span.object;
}

static void close_bed(bed *of)
{
    pinion__memory_destroy(of->memory);
    pinion__processor_destroy(of->processor);
    pinion__domain_destroy_simulated(of->domain);
    assert_int_equal(atomic_load(&of->ctx->live_bytes), 0);
    pinion_context_destroy(of->ctx);
}

static void hand(bed *of, int from, int to, bool contents)
{
    const pinion__hand_over_args args = {.memory = of->memory,
                                         .by = of->processor,
                                         .span = of->span,
                                         .bytes = 1000,
                                         .from = (enum pinion__holder)from,
                                         .to = (enum pinion__holder)to,
                                         .contents = contents};
    assert_int_equal(of->processor->class_->run(of->processor, pinion__hand_over, &args), PINION_OK);
}

static bool poison(float value)
{
    return value != value;
}

static void test_holders(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        bed of;
        open_bed(&of, copies);
        assert_true(of.host[0] == 0.0f && poison(of.device[0]));
        of.host[0] = of.host[249] = 1;
        hand(&of, HOST, DEVICE, true);
        assert_true(of.device[0] == 1.0f && of.device[249] == 1.0f && poison(of.device[250]));
        assert_true(poison(of.host[0]) && poison(of.host[249]) && of.host[250] == 0.0f);
        of.device[0] = 2;
        hand(&of, DEVICE, BOTH, true);
        assert_true(of.device[0] == 2.0f && of.host[0] == 2.0f);
        hand(&of, BOTH, DEVICE, true);
        assert_true(of.device[0] == 2.0f && poison(of.host[0]));
        hand(&of, DEVICE, HOST, false);
        assert_true(poison(of.device[0]) && poison(of.host[0]));
        of.host[0] = 3;
        hand(&of, HOST, BOTH, true);
        hand(&of, BOTH, HOST, true);
        assert_true(of.host[0] == 3.0f && poison(of.device[0]));
        hand(&of, HOST, DEVICE, false);
        assert_true(poison(of.device[0]) && poison(of.host[0]));
        hand(&of, DEVICE, HOST, false);
        assert_true(atomic_load(&of.domain->copied_bytes) == (copies ? 3000 : 0));
        close_bed(&of);
    }
}

/* What a child does ends it with SIGABRT and this on standard error. */
static void expect_end(void (*wrong)(bed *of), const char *part)
{
    int ends[2], status;
    char text[512] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        bed of;
        dup2(ends[1], 2);
        open_bed(&of, false);
        wrong(&of);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t length = 0, more; (more = read(ends[0], text + length, sizeof text - 1 - (size_t)length)) > 0;)
        length += more;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || !strstr(text, part))
        fail_msg("status %d, '%s' does not tell of '%s'", status, text, part);
}

static void from_wrong_holder(bed *of)
{
    hand(of, DEVICE, HOST, true);
}

static void device_writes_the_hosts(bed *of)
{
    of->device[3] = 1;
    hand(of, HOST, DEVICE, true);
}

static void host_writes_the_devices(bed *of)
{
    hand(of, HOST, DEVICE, true);
    of->host[3] = 1;
    hand(of, DEVICE, HOST, true);
}

static void one_writes_for_both(bed *of)
{
    hand(of, HOST, BOTH, true);
    of->host[3] = 1;
    hand(of, BOTH, DEVICE, true);
}

static void no_span(bed *of)
{
    of->span.object = (char *)of->span.object + 256;
    hand(of, HOST, DEVICE, true);
}

static void test_ends(void **state)
{
    (void)state;
    expect_end(from_wrong_holder, "of 1000 bytes at 256 from the device to the host: the host holds it");
    expect_end(device_writes_the_hosts, "the device has written to it while the host held it");
    expect_end(host_writes_the_devices, "the host has written to it while the device held it");
    expect_end(one_writes_for_both, "it was written to while both held it");
    expect_end(no_span, "there is no such span");
}

typedef struct entry {
    int number, *next;
} entry;

static void note(const void *args)
{
    const entry *of = args;
    if (*of->next == of->number)
        ++*of->next;
}

static atomic_int ended;

static void count_end(void *user, int status)
{
    (void)user;
    atomic_fetch_add(&ended, status == PINION_OK);
}

static void test_queue(void **state)
{
    (void)state;
    enum { COUNT = 700 }; /* more than it was made with */
    bed of;
    open_bed(&of, false);
    entry entries[COUNT + 1];
    int next = 0;
    for (int i = 0; i <= COUNT; i++)
        entries[i] = (entry){.number = i, .next = &next};
    for (int i = 0; i < COUNT; i++)
        of.processor->class_->submit(of.processor, note, &entries[i], count_end, NULL);
    assert_int_equal(of.processor->class_->run(of.processor, note, &entries[COUNT]), PINION_OK);
    assert_int_equal(next, COUNT + 1);
    assert_int_equal(atomic_load(&ended), COUNT);
    pinion__processor_fail(of.processor, PINION_EDEVICE, "it fell");
    assert_int_equal(of.processor->class_->run(of.processor, note, &entries[0]), PINION_EDEVICE);
    assert_int_equal(next, COUNT + 1);
    close_bed(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holders),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_queue),
    };
    return cmocka_run_group_tests_name("device.simulated", tests, NULL, NULL);
}
