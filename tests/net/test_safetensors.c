/* SPDX-License-Identifier: Apache-2.0
 *
 * The container: hostile files one by one with their sentences, and that what is written is read again.
 */
#include "net/sha256.h"
#include "support.h"
#include <stdio.h>

/* A container around a header and `bytes` bytes of data, counting up. */
typedef struct made {
    unsigned char bytes[4096];
    size_t count;
} made;

static made make(const char *header, size_t bytes)
{
    made file = {.count = 8 + strlen(header) + bytes};
    assert_true(file.count <= sizeof file.bytes);
    file.bytes[0] = (unsigned char)strlen(header);
    file.bytes[1] = (unsigned char)(strlen(header) >> 8);
    memcpy(file.bytes + 8, header, strlen(header));
    for (size_t i = 0; i < bytes; i++)
        file.bytes[8 + strlen(header) + i] = (unsigned char)i;
    return file;
}

static int parse(pinion_context *ctx, const made *file, pinion__st_file **out)
{
    /* An exact copy, so that a sanitizer sees reads past the end. */
    unsigned char *copy = malloc(file->count ? file->count : 1);
    memcpy(copy, file->bytes, file->count);
    int status = pinion__st_parse(ctx, copy, file->count, "w", out);
    if (status < 0)
        free(copy);
    return status;
}

static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
        const char *sentence;
    } cases[] = {
        {"[]", 0, "w: its header is not a JSON object"},
        {"{\"a\": 3}", 0, "w: tensor 'a' is not described by an object"},
        {"{\"a\": {}}", 0, "w: tensor 'a' has no \"dtype\""},
        {"{\"a\": {\"dtype\": \"F7\"}}", 0, "w: tensor 'a' is of the unknown type 'F7'"},
        {"{\"a\": {\"dtype\": \"F32\"}}", 0, "w: tensor 'a': expected a \"shape\" of at most 8 numbers"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1,1,1,1,1,1,1,1,1]}}", 4,
         "w: tensor 'a': expected a \"shape\" of at most 8 numbers"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 0]}}", 0,
         "w: tensor 'a': its \"shape\" has an entry that is no size"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [\"1\"], \"data_offsets\": [0, 0]}}", 0,
         "w: tensor 'a': its \"shape\" has an entry that is no size"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296, 4], \"data_offsets\": [0, 16]}}", 16,
         "w: tensor 'a': its shape needs more than the 16 bytes of data in the file"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0]}}", 16,
         "w: tensor 'a': expected \"data_offsets\" of two numbers"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 1.5]}}", 16,
         "w: tensor 'a': expected \"data_offsets\" of two numbers"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [4, 20]}}", 16,
         "w: tensor 'a': its offsets 4 to 20 lie outside the data, which has 16 bytes"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [-16, 0]}}", 16,
         "w: tensor 'a': its offsets -16 to 0 lie outside the data, which has 16 bytes"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [16, 0]}}", 16,
         "w: tensor 'a': its offsets 16 to 0 lie outside the data, which has 16 bytes"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 9223372036854775807]}}", 16,
         "w: tensor 'a': its offsets 0 to 9223372036854775807 lie outside the data, which has 16 bytes"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 16]}}", 16,
         "w: tensor 'a': its shape needs 8 bytes but its offsets span 16"},
        {"{\"b\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [4, 12]}, \"a\": {\"dtype\": \"F32\", "
         "\"shape\": [2], "
         "\"data_offsets\": [0, 8]}}",
         12, "w: tensors 'a' and 'b' overlap"},
        {"{\"b\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [8, 12]}, \"a\": {\"dtype\": \"F32\", "
         "\"shape\": [1], "
         "\"data_offsets\": [0, 4]}}",
         12, "w: bytes 4 to 8 of the data belong to no tensor"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}", 9,
         "w: bytes 8 to 9 of the data belong to no tensor"},
        {"{\"__metadata__\": []}", 0, "w: \"__metadata__\" is not an object"},
        {"{\"__metadata__\": {\"a\": 1}}", 0, "w: metadata 'a' is not a string"},
        {"{\"__metadata__\": {\"pinion.sha256\": \"00\"}, \"a\": {\"dtype\": \"U8\", \"shape\": [3], \"data_offsets\": "
         "[0, 3]}}",
         3,
         "w: its data is damaged: the checksum is ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc; "
         "expected '00'"},
    };
    pinion_context *ctx = test_context();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pinion__st_file *out = NULL;
        made file = make(cases[i].header, cases[i].bytes);
        assert_refused(ctx, parse(ctx, &file, &out), PINION_EFORMAT, cases[i].sentence);
        assert_null(out);
        assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    }
    test_context_end(ctx);
}

static void test_hostile_frame(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion__st_file *out = NULL;
    made file = make("{}", 0);
    for (file.count = 0; file.count < 8; file.count++) {
        char sentence[128];
        snprintf(sentence, sizeof sentence, "w: %zu bytes are too few for a safetensors file", file.count);
        assert_refused(ctx, parse(ctx, &file, &out), PINION_EFORMAT, sentence);
    }
    file = make("{}", 0);
    file.bytes[0] = 3;
    assert_refused(ctx, parse(ctx, &file, &out), PINION_EFORMAT,
                   "w: its header would have 3 bytes, but the file has 10");
    memset(file.bytes, 255, 8);
    assert_refused(ctx, parse(ctx, &file, &out), PINION_EFORMAT,
                   "w: its header would have 18446744073709551615 bytes, but the file has 10");
    file = make("{", 0);
    assert_int_equal(parse(ctx, &file, &out), PINION_EFORMAT);
    file = make("{\"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]}, "
                "\"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]}}",
                1);
    assert_int_equal(parse(ctx, &file, &out), PINION_EFORMAT);
    file = make("{\"a\\nb\\u001b\": 1}", 0);
    assert_refused(ctx, parse(ctx, &file, &out), PINION_EFORMAT, "w: tensor 'a?b?' is not described by an object");
    assert_null(out);

    enum { LONG = PINION__MAX_HEADER + 9 };
    unsigned char *bytes = calloc(1, LONG);
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)((PINION__MAX_HEADER + 1) >> (8 * i));
    assert_refused(ctx, pinion__st_parse(ctx, bytes, LONG, "w", &out), PINION_EFORMAT,
                   "w: its header has 100000001 bytes; at most 100000000 are possible");
    free(bytes);
    test_context_end(ctx);
}

static int fill_nothing(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes)
{
    (void)user, (void)tensor, (void)offset, (void)buffer, (void)bytes;
    return PINION_OK;
}

/* A long header is read, and what is too long for the reader is not written. */
static void test_long_header(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion__st_file *file = NULL;
    const char *path = test_path("long.safetensors");
    char *value = malloc(PINION__MAX_HEADER + 1);
    pinion__st_pair pair = {.key = (char *)"text", .value = value};
    memset(value, 'x', PINION__MAX_HEADER);
    value[PINION__MAX_HEADER] = '\0';
    assert_int_equal(pinion__st_save(ctx, path, NULL, 0, &pair, 1, fill_nothing, NULL), PINION_EINVAL);
    assert_non_null(strstr(pinion_context_error(ctx), "long.safetensors: its header would have 1000001"));
    assert_non_null(strstr(pinion_context_error(ctx), " bytes; at most 100000000 are possible"));
    value[(1 << 24) + 5] = '\0';
    assert_done(ctx, pinion__st_save(ctx, path, NULL, 0, &pair, 1, fill_nothing, NULL));
    assert_done(ctx, pinion__st_open(ctx, path, &file));
    assert_string_equal(pinion__st_get(file, "text"), value);
    pinion__st_close(ctx, file);
    free(value);
    test_context_end(ctx);
}

static void test_valid(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion__st_file *out = NULL;
    made file = make("  {\"b\": {\"dtype\": \"F16\", \"shape\": [2, 1], \"data_offsets\": [1, 5]}, \"__metadata__\": "
                     "{\"k\": \"v\"}, "
                     "\"e\": {\"dtype\": \"F64\", \"shape\": [0, 7], \"data_offsets\": [5, 5]}, "
                     "\"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 1]}} ",
                     5);
    assert_done(ctx, pinion__st_parse(ctx, file.bytes, file.count, "w", &out));
    assert_int_equal(out->tensor_count, 3);
    assert_string_equal(out->tensors[0].name, "a");
    assert_int_equal(out->tensors[0].rank, 0);
    assert_string_equal(out->tensors[1].name, "b");
    assert_int_equal(out->tensors[1].data[0], 1);
    const pinion__st_tensor *e = pinion__st_find(out, "e");
    assert_int_equal(e->bytes, 0);
    assert_int_equal(e->shape[1], 7);
    assert_null(pinion__st_find(out, "c"));
    assert_string_equal(pinion__st_get(out, "k"), "v");
    assert_null(pinion__st_get(out, "v"));
    pinion__st_close(ctx, out);
    file = make("{}", 0);
    assert_done(ctx, pinion__st_parse(ctx, file.bytes, file.count, "w", &out));
    assert_null(pinion__st_find(out, "a"));
    pinion__st_close(ctx, out);
    test_context_end(ctx);
}

/* Tensor t has byte (t * 31 + offset) mod 251 at each offset. */
static int fill(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes)
{
    int *calls = user;
    ++*calls;
    for (size_t i = 0; i < bytes; i++)
        ((unsigned char *)buffer)[i] = (unsigned char)((tensor * 31 + offset + i) % 251);
    return PINION_OK;
}

static void test_save(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion__st_tensor tensors[] = {
        {.name = (char *)"w.1", .dtype = PINION__F32, .shape = {3, 50000}, .rank = 2},
        {.name = (char *)"a \"b\"\\", .dtype = PINION__U8, .shape = {7}, .rank = 1},
        {.name = (char *)"none", .dtype = PINION__I64, .shape = {0}, .rank = 1},
        {.name = (char *)"last", .dtype = PINION__BF16, .rank = 0},
    };
    pinion__st_pair pairs[] = {
        {(char *)"text",
         (char *)"line\nline\t\"quoted\" \\ "
                 "\303\274\001\302\200\337\277\340\240\200\342\202\254\360\237\230\200\364\217\277\277"},
        {(char *)"broken", (char *)"\377a\300\200b\355\240\200"},
    };
    int calls = 0;
    const char *path = test_path("w.safetensors");
    assert_done(ctx, pinion__st_save(ctx, path, tensors, 4, pairs, 2, fill, &calls));
    assert_true(calls > 4);

    pinion__st_file *file = NULL;
    assert_done(ctx, pinion__st_open(ctx, path, &file));
    assert_int_equal(file->tensor_count, 4);
    for (size_t t = 0; t < 4; t++) {
        const pinion__st_tensor *tensor = pinion__st_find(file, tensors[t].name);
        assert_non_null(tensor);
        assert_int_equal(tensor->dtype, tensors[t].dtype);
        assert_int_equal(tensor->rank, tensors[t].rank);
        assert_memory_equal(tensor->shape, tensors[t].shape, (size_t)tensor->rank * sizeof tensor->shape[0]);
        for (size_t i = 0; i < tensor->bytes; i++)
            assert_int_equal(tensor->data[i], (t * 31 + i) % 251);
    }
    assert_string_equal(pinion__st_get(file, "text"), pairs[0].value);
    assert_string_equal(pinion__st_get(file, "broken"),
                        "\357\277\275a\357\277\275\357\277\275b\357\277\275\357\277\275\357\277\275");
    assert_int_equal(strlen(pinion__st_get(file, "pinion.sha256")), 64);
    pinion__st_close(ctx, file);
    test_context_end(ctx);
}

/* Every flipped byte of the data is found. */
static void test_damage(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion__st_tensor tensor = {.name = (char *)"w", .dtype = PINION__F32, .shape = {16}, .rank = 1};
    int calls = 0;
    const char *path = test_path("w.safetensors");
    assert_done(ctx, pinion__st_save(ctx, path, &tensor, 1, NULL, 0, fill, &calls));
    size_t bytes;
    char *data = test_read(path, &bytes);
    for (size_t i = bytes - 64; i < bytes; i++) {
        pinion__st_file *file = NULL;
        data[i] = (char)(data[i] ^ 16);
        assert_int_equal(pinion__st_parse(ctx, (unsigned char *)data, bytes, "w", &file), PINION_EFORMAT);
        assert_non_null(strstr(pinion_context_error(ctx), "w: its data is damaged: the checksum is "));
        data[i] = (char)(data[i] ^ 16);
    }
    for (size_t count = 0; count < bytes; count++) {
        pinion__st_file *file = NULL;
        assert_int_equal(pinion__st_parse(ctx, (unsigned char *)data, count, "w", &file), PINION_EFORMAT);
    }
    free(data);
    test_context_end(ctx);
}

/* FIPS 180-4 examples, cut at every place. */
static void test_sha256(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
         "stu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char hex[65];
    pinion__sha256 sha;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t cut = 0; cut <= strlen(cases[i][0]); cut++) {
            pinion__sha256_init(&sha);
            pinion__sha256_add(&sha, cases[i][0], cut);
            pinion__sha256_add(&sha, cases[i][0] + cut, strlen(cases[i][0]) - cut);
            pinion__sha256_hex(&sha, hex);
            assert_string_equal(hex, cases[i][1]);
        }
    pinion__sha256_init(&sha);
    for (int i = 0; i < 15625; i++)
        pinion__sha256_add(&sha, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 64);
    pinion__sha256_hex(&sha, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),     cmocka_unit_test(test_hostile_frame), cmocka_unit_test(test_valid),
        cmocka_unit_test(test_long_header), cmocka_unit_test(test_save),          cmocka_unit_test(test_damage),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
