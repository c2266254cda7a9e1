/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans and hand-overs on OpenCL that forgives nothing: bytes are seen by their holder alone, spans that overlap come
 * and go without touching each other's neighbours, and a device with memory of its own copies exactly what has
 * contents.
 */
#include "device/opencl_work.h"
#include "device/support.h"
#include "support/checked_opencl.h"

#include "base/random.h"

typedef struct bed {
    pinion_context *ctx;
    pinion__processor *processor;
    pinion__memory *memory;
    float *values;
} bed;

static void open_bed(bed *of, bool discrete, size_t bytes)
{
    pinion__opencl_api real, table;
    of->ctx = new_context();
    assert_int_equal(pinion__opencl_api_load(of->ctx, &real), PINION_OK);
    checked_opencl_begin(&real, discrete, &table);
    assert_int_equal(pinion__opencl_use(of->ctx, &table), PINION_OK);
    assert_int_equal(pinion__processor_create_opencl(of->ctx, 0, 0, &of->processor), PINION_OK);
    assert_int_equal(of->processor->domain->copies, discrete);
    assert_int_equal(pinion__memory_create(of->processor->domain, bytes, &of->memory), PINION_OK);
    of->values = (float *)(void *)of->memory->host;
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        assert_true(of->values[i] == 0.0f);
}

static void close_bed(bed *of)
{
    pinion__memory_destroy(of->memory);
    pinion__processor_destroy(of->processor);
    pinion_context_destroy(of->ctx);
    assert_string_equal(checked_opencl_sentence(), "");
    assert_int_equal(checked_opencl_end(), 0);
}

static pinion__span span_of(bed *of, size_t offset, size_t bytes)
{
    pinion__span span;
    assert_int_equal(pinion__memory_span(of->memory, offset, bytes, &span), PINION_OK);
    return span;
}

static void hand(bed *of, const pinion__span *span, size_t bytes, int from, int to, bool contents)
{
    assert_int_equal(pass(of->memory, of->processor, span, bytes, from, to, contents), PINION_OK);
}

static void add_to(bed *of, const pinion__span *span, size_t count, float value)
{
    const add work = {.processor = of->processor, .span = *span, .count = count, .value = value};
    assert_int_equal(of->processor->class_->run(of->processor, run_add, &work), PINION_OK);
}

static bool is_poison(float value)
{
    return value != value;
}

static void test_holders(void **state)
{
    (void)state;
    bed of;
    open_bed(&of, false, 16384);
    for (int i = 0; i < 4096; i++)
        of.values[i] = (float)i;
    pinion__span span = span_of(&of, 4096, 4000), same = span_of(&of, 4096, 4000);
    assert_ptr_equal(span.object, same.object);
    assert_true(of.values[1500] == 1500.0f); /* a new span keeps its bytes */
    hand(&of, &span, 4000, HOST, DEVICE, true);
    assert_true(is_poison(of.values[1024]) && is_poison(of.values[2023]));
    assert_true(of.values[1023] == 1023.0f && of.values[2048] == 2048.0f); /* neighbours stay */
    add_to(&of, &span, 1000, 0.5f);
    hand(&of, &span, 4000, DEVICE, BOTH, true);
    assert_true(of.values[1024] == 1024.5f && of.values[2023] == 2023.5f);
    add_to(&of, &span, 1000, 0); /* what changes nothing may run while both hold it */
    assert_true(of.values[1024] == 1024.5f);
    hand(&of, &span, 4000, BOTH, DEVICE, true);
    add_to(&of, &span, 1000, 0.25f);
    hand(&of, &span, 4000, DEVICE, BOTH, true);
    hand(&of, &span, 4000, BOTH, HOST, true);
    assert_true(of.values[1024] == 1024.75f);
    of.values[1024] = 7;
    hand(&of, &span, 4000, HOST, BOTH, true);
    assert_true(of.values[1024] == 7.0f);
    hand(&of, &span, 4000, BOTH, DEVICE, true);
    add_to(&of, &span, 1000, 1);
    hand(&of, &span, 4000, DEVICE, HOST, true);
    assert_true(of.values[1024] == 8.0f && of.values[2023] == 2024.75f);
    assert_true(atomic_load(&of.processor->domain->copied_bytes) == 0);
    assert_true(checked_opencl_copied() == 0);
    close_bed(&of);
}

/* Random spans of one block, those that overlap included, go out and come back; what the host and the device did to
 * each byte is followed here. A span is out only while none of its bytes is out with another. */
static void test_overlaps(void **state)
{
    (void)state;
    enum { STEP = 512, STEPS = 32, FLOATS = STEP / 4, SPANS = 12, ROUNDS = 3000 };
    bed of;
    open_bed(&of, false, STEP * STEPS);
    struct {
        pinion__span span;
        size_t first, steps;
        bool out, made;
    } spans[SPANS] = {0};
    float expected[STEPS] = {0};
    bool away[STEPS] = {false};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint32_t drawn[4];
        pinion__random4(1, PINION__RANDOM_TEST, 0, round, drawn);
        size_t s = drawn[0] % SPANS;
        if (!spans[s].made) {
            spans[s].first = drawn[1] % STEPS;
            spans[s].steps = 1 + drawn[2] % (STEPS - spans[s].first);
            spans[s].span = span_of(&of, spans[s].first * STEP, spans[s].steps * STEP);
            spans[s].made = true;
        }
        bool free = true;
        for (size_t i = spans[s].first; i < spans[s].first + spans[s].steps; i++)
            free = free && !away[i];
        if (!free && !spans[s].out)
            continue;
        bool out = !spans[s].out;
        hand(&of, &spans[s].span, spans[s].steps * STEP, out ? HOST : DEVICE, out ? DEVICE : HOST, true);
        spans[s].out = out;
        if (out)
            add_to(&of, &spans[s].span, spans[s].steps * FLOATS, 1);
        for (size_t i = spans[s].first; i < spans[s].first + spans[s].steps; i++) {
            away[i] = out;
            expected[i] += out ? 1.0f : 0.0f;
        }
        for (size_t i = 0; i < STEPS; i++) {
            float *at = &of.values[i * FLOATS];
            assert_true(away[i] ? is_poison(at[0]) && is_poison(at[FLOATS - 1])
                                : at[0] == expected[i] && at[FLOATS - 1] == expected[i]);
            if (!away[i]) { /* the host works on what it has */
                expected[i] += 2.0f;
                for (int f = 0; f < FLOATS; f++)
                    at[f] += 2.0f;
            }
        }
    }
    close_bed(&of);
}

/* Spans that share bytes may all be the device's, one after the other in use. */
static void test_away_together(void **state)
{
    (void)state;
    bed of;
    open_bed(&of, false, 8192);
    pinion__span a = span_of(&of, 0, 4096), b = span_of(&of, 2048, 4096);
    hand(&of, &a, 4096, HOST, DEVICE, false);
    hand(&of, &b, 4096, HOST, DEVICE, false);
    for (int round = 0; round < 3; round++) {
        hand(&of, &a, 4096, DEVICE, HOST, false);
        for (int i = 0; i < 1024; i++)
            of.values[i] = 1;
        hand(&of, &a, 4096, HOST, DEVICE, true);
        add_to(&of, &a, 1024, 1);
        add_to(&of, &b, 1024, 1); /* its first half lies in a's bytes */
        hand(&of, &b, 4096, DEVICE, HOST, true);
        assert_true(of.values[512] == 3.0f);
        hand(&of, &b, 4096, HOST, DEVICE, true);
    }
    hand(&of, &a, 4096, DEVICE, HOST, true);
    hand(&of, &b, 4096, DEVICE, HOST, true);
    assert_true(of.values[0] == 2.0f && of.values[512] == 3.0f);
    close_bed(&of);
}

static const unsigned char *lowest;
static pinion__opencl_api checked;

static cl_int CL_API_CALL note_unmap(cl_command_queue queue, cl_mem memory, void *address, cl_uint events,
                                     const cl_event *list, cl_event *event)
{
    lowest = !lowest || (unsigned char *)address < lowest ? address : lowest;
    return checked.clEnqueueUnmapMemObject(queue, memory, address, events, list, event);
}

/* A span that came back leaves again for one that overlaps it: the host may be at work on the rest of its bytes, which
 * stay mapped all the time. */
static void test_rest_stays_mapped(void **state)
{
    (void)state;
    bed of;
    open_bed(&of, false, 8192);
    pinion__opencl *opencl = of.ctx->opencl;
    pinion__span a = span_of(&of, 0, 4096), b = span_of(&of, 2048, 4096);
    checked = opencl->cl;
    for (int round = 0; round < 3; round++) {
        hand(&of, &a, 4096, HOST, DEVICE, true);
        hand(&of, &a, 4096, DEVICE, HOST, true);
        lowest = NULL;
        opencl->cl.clEnqueueUnmapMemObject = note_unmap;
        hand(&of, &b, 4096, HOST, DEVICE, true);
        opencl->cl = checked;
        assert_ptr_equal(lowest, of.memory->host + 2048);
        hand(&of, &b, 4096, DEVICE, HOST, true);
    }
    close_bed(&of);
}

static void test_copies(void **state)
{
    (void)state;
    bed of;
    open_bed(&of, true, 8192);
    pinion__span span = span_of(&of, 512, 1200);
    for (int i = 0; i < 2048; i++)
        of.values[i] = 3;
    hand(&of, &span, 1200, HOST, DEVICE, true);
    add_to(&of, &span, 300, 2);
    assert_true(of.values[128] == 3.0f);
    hand(&of, &span, 1200, DEVICE, BOTH, true);
    assert_true(of.values[128] == 5.0f && of.values[427] == 5.0f && of.values[428] == 3.0f);
    hand(&of, &span, 1200, BOTH, DEVICE, true);
    hand(&of, &span, 1200, DEVICE, HOST, false);
    hand(&of, &span, 1200, HOST, BOTH, true);
    assert_true(checked_opencl_copied() == 3 * 1200);
    assert_true(atomic_load(&of.processor->domain->copied_bytes) == 3 * 1200);
    hand(&of, &span, 1200, BOTH, HOST, true);
    assert_true(checked_opencl_copied() == 3 * 1200);
    close_bed(&of);
}

static void test_copy(void **state)
{
    (void)state;
    bed of;
    open_bed(&of, false, 8192);
    pinion__span a = span_of(&of, 0, 1024), b = span_of(&of, 4096, 2048);
    for (int i = 0; i < 256; i++)
        of.values[i] = (float)i;
    hand(&of, &a, 1024, HOST, DEVICE, true);
    hand(&of, &b, 2048, HOST, DEVICE, true);
    pinion__span from = a, to = b;
    from.offset = 256;
    to.offset = 1024;
    of.processor->domain->class_->copy(of.processor, &from, &to, 512);
    hand(&of, &b, 2048, DEVICE, HOST, true);
    hand(&of, &a, 1024, DEVICE, HOST, true);
    assert_true(of.values[1024 + 256] == 64.0f && of.values[1024 + 256 + 127] == 191.0f);
    assert_true(of.values[1024 + 255] == 0.0f && of.values[1024 + 256 + 128] == 0.0f);
    close_bed(&of);
}

static void test_wrong_spans(void **state)
{
    (void)state;
    bed of;
    open_bed(&of, false, 8192);
    pinion__span span;
    assert_int_equal(pinion__memory_span(of.memory, 0, 0, &span), PINION_EINVAL);
    assert_int_equal(pinion__memory_span(of.memory, 100, 512, &span), PINION_EINVAL);
    assert_int_equal(pinion__memory_span(of.memory, 512, 8192, &span), PINION_EINVAL);
    assert_int_equal(pinion__memory_span(of.memory, 16384, 512, &span), PINION_EINVAL);
    assert_int_equal(pinion__memory_span(of.memory, 0, SIZE_MAX, &span), PINION_EINVAL);
    pinion__memory *memory;
    assert_int_equal(pinion__memory_create(of.processor->domain, SIZE_MAX / 2, &memory), PINION_ENOMEM);
    close_bed(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holders),           cmocka_unit_test(test_overlaps), cmocka_unit_test(test_away_together),
        cmocka_unit_test(test_rest_stays_mapped), cmocka_unit_test(test_copies),   cmocka_unit_test(test_copy),
        cmocka_unit_test(test_wrong_spans),
    };
    skip_without_opencl();
    return cmocka_run_group_tests_name("device.opencl_memory", tests, NULL, NULL);
}
