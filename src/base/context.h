/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the context, and the two flow macros of the house.
 *
 * A fallible function has a variable `pinion_context *ctx` in scope, declares `int status = PINION_OK;`
 * before the first macro, and ends in
 *
 *     fail:
 *         return status;
 *
 * where the cleanup stands between the label and the return. PINION_TRY passes a failure on,
 * PINION_FAIL_IF starts one with its sentence. Both record file and line; the first sentence of a
 * failure stays, later frames only extend the trace that the debug log shows.
 */
#ifndef PINION_BASE_CONTEXT_H
#define PINION_BASE_CONTEXT_H

#include <pinion/context.h>
#include <pinion/error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PINION__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define PINION__PRINTF(text, first)
#endif

enum { PINION__SENTENCE_MAX = 1024 };

enum pinion__isa { PINION__ISA_BASELINE, PINION__ISA_AVX2, PINION__ISA_AVX512, PINION__ISA_NEON, PINION__ISA_COUNT };

struct pinion_context {
    pinion_context_options options; /* as given, defaults filled in */
    int threads;                    /* resolved, at least 1 */
    enum pinion__isa isa;           /* resolved */
    bool system_memory;             /* the default allocator: what the machine has free bounds what it gives */

    pthread_mutex_t lock; /* guards the sentence */
    char sentence[PINION__SENTENCE_MAX];

    /* What plans know of this machine (plan/wisdom.h), made when it is first needed; `wisdom_lock` guards it. */
    pthread_mutex_t wisdom_lock;
    void *wisdom; /* NULL: none */
    void (*destroy_wisdom)(void *wisdom);

    /* The OpenCL library, its devices and contexts (device/opencl.h), made when they are first needed. */
    pthread_mutex_t opencl_lock;
    void *opencl; /* NULL: none */
    void (*destroy_opencl)(void *opencl);

    atomic_size_t allocations; /* calls of alloc so far: tests count them around a step */
    atomic_size_t live_bytes;  /* bytes allocated and not yet released */

    /* Tests: called before each write, sync and rename of a file that is being saved. Non-zero makes the
     * operation fail with that errno. May _exit(). NULL: none. */
    int (*io_hook)(void *user, const char *operation, const char *path);
    void *io_hook_user;
    size_t cache_bytes; /* Tests: taken for the size of the largest cache. 0: the machine's */
};

/* Records a failure and returns its code. `frame` true: only extend the trace. */
int pinion__fail(pinion_context *ctx, const char *file, int line, int code, const char *format, ...)
    PINION__PRINTF(5, 6);
void pinion__trace(pinion_context *ctx, const char *file, int line, int code);

#define PINION_TRY(call)                                                                                               \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status < 0) {                                                                                              \
            pinion__trace(ctx, __FILE__, __LINE__, status);                                                            \
            goto fail;                                                                                                 \
        }                                                                                                              \
    } while (0)

#define PINION_FAIL_IF(condition, code, ...)                                                                           \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            status = (code);                                                                                           \
            pinion__fail(ctx, __FILE__, __LINE__, status, __VA_ARGS__);                                                \
            goto fail;                                                                                                 \
        }                                                                                                              \
    } while (0)

/* Memory through the context's allocator. Sizes are checked for overflow; zeroed variants say so. A
 * failure records "out of memory: N bytes for WHAT". release accepts NULL. */
int pinion__alloc(pinion_context *ctx, size_t count, size_t size, const char *what, void *out /* T ** */);
int pinion__alloc_zeroed(pinion_context *ctx, size_t count, size_t size, const char *what, void *out /* T ** */);
int pinion__alloc_aligned(pinion_context *ctx, size_t bytes, size_t alignment, const char *what, void *out /* T ** */);
/* Grows *array (T **) to hold at least `want` elements, doubling; *capacity is updated. Contents are kept. */
int pinion__grow(pinion_context *ctx, void *array /* T ** */, size_t *capacity, size_t want, size_t size,
                 const char *what);
int pinion__copy_string(pinion_context *ctx, const char *text, char **out);
void pinion__release(pinion_context *ctx, void *block);

void pinion__log(pinion_context *ctx, enum pinion_log_level level, const char *format, ...) PINION__PRINTF(3, 4);

/* Parses the name of an instruction set; -1 when it is none. */
int pinion__isa_from_name(const char *name);
const char *pinion__isa_name(enum pinion__isa isa);

#endif
