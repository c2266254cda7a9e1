/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups whose memory goes back to the system and comes again: it leaves the process, no bit changes, and what cannot
 * come back is said while what is there still works.
 */
#include "run/widths.h"

#include "base/pages.h"

#include <pinion/weights.h>
#include <sys/mman.h>
#include <unistd.h>

/* Layers wide enough that each group has pages of weights, prepared weights and activations. */
static const char wide_network[] =
    "{\"name\": \"wide\", \"input\": [8, 8, 3], \"layers\": ["
    "{\"name\": \"conv1\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 256, \"filter\": 3, \"padding\": 1, "
    "\"bias\": false},"
    "{\"name\": \"bn1\", \"op\": \"batchnorm\", \"input\": \"conv1\"},"
    "{\"name\": \"relu1\", \"op\": \"relu\", \"input\": \"bn1\"},"
    "{\"name\": \"conv2\", \"op\": \"conv2d\", \"input\": \"relu1\", \"channels\": 256, \"filter\": 3, \"padding\": 1, "
    "\"bias\": true},"
    "{\"name\": \"bn2\", \"op\": \"batchnorm\", \"input\": \"conv2\"},"
    "{\"name\": \"relu2\", \"op\": \"relu\", \"input\": \"bn2\"},"
    "{\"name\": \"pool\", \"op\": \"global_avgpool\", \"input\": \"relu2\"},"
    "{\"name\": \"fc\", \"op\": \"linear\", \"input\": \"pool\", \"channels\": 5}]}";

static pinion_network *make_wide(pinion_context *ctx)
{
    pinion_network *network = NULL;
    const pinion_network_options options = {.groups = GROUPS, .connect = PINION_NESTED};
    if (pinion_network_parse(ctx, wide_network, strlen(wide_network), "a test", &options, &network) < 0 ||
        pinion_network_init_weights(network, 7) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    return network;
}

/* A folder with a weights file, and a bed whose weights are the file's. */
typedef struct stage {
    pinion_context *ctx;
    char folder[64], path[128];
    bed b;
    float whole[GROUPS][ANSWERS]; /* logits of an image by width, before anything was released */
} stage;

static void save_wide(pinion_context *ctx, const char *path, uint64_t seed)
{
    pinion_network *network = make_wide(ctx);
    const pinion_weights_metadata metadata = {.class_count = ANSWERS};
    if (pinion_network_init_weights(network, seed) < 0 || pinion_weights_save(network, path, &metadata) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    pinion_network_destroy(network);
}

static void load(pinion_network *network, const char *path)
{
    pinion_weights_file *file = NULL;
    if (pinion_weights_open(network->ctx, path, &file) < 0 || pinion_weights_load(network, file, NULL) < 0)
        fail_msg("%s", pinion_context_error(network->ctx));
    pinion_weights_close(file);
}

static stage *make_stage(enum where where)
{
    stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    /* One thread: which of several comes in time to an item, and so whose scratch is touched, is a matter of chance. */
    pinion_context_options alone = pinion_context_options_default();
    alone.threads = 1;
    assert_int_equal(pinion_context_create(&alone, &s->ctx), PINION_OK);
    snprintf(s->folder, sizeof s->folder, "/tmp/pinion-release-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/w.safetensors", s->folder);
    save_wide(s->ctx, s->path, 7);
    pinion_network *network = make_wide(s->ctx);
    load(network, s->path);
    const pinion_plan_options options = infer_options(1, 0);
    s->b = make_bed_of(network, where, &options, 0);
    for (int width = 1; width <= GROUPS; width++)
        infer_at(&s->b, width, 1, s->whole[width - 1]);
    return s;
}

static void end_stage(stage *s)
{
    end_bed(&s->b);
    unlink(s->path);
    rmdir(s->folder);
    pinion_context_destroy(s->ctx);
    free(s);
}

static void expect_widths(stage *s, int from, int to)
{
    for (int width = from; width <= to; width++) {
        float found[ANSWERS];
        infer_at(&s->b, width, 1, found);
        assert_memory_equal(found, s->whole[width - 1], sizeof found);
    }
}

/* Of the runner's and the network's memory. */
static size_t count_resident(const stage *s)
{
    const pinion_runner *runner = s->b.m.runner;
    return pinion__pages_resident(runner->prepared.host, s->b.m.plan->prepared_bytes) +
           pinion__pages_resident(runner->arena.host, s->b.m.plan->arena_bytes) +
           pinion__pages_resident(s->b.m.network->block, s->b.m.network->block_bytes);
}

/* Does this system give pages back when it is asked to? (Emulators may not.) */
static bool gives_back(void)
{
    const size_t bytes = 16 * (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    memset(at, 1, bytes);
    const bool gives = pinion__pages_resident(at, bytes) == bytes && pinion__pages_give_back(at, bytes) == bytes &&
                       at[0] == 0 && pinion__pages_resident(at + bytes / 2, bytes / 2) == 0;
    munmap(at, bytes);
    return gives;
}

static void expect_error(const stage *s, int found, int code, const char *sentence)
{
    assert_int_equal(found, code);
    if (!strstr(pinion_context_error(s->ctx), sentence))
        fail_msg("'%s' does not say '%s'", pinion_context_error(s->ctx), sentence);
}

/* Every way down and up again: memory goes and comes, bits stay. */
static void test_there_and_back(void **state)
{
    (void)state;
    if (!gives_back())
        skip();
    stage *s = make_stage(ON_CPU);
    const size_t *prepared = s->b.m.plan->prepared_end, *weights = s->b.m.network->group_offset;
    for (int down = 1; down <= GROUPS; down++)
        for (int up = 1; up <= GROUPS; up++) {
            pinion_residence released, restored;
            float logits[ANSWERS];
            infer_at(&s->b, GROUPS, 1, logits);
            const size_t before = count_resident(s);
            const size_t arena = pinion__pages_resident(s->b.m.runner->arena.host, s->b.m.plan->arena_bytes);
            assert_int_equal(pinion_runner_release(s->b.m.runner, down, &released), PINION_OK);
            const size_t least = prepared[GROUPS - 1] - prepared[down - 1] + weights[GROUPS] - weights[down];
            assert_true(released.bytes + 2 * PINION__PAGE >= least && released.ms >= 0);
            assert_int_equal(before - count_resident(s), released.bytes);
            assert_int_equal(pinion_runner_get_width(s->b.m.runner), down);
            if (down == 1)
                assert_true(pinion__pages_resident(s->b.m.runner->arena.host, s->b.m.plan->arena_bytes) < arena);
            expect_widths(s, 1, down);
            assert_int_equal(before - count_resident(s), released.bytes); /* nor did running bring it back */
            if (down < GROUPS) {
                expect_error(s, pinion_runner_set_width(s->b.m.runner, GROUPS), PINION_EINVAL, "were released");
                assert_int_equal(pinion_runner_get_width(s->b.m.runner), down);
            }
            assert_int_equal(pinion_runner_restore(s->b.m.runner, up, &restored), PINION_OK);
            assert_int_equal(restored.bytes > 0, up > down);
            for (int group = 0; group < up; group++)
                assert_true(s->b.m.runner->groups[group].is_prepared);
            assert_int_equal(pinion_runner_get_width(s->b.m.runner), down);
            expect_widths(s, 1, up > down ? up : down);
            assert_int_equal(pinion_runner_restore(s->b.m.runner, GROUPS, NULL), PINION_OK);
            expect_widths(s, 1, GROUPS);
        }
    end_stage(s);
}

/* A block of the process as the system shows it: the prepared weights are no longer in memory. */
static void test_smaps(void **state)
{
    (void)state;
    char line[256];
    if (!gives_back())
        skip();
    stage *s = make_stage(ON_CPU);
    size_t kib[2] = {0};
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen("/proc/self/smaps_rollup", "r");
        if (!file)
            skip();
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "Rss: %zu", &kib[i]) == 1)
                break;
        fclose(file);
        if (i == 0)
            assert_int_equal(pinion_runner_release(s->b.m.runner, 1, NULL), PINION_OK);
    }
    const size_t least = s->b.m.plan->prepared_end[GROUPS - 1] - s->b.m.plan->prepared_end[0];
    assert_true(least > 512 * 1024);
    assert_true((kib[0] - kib[1]) * 1024 > least);
    end_stage(s);
}

/* The weights of a network that is of no file stay; what was prepared of them goes. */
static void test_without_a_file(void **state)
{
    (void)state;
    if (!gives_back())
        skip();
    stage *s = make_stage(ON_CPU);
    pinion__network_changed(s->b.m.network); /* as training does: they are no longer the file's */
    expect_widths(s, 1, GROUPS);
    const size_t block = pinion__pages_resident(s->b.m.network->block, s->b.m.network->block_bytes);
    pinion_residence released;
    assert_int_equal(pinion_runner_release(s->b.m.runner, 1, &released), PINION_OK);
    assert_true(released.bytes >= s->b.m.plan->prepared_end[GROUPS - 1] - s->b.m.plan->prepared_end[0]);
    assert_int_equal(pinion__pages_resident(s->b.m.network->block, s->b.m.network->block_bytes), block);
    expect_widths(s, 1, 1);
    assert_int_equal(pinion_runner_restore(s->b.m.runner, GROUPS, NULL), PINION_OK);
    expect_widths(s, 1, GROUPS);
    end_stage(s);
}

/* A device's memory is kept, and no bytes are counted; else it is the same. */
static void test_devices(void **state)
{
    (void)state;
    for (int where = ON_MAPPED; where <= ON_COPIED; where++) {
        stage *s = make_stage((enum where)where);
        pinion_residence released = {.bytes = 1}, restored = {.bytes = 1};
        assert_int_equal(pinion_runner_release(s->b.m.runner, 2, &released), PINION_OK);
        assert_int_equal(released.bytes, 0);
        expect_error(s, pinion_runner_set_width(s->b.m.runner, 3), PINION_EINVAL, "were released");
        expect_widths(s, 1, 2);
        assert_int_equal(pinion_runner_restore(s->b.m.runner, 4, &restored), PINION_OK);
        assert_int_equal(restored.bytes, 0);
        expect_widths(s, 1, GROUPS);
        end_stage(s);
    }
}

/* Another runner of the network finds that groups have no weights, and goes on when they are back. */
static void test_two_runners(void **state)
{
    (void)state;
    stage *s = make_stage(ON_CPU);
    pinion_runner *other = NULL;
    float found[ANSWERS];
    assert_int_equal(pinion_runner_create(s->b.m.plan, &other), PINION_OK);
    assert_int_equal(pinion_runner_infer(other, s->b.images, 1, found), PINION_OK);
    assert_int_equal(pinion_runner_release(s->b.m.runner, 2, NULL), PINION_OK);
    expect_error(s, pinion_runner_infer(other, s->b.images, 1, found), PINION_EINVAL,
                 "has weights of 2 of its 4 groups");
    assert_int_equal(pinion_runner_set_width(other, 2), PINION_OK);
    assert_int_equal(pinion_runner_infer(other, s->b.images, 1, found), PINION_OK);
    assert_memory_equal(found, s->whole[1], sizeof found);
    assert_int_equal(pinion_runner_restore(s->b.m.runner, GROUPS, NULL), PINION_OK);
    assert_int_equal(pinion_runner_set_width(other, GROUPS), PINION_OK);
    assert_int_equal(pinion_runner_infer(other, s->b.images, 1, found), PINION_OK);
    assert_memory_equal(found, s->whole[GROUPS - 1], sizeof found);
    pinion_runner_destroy(other);
    end_stage(s);
}

/* The file is another one, or cut off, or gone: said, and what is there works; with the file back all does. */
static void test_lost_file(void **state)
{
    (void)state;
    stage *s = make_stage(ON_CPU);
    char kept[160];
    snprintf(kept, sizeof kept, "%s.kept", s->path);
    for (int trouble = 0; trouble < 3; trouble++) {
        assert_int_equal(pinion_runner_release(s->b.m.runner, 2, NULL), PINION_OK);
        assert_int_equal(rename(s->path, kept), 0);
        if (trouble < 2)
            save_wide(s->ctx, s->path, 8);
        if (trouble == 1)
            assert_int_equal(truncate(s->path, 4096), 0);
        const int code = pinion_runner_restore(s->b.m.runner, GROUPS, NULL);
        assert_true(code == PINION_EFORMAT || (trouble == 2 && code == PINION_EIO));
        assert_non_null(strstr(pinion_context_error(s->ctx), s->path));
        assert_int_equal(pinion_runner_get_width(s->b.m.runner), 2);
        expect_error(s, pinion_runner_set_width(s->b.m.runner, 3), PINION_EINVAL, "were released");
        expect_widths(s, 1, 2);
        assert_int_equal(rename(kept, s->path), 0);
        assert_int_equal(pinion_runner_restore(s->b.m.runner, GROUPS, NULL), PINION_OK);
        expect_widths(s, 1, GROUPS);
    }
    end_stage(s);
}

/* Bytes of group 3 are damaged: what is there of the file serves widths 1 and 2. */
static void test_damaged_file(void **state)
{
    (void)state;
    stage *s = make_stage(ON_CPU);
    const char *name = "conv2.g3.weight";
    pinion_weights_file *file = NULL;
    assert_int_equal(pinion_weights_open(s->ctx, s->path, &file), PINION_OK);
    assert_int_equal(pinion_weights_get_metadata(file)->whole_width, GROUPS);
    pinion_weights_close(file);
    const pinion__param *param = NULL;
    for (size_t p = 0; p < s->b.m.network->param_count; p++)
        if (strcmp(s->b.m.network->params[p].name, name) == 0)
            param = &s->b.m.network->params[p];
    assert_non_null(param);

    /* Tensors lie in the file in the network's order, at its end. */
    FILE *bytes = fopen(s->path, "r+");
    assert_non_null(bytes);
    size_t behind = 0;
    for (const pinion__param *at = param; at < s->b.m.network->params + s->b.m.network->param_count; at++)
        behind += at->bytes;
    assert_int_equal(fseek(bytes, -(long)behind + 100, SEEK_END), 0);
    int byte = fgetc(bytes);
    assert_int_equal(fseek(bytes, -1, SEEK_CUR), 0);
    fputc(byte ^ 1, bytes);
    fclose(bytes);

    assert_int_equal(pinion_runner_release(s->b.m.runner, 1, NULL), PINION_OK);
    expect_error(s, pinion_runner_restore(s->b.m.runner, 3, NULL), PINION_EFORMAT, "group 3");
    assert_int_equal(pinion_runner_restore(s->b.m.runner, 2, NULL), PINION_OK);
    expect_widths(s, 1, 2);

    stage fresh = {.ctx = s->ctx};
    pinion_network *network = make_wide(s->ctx);
    load(network, s->path);
    const pinion_plan_options options = infer_options(1, 0);
    fresh.b = make_bed_of(network, ON_CPU, &options, 0);
    memcpy(fresh.whole, s->whole, sizeof s->whole);
    assert_int_equal(pinion_runner_get_width(fresh.b.m.runner), 2);
    expect_widths(&fresh, 1, 2);
    assert_int_equal(pinion_runner_set_width(fresh.b.m.runner, 3), PINION_EINVAL);
    end_bed(&fresh.b);
    end_stage(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_smaps),
        cmocka_unit_test(test_without_a_file), cmocka_unit_test(test_devices),
        cmocka_unit_test(test_two_runners),    cmocka_unit_test(test_lost_file),
        cmocka_unit_test(test_damaged_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
