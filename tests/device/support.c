/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of processors share.
 */
#include "device/support.h"

#include "device/device.h"
#ifdef PINION__HAVE_OPENCL
#include "device/opencl.h"
#endif

#include <stdio.h>
#include <stdlib.h>

static void print(void *user, enum pinion_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

pinion_context *new_context(void)
{
    pinion_context_options options = pinion_context_options_default();
    options.log = print;
    pinion_context *ctx;
    return pinion_context_create(&options, &ctx) == PINION_OK ? ctx : NULL;
}

static atomic_int lines;

static void count(void *user, enum pinion_log_level level, const char *text)
{
    (void)user, (void)text;
    atomic_fetch_add(&lines, level != PINION_LOG_DEBUG);
}

pinion_context *new_quiet_context(void)
{
    pinion_context_options options = pinion_context_options_default();
    options.log = count;
    pinion_context *ctx;
    atomic_store(&lines, 0);
    return pinion_context_create(&options, &ctx) == PINION_OK ? ctx : NULL;
}

int log_lines(void)
{
    return atomic_load(&lines);
}

void skip_without_opencl(void)
{
#ifdef PINION__HAVE_OPENCL
    pinion_context *ctx = new_context();
    pinion__opencl *opencl;
    if (pinion__opencl_get(ctx, &opencl) == PINION_OK) {
        pinion_context_destroy(ctx);
        return;
    }
    printf("skipped: %s\n", pinion_context_error(ctx));
#else
    printf("skipped: built without OpenCL\n");
#endif
    exit(77);
}

void count_done(void *user, int status)
{
    progress *of = user;
    pthread_mutex_lock(&of->lock);
    of->done++;
    of->status = of->status ? of->status : status;
    pthread_cond_signal(&of->changed);
    pthread_mutex_unlock(&of->lock);
}
