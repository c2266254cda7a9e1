/* SPDX-License-Identifier: Apache-2.0
 *
 * The context: what every other object of the library is made in. It holds the allocator, the
 * logger, the number of threads, the permitted instruction sets and the sentence of the last error.
 * There are no other globals. Objects of one context may be used from several threads as long as no
 * single object is used by two at once; the context itself may be shared.
 */
#ifndef PINION_CONTEXT_H
#define PINION_CONTEXT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_context pinion_context;

enum pinion_log_level { PINION_LOG_DEBUG, PINION_LOG_INFO, PINION_LOG_WARNING };

typedef struct pinion_context_options {
    /* Allocator. `alignment` is a power of two, at least sizeof(void *). `alloc` returns NULL when
     * there is no memory; `release` accepts NULL. Both or neither; called from any thread. */
    void *(*alloc)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *block);
    void *alloc_user;

    /* Logger: one line of UTF-8 without a newline. NULL: the library stays silent. Any thread. */
    void (*log)(void *user, enum pinion_log_level level, const char *text);
    void *log_user;

    /* The best instruction set that kernels may use: "baseline", "avx2", "avx512", "neon". NULL: the
     * value of the environment variable PINION_ISA, else whatever this machine has. */
    const char *isa;

    /* Threads for parallel loops, the caller's included. 0: the number of physical cores. */
    int threads;
} pinion_context_options;

/* malloc, no log, best instruction set, all physical cores. */
pinion_context_options pinion_context_options_default(void);

/* Creates a context; options may be NULL for the defaults. PINION_EINVAL: an unknown instruction set
 * or one that this machine lacks, or a negative number of threads, or no `out`. On failure *out is
 * NULL: the one exception to the rule of error.h. The caller owns *out. */
int pinion_context_create(const pinion_context_options *options, pinion_context **out);

/* Destroys a context after all objects made in it are destroyed. NULL is accepted. */
void pinion_context_destroy(pinion_context *ctx);

/* One sentence about the last failure in this context: what was found, where, what was expected. ""
 * when nothing failed yet. Borrowed; valid until the next failing call in this context, in any thread:
 * to be read by the thread whose call failed, before another call in this context can fail. */
const char *pinion_context_error(const pinion_context *ctx);

/* Threads used by parallel loops. */
int pinion_context_threads(const pinion_context *ctx);

/* Name of the instruction set whose kernels are used ("avx512"). */
const char *pinion_context_isa(const pinion_context *ctx);

/* Library version, "MAJOR.MINOR.PATCH". */
const char *pinion_version(void);

#ifdef __cplusplus
}
#endif
#endif
