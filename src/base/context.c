/* SPDX-License-Identifier: Apache-2.0
 *
 * Creating and destroying contexts: defaults are filled in, the instruction set and the number of threads resolved.
 */
#include "base/context.h"
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

#ifndef PINION_VERSION
#error "the build defines PINION_VERSION"
#endif

const char *pinion_version(void)
{
    return PINION_VERSION;
}

static void *default_alloc(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    void *block = NULL;
    return posix_memalign(&block, alignment, bytes) == 0 ? block : NULL;
}

static void default_release(void *user, void *block)
{
    (void)user;
    free(block);
}

pinion_context_options pinion_context_options_default(void)
{
    return (pinion_context_options){.alloc = default_alloc, .release = default_release};
}

static const char *const isa_names[PINION__ISA_COUNT] = {
    [PINION__ISA_BASELINE] = "baseline",
    [PINION__ISA_AVX2] = "avx2",
    [PINION__ISA_AVX512] = "avx512",
    [PINION__ISA_NEON] = "neon",
};

const char *pinion__isa_name(enum pinion__isa isa)
{
    return isa_names[isa];
}

int pinion__isa_from_name(const char *name)
{
    for (int isa = 0; isa < PINION__ISA_COUNT; isa++)
        if (strcmp(name, isa_names[isa]) == 0)
            return isa;
    return -1;
}

static int resolve_isa(pinion_context *ctx)
{
    int status = PINION_OK;
    const char *wanted = ctx->options.isa ? ctx->options.isa : getenv("PINION_ISA");
    if (!wanted || !*wanted) {
        ctx->isa = pinion__cpu_best_isa();
        goto fail;
    }
    int isa = pinion__isa_from_name(wanted);
    PINION_FAIL_IF(isa < 0, PINION_EINVAL, "instruction set '%s' is unknown: expected baseline, avx2, avx512 or neon",
                   wanted);
    PINION_FAIL_IF(!pinion__cpu_has_isa((enum pinion__isa)isa), PINION_EINVAL,
                   "instruction set '%s' is not available here: the best of this machine and build is '%s'", wanted,
                   pinion__isa_name(pinion__cpu_best_isa()));
    ctx->isa = (enum pinion__isa)isa;
fail:
    return status;
}

static int resolve_threads(pinion_context *ctx)
{
    int status = PINION_OK;
    int threads = ctx->options.threads;
    PINION_FAIL_IF(threads < 0 || threads > PINION__MAX_THREADS, PINION_EINVAL,
                   "%d threads: expected 1 to %d, or 0 for the number of physical cores", threads, PINION__MAX_THREADS);
    ctx->threads = threads ? threads : pinion__cpu_cores();
fail:
    return status;
}

int pinion_context_create(const pinion_context_options *options, pinion_context **out)
{
    if (!out)
        return PINION_EINVAL;
    *out = NULL;
    pinion_context_options chosen = options ? *options : pinion_context_options_default();
    if (!chosen.alloc != !chosen.release)
        return PINION_EINVAL;
    if (!chosen.alloc) {
        chosen.alloc = default_alloc;
        chosen.release = default_release;
    }
    pinion_context *ctx = chosen.alloc(chosen.alloc_user, sizeof *ctx, sizeof(void *));
    if (!ctx)
        return PINION_ENOMEM;
    memset(ctx, 0, sizeof *ctx);
    ctx->options = chosen;
    ctx->system_memory = chosen.alloc == default_alloc;
    pthread_mutex_init(&ctx->lock, NULL);
    pthread_mutex_init(&ctx->wisdom_lock, NULL);
    pthread_mutex_init(&ctx->opencl_lock, NULL);

    int status = resolve_isa(ctx);
    if (status == PINION_OK)
        status = resolve_threads(ctx);
    if (status < 0) {
        pinion__log(ctx, PINION_LOG_WARNING, "%s", ctx->sentence);
        pinion_context_destroy(ctx);
        return status;
    }
    ctx->options.isa = NULL;
    *out = ctx;
    return PINION_OK;
}

void pinion_context_destroy(pinion_context *ctx)
{
    if (!ctx)
        return;
    if (ctx->wisdom)
        ctx->destroy_wisdom(ctx->wisdom);
    if (ctx->opencl)
        ctx->destroy_opencl(ctx->opencl);
    pthread_mutex_destroy(&ctx->opencl_lock);
    pthread_mutex_destroy(&ctx->wisdom_lock);
    pthread_mutex_destroy(&ctx->lock);
    ctx->options.release(ctx->options.alloc_user, ctx);
}

int pinion_context_threads(const pinion_context *ctx)
{
    return ctx->threads;
}

const char *pinion_context_isa(const pinion_context *ctx)
{
    return pinion__isa_name(ctx->isa);
}
