/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of processors: names, cores, sentences about what is wrong, and that threads run where they should.
 */
#include "device/support.h"

#include "base/workers.h"
#include "device/cores.h"
#ifdef PINION__HAVE_OPENCL
#include "device/opencl.h"
#endif

#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cores_here(pinion_context *ctx)
{
    pinion__cores cores;
    assert_int_equal(pinion__cores_find(ctx, &cores), PINION_OK);
    return cores.count;
}

static void expect(const char *list, int code, const char *part)
{
    pinion_context *ctx = new_context();
    pinion__processors chosen = {.count = 77};
    assert_int_equal(pinion__processors_choose(ctx, list, &chosen), code);
    assert_int_equal(chosen.count, 77);
    if (!strstr(pinion_context_error(ctx), part))
        fail_msg("'%s': '%s' does not tell of '%s'", list, pinion_context_error(ctx), part);
    pinion_context_destroy(ctx);
}

static void test_wrong_lists(void **state)
{
    (void)state;
    expect("gpu", PINION_EINVAL, "'gpu' is none; expected cpu, cpu:CLUSTER or opencl:DEVICE");
    expect("cpu,,cpu", PINION_EINVAL, "'' is none");
    expect("cpu/0", PINION_EINVAL, "'cpu/0' is none");
    expect("cpu/1x", PINION_EINVAL, "'cpu/1x' is none");
    expect("cpu:/1", PINION_EINVAL, "'cpu:/1' is none");
    expect("cpu/", PINION_EINVAL, "'cpu/' is none");
    expect("opencl", PINION_EINVAL, "'opencl' is none");
    expect("cpux", PINION_EINVAL, "'cpux' is none");
    expect("cpu/123456", PINION_EINVAL, "'cpu/123456' is none");
    expect("cpu:000000000000000000000000000000000000001", PINION_EINVAL, "is none");
    expect("cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu", PINION_EINVAL, "more than 16");
    expect("cpu/9999", PINION_EINVAL, "processor 'cpu/9999': there ");
    expect("cpu:7", PINION_EUNSUPPORTED, "there is no processor 'cpu:7': this CPU has ");
    expect("cpu,opencl:31", PINION_EUNSUPPORTED, "opencl:31");
}

static void test_cpu(void **state)
{
    (void)state;
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    pinion_context *ctx = new_context();
    const char *const lists[] = {NULL, "", "cpu", "cpu/1", "cpu:0"};
    for (int i = 0; i < 5; i++) {
        pinion__processors list;
        assert_int_equal(pinion__processors_choose(ctx, lists[i], &list), PINION_OK);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.at[0]->name, lists[i] && *lists[i] ? lists[i] : "cpu");
        assert_string_equal(list.at[0]->class_->kind, "cpu");
        assert_int_equal(list.at[0]->cores, i == 3 ? 1 : cores_here(ctx));
        pinion__processors_fini(&list);
        sched_getaffinity(0, sizeof after, &after);
        assert_true(CPU_EQUAL(&before, &after));
    }
    pinion_context_destroy(ctx);
}

/* The hardware threads that lanes of a loop ran on. */
typedef struct seen {
    cpu_set_t allowed;
    pthread_mutex_t lock;
    pinion__workers *workers;
} seen;

static void look(void *user, size_t item, int lane)
{
    (void)item, (void)lane;
    seen *of = user;
    cpu_set_t mine;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    pthread_mutex_lock(&of->lock);
    CPU_OR(&of->allowed, &of->allowed, &mine);
    pthread_mutex_unlock(&of->lock);
}

static void look_everywhere(const void *args)
{
    seen *const *of = args;
    pinion__parallel((*of)->workers, 64, look, *of);
}

static void test_disjoint(void **state)
{
    (void)state;
    pinion_context *ctx = new_context();
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    pinion__processors list;
    assert_int_equal(pinion__processors_choose(ctx, "cpu/1,cpu/1", &list), PINION_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.at[0]->name, "cpu/1");
    assert_string_equal(list.at[1]->name, "cpu/1#2");
    bool share = pinion__processors_share_cores(list.at[0], list.at[1]);
    assert_int_equal(share, cores_here(ctx) < 2);
    cpu_set_t used[2];
    for (int i = 0; i < 2; i++) {
        seen all = {.lock = PTHREAD_MUTEX_INITIALIZER, .workers = list.at[i]->workers};
        CPU_ZERO(&all.allowed);
        const seen *of = &all;
        assert_int_equal(list.at[i]->class_->run(list.at[i], look_everywhere, &of), PINION_OK);
        used[i] = all.allowed;
        assert_int_equal(CPU_COUNT(&used[i]), 1);
    }
    assert_int_equal(CPU_EQUAL(&used[0], &used[1]), share);
    pinion__processors_fini(&list);
    sched_getaffinity(0, sizeof after, &after);
    assert_true(CPU_EQUAL(&before, &after)); /* the caller's thread goes where it went */
    pinion_context_destroy(ctx);
}

/* Tells hwloc that this machine's hardware threads are of two kinds: those from the second core on are the fast ones.
 */
static bool pretend_two_kinds(const char *path, const pinion__cores *cores)
{
    hwloc_topology_t topology;
    hwloc_bitmap_t kinds[2] = {hwloc_bitmap_alloc(), hwloc_bitmap_alloc()};
    bool well = hwloc_topology_init(&topology) == 0 && hwloc_topology_load(topology) == 0;
    for (int i = 0; i < cores->count; i++)
        for (unsigned unit = 0; unit < 256; unit++)
            if (cores->at[i].mask[unit / 64] >> (unit % 64) & 1)
                hwloc_bitmap_set(kinds[i > 0], unit);
    for (int kind = 0; kind < 2; kind++)
        well = well && hwloc_cpukinds_register(topology, kinds[kind], kind, 0, NULL, 0) == 0;
    well = well && hwloc_topology_export_xml(topology, path, 0) == 0;
    hwloc_topology_destroy(topology);
    hwloc_bitmap_free(kinds[0]);
    hwloc_bitmap_free(kinds[1]);
    return well;
}

static void test_clusters(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/pinion-cores-%ld.xml", (long)getpid());
    pinion_context *ctx = new_context();
    pinion__cores real, two;
    pinion__processors list;
    assert_int_equal(pinion__cores_find(ctx, &real), PINION_OK);
    if (real.count < 2 || real.clusters > 1 || !pretend_two_kinds(path, &real)) {
        pinion_context_destroy(ctx);
        skip();
    }
    setenv("HWLOC_XMLFILE", path, 1);
    setenv("HWLOC_THISSYSTEM", "1", 1);
    assert_int_equal(pinion__cores_find(ctx, &two), PINION_OK);
    assert_int_equal(two.count, real.count);
    assert_int_equal(two.clusters, 2);
    assert_int_equal(two.at[0].unit, real.at[1].unit);
    assert_int_equal(two.at[two.count - 1].unit, real.at[0].unit);
    assert_int_equal(pinion__processors_discover(ctx, &list), PINION_OK);
    assert_true(list.count >= 3);
    assert_string_equal(list.at[1]->name, "cpu:0");
    assert_int_equal(list.at[1]->cores, real.count - 1);
    assert_string_equal(list.at[2]->name, "cpu:1");
    assert_int_equal(list.at[2]->cores, 1);
    assert_true(pinion__processors_share_cores(list.at[0], list.at[1]));
    assert_false(pinion__processors_share_cores(list.at[1], list.at[2]));
    pinion__processors_fini(&list);
    assert_int_equal(pinion__processors_choose(ctx, "cpu:1,cpu/1", &list), PINION_OK);
    assert_int_equal(memcmp(list.at[0]->core_mask, real.at[0].mask, sizeof real.at[0].mask), 0);
    assert_int_equal(memcmp(list.at[1]->core_mask, real.at[1].mask, sizeof real.at[1].mask), 0);
    pinion__processors_fini(&list);
    assert_int_equal(pinion__processors_choose(ctx, "cpu:1/2", &list), PINION_EINVAL);
    assert_string_equal(pinion_context_error(ctx), "processor 'cpu:1/2': there is 1 core");
    assert_int_equal(pinion__processors_choose(ctx, "cpu:2", &list), PINION_EUNSUPPORTED);
    unsetenv("HWLOC_XMLFILE");
    unsetenv("HWLOC_THISSYSTEM");
    unlink(path);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_lists),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_disjoint),
        cmocka_unit_test(test_clusters),
    };
    return cmocka_run_group_tests_name("device.choose", tests, NULL, NULL);
}
