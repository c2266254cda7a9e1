/* SPDX-License-Identifier: Apache-2.0
 *
 * Building programs: what does not build says why, and what was built is found again in the cache's folder, whatever
 * becomes of the files there.
 */
#include "device/opencl_work.h"
#include "device/support.h"

#include "device/opencl_cache.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static pinion__opencl_api real;
static char folder[64];
static int from_text, from_binary;
static bool refuse_binaries;

static cl_program CL_API_CALL create_from_text(cl_context context, cl_uint count, const char **texts,
                                               const size_t *lengths, cl_int *error)
{
    from_text++;
    return real.clCreateProgramWithSource(context, count, texts, lengths, error);
}

static cl_program CL_API_CALL create_from_binary(cl_context context, cl_uint count, const cl_device_id *ids,
                                                 const size_t *lengths, const unsigned char **binaries, cl_int *status,
                                                 cl_int *error)
{
    from_binary++;
    if (refuse_binaries) {
        *error = CL_INVALID_BINARY;
        return NULL;
    }
    return real.clCreateProgramWithBinary(context, count, ids, lengths, binaries, status, error);
}

/* The path of the only file there is; "": there is none. */
static void find_file(char *path, size_t bytes)
{
    path[0] = '\0';
    DIR *entries = opendir(folder);
    for (const struct dirent *entry; entries && (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.') {
            assert_string_equal(path, "");
            snprintf(path, bytes, "%s/%.200s", folder, entry->d_name);
        }
    if (entries)
        closedir(entries);
}

static void remove_file(void)
{
    char path[300];
    find_file(path, sizeof path);
    if (path[0])
        assert_int_equal(unlink(path), 0);
}

/* Builds once in a context of its own and sees that the kernel works; how many lines it logged. */
static int build(void)
{
    pinion__opencl_api table = real;
    table.clCreateProgramWithSource = create_from_text;
    table.clCreateProgramWithBinary = create_from_binary;
    from_text = from_binary = 0;
    pinion_context *ctx = new_quiet_context();
    pinion__processor *processor;
    pinion__memory *memory;
    pinion__span span;
    assert_int_equal(pinion__opencl_use(ctx, &table), PINION_OK);
    assert_int_equal(pinion__processor_create_opencl(ctx, 0, 1, &processor), PINION_OK);
    assert_int_equal(pinion__memory_create(processor->domain, 4096, &memory), PINION_OK);
    assert_int_equal(pinion__memory_span(memory, 0, 4096, &span), PINION_OK);
    assert_int_equal(pass(memory, processor, &span, 4096, HOST, DEVICE, true), PINION_OK);
    const add one = {.processor = processor, .span = span, .count = 1024, .value = 2};
    for (int i = 0; i < 2; i++) /* the second kernel is found in memory */
        assert_int_equal(processor->class_->run(processor, run_add, &one), PINION_OK);
    assert_int_equal(pass(memory, processor, &span, 4096, DEVICE, HOST, true), PINION_OK);
    assert_true(((float *)(void *)memory->host)[1023] == 4.0f);
    pinion__memory_destroy(memory);
    pinion__processor_destroy(processor);
    pinion_context_destroy(ctx);
    return log_lines();
}

static void expect_build(int texts, int binaries, int lines)
{
    int logged = build();
    assert_int_equal(from_text, texts);
    assert_int_equal(from_binary, binaries);
    assert_int_equal(logged, lines);
}

static void test_kept(void **state)
{
    (void)state;
    char path[300];
    expect_build(1, 0, 0);
    find_file(path, sizeof path);
    assert_string_not_equal(path, "");
    expect_build(0, 1, 0);
    refuse_binaries = true;
    expect_build(1, 1, 1);
    refuse_binaries = false;
    expect_build(0, 1, 0);
    remove_file();
    setenv("PINION_OPENCL_CACHE", "off", 1);
    expect_build(1, 0, 0);
    setenv("PINION_OPENCL_CACHE", folder, 1);
    find_file(path, sizeof path);
    assert_string_equal(path, "");
}

static void test_damaged(void **state)
{
    (void)state;
    char path[300];
    build();
    find_file(path, sizeof path);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    const long places[] = {0, 3, 20, 50, 60, 70, 120, 1000, info.st_size - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        FILE *file = fopen(path, "r+");
        fseek(file, places[i], SEEK_SET);
        int byte = fgetc(file);
        fseek(file, places[i], SEEK_SET);
        fputc(byte ^ 0x10, file);
        fclose(file);
        expect_build(1, 0, 1);
        expect_build(0, 1, 0);
    }
    const long lengths[] = {0, 1, 15, 16, 66, 85, 90, 500, info.st_size - 1, info.st_size + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(truncate(path, lengths[i]), 0);
        expect_build(1, 0, 1);
        expect_build(0, 1, 0);
    }
    remove_file();
}

/* The folder cannot be made: a line, no more. */
static void test_not_writable(void **state)
{
    (void)state;
    setenv("PINION_OPENCL_CACHE", "/proc/none/here", 1);
    expect_build(1, 0, 1);
    setenv("PINION_OPENCL_CACHE", folder, 1);
}

static void test_keys(void **state)
{
    (void)state;
    const pinion__opencl_device device = {.name = "d", .version = "v", .driver = "r"};
    pinion__opencl_device other = device;
    other.driver[0] = 's';
    const pinion__opencl_source source = {.texts = {"ab", "c"}, .lengths = {2, 1}, .count = 2};
    const pinion__opencl_source cut = {.texts = {"a", "bc"}, .lengths = {1, 2}, .count = 2};
    const pinion__opencl_key keys[] = {
        pinion__opencl_key_of(&device, &source, "-DA"),
        pinion__opencl_key_of(&device, &source, "-DB"),
        pinion__opencl_key_of(&other, &source, "-DA"),
        pinion__opencl_key_of(&device, &cut, "-DA"),
    };
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < a; b++)
            assert_true(keys[a].part[0] != keys[b].part[0] && keys[a].part[1] != keys[b].part[1]);
}

static void run_wrong(const void *args)
{
    static const char text[] = "__kernel void wrong(__global float *x) { x[0] = there_is_no_such_thing; }\n";
    const pinion__opencl_source source = {.name = "wrong", .texts = {text}, .lengths = {sizeof text - 1}, .count = 1};
    pinion__opencl_processor *self = pinion__opencl_processor_of((pinion__processor *)(uintptr_t)args);
    assert_null(pinion__opencl_make_kernel(self, &source, "wrong", "-DX=1"));
}

static void test_does_not_build(void **state)
{
    (void)state;
    pinion_context *ctx = new_quiet_context();
    pinion__processor *processor;
    assert_int_equal(pinion__processor_create_opencl(ctx, 0, 0, &processor), PINION_OK);
    assert_int_equal(processor->class_->run(processor, run_wrong, processor), PINION_EDEVICE);
    const char *sentence = pinion_context_error(ctx);
    assert_non_null(strstr(sentence, "processor 'opencl:0': wrong.cl with options '-DX=1' does not build for '"));
    assert_non_null(strstr(sentence, "CL_BUILD_PROGRAM_FAILURE"));
    pinion__processor_destroy(processor);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept), cmocka_unit_test(test_damaged),        cmocka_unit_test(test_not_writable),
        cmocka_unit_test(test_keys), cmocka_unit_test(test_does_not_build),
    };
    skip_without_opencl();
    snprintf(folder, sizeof folder, "/tmp/pinion-opencl-%ld", (long)getpid());
    setenv("PINION_OPENCL_CACHE", folder, 1);
    pinion_context *ctx = new_quiet_context();
    if (pinion__opencl_api_load(ctx, &real) < 0)
        return 1;
    pinion_context_destroy(ctx);
    int failed = cmocka_run_group_tests_name("device.opencl_programs", tests, NULL, NULL);
    remove_file();
    rmdir(folder);
    return failed;
}
