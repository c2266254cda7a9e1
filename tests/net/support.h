/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of networks and weights share: contexts whose allocator can fail, files in a folder of their own,
 * exact error sentences.
 */
#ifndef TESTS_NET_SUPPORT_H
#define TESTS_NET_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "net/network.h"
#include "net/safetensors.h"
#include "net/weights.h"

/* One thread, malloc. */
pinion_context *test_context(void);

/* A context whose allocation number `fail_at` (from 0) fails; SIZE_MAX: none. */
typedef struct test_allocator {
    size_t count, fail_at;
} test_allocator;

pinion_context *test_context_failing(test_allocator *allocator);

/* Checks that nothing is left allocated, and destroys. */
void test_context_end(pinion_context *ctx);

/* A path in a fresh folder of this process; the same buffer each call. */
const char *test_path(const char *name);
void test_write(const char *path, const void *data, size_t bytes);
/* Contents of a file, NUL-terminated, malloc'ed. */
char *test_read(const char *path, size_t *bytes);
/* Opens a weights file and loads it. */
int test_load(pinion_network *network, const char *path, bool replace_classifier);
/* Each kind of parameter, a flatten with batch norm and a linear layer behind it; with weights. */
pinion_network *test_network_small(pinion_context *ctx, const char *name, int classes);
/* One linear layer, with weights, on 2x2 pixels. */
pinion_network *test_network_linear(pinion_context *ctx, int channels);
/* Opens a model of the zoo or a description (JSON text), cut into groups. */
pinion_network *test_network_cut(pinion_context *ctx, const char *model, int groups, enum pinion_connect connect);
/* A description with every way in which a layer is cut: 5 channels and 7 do not divide evenly. */
extern const char test_every_cut[];
/* A file with `width` groups of three of a network of test_every_cut, which knows the accuracy of two widths. */
const char *test_save_groups(pinion_context *ctx, int width, enum pinion_connect connect, const char *file);
/* A path below the source folder. */
const char *test_source(const char *name);

#define assert_done(ctx, call)                                                                                         \
    do {                                                                                                               \
        int returned_ = (call);                                                                                        \
        if (returned_ != PINION_OK)                                                                                    \
            print_error("%s\n", pinion_context_error(ctx));                                                            \
        assert_int_equal(returned_, PINION_OK);                                                                        \
    } while (0)

#define assert_refused(ctx, call, code, sentence)                                                                      \
    do {                                                                                                               \
        assert_int_equal((call), (code));                                                                              \
        assert_string_equal(pinion_context_error(ctx), (sentence));                                                    \
    } while (0)

#endif
