/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation of a batch that is cut: what mixes samples becomes tasks of the whole batch.
 */
#include "op/operands.h"
#include "plan/slices.h"

#include <stdio.h>
#include <string.h>

/* Puts tensors side by side into one storage, so that they pass from hand to hand together. Absent ones (-1) are left
 * out. */
static int join(pinion__slicing *s, const int tensors[2])
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK, storage;
    size_t bytes = 0;
    pinion__storage joined = {.place = PINION__PLACE_ARENA};
    for (int i = 0; i < 2; i++)
        if (tensors[i] >= 0) {
            const pinion__storage *of = &s->plan->storages[s->plan->tensors[tensors[i]].storage];
            joined.kept = joined.kept || of->kept;
            joined.bytes += pinion__tensor_bytes(&s->plan->tensors[tensors[i]]);
        }
    PINION_TRY(pinion__slicing_storage(s, joined, &storage));
    for (int i = 0; i < 2; i++)
        if (tensors[i] >= 0) {
            s->plan->tensors[tensors[i]].storage = storage;
            s->plan->tensors[tensors[i]].offset = bytes;
            bytes += pinion__tensor_bytes(&s->plan->tensors[tensors[i]]);
        }
fail:
    return status;
}

static int find_constants(pinion__slicing *s, const pinion__task *of, int *out)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    *out = of->operand[PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS];
    if (*out < 0) {
        const pinion__tensor *x = &s->plan->tensors[of->operand[PINION__BATCHNORM_FORWARD_X]];
        pinion__tensor shape = {
            .role = PINION__SAVED, .layer = of->layer, .n = 1, .h = 3, .w = 1, .c = x->c, .element_bytes = 4};
        PINION_TRY(pinion__build_tensor(s->b, PINION__PLACE_ARENA, 0, &shape, out));
    }
fail:
    return status;
}

/* The partial statistics of a slice, which its convolution has left or a task makes. */
static int find_stats(pinion__slicing *s, const pinion__task *of, int slice, int *out)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    int left = of->operand[PINION__BATCHNORM_FORWARD_STATS], x = of->operand[PINION__BATCHNORM_FORWARD_X];
    if (left >= 0) {
        *out = s->tensor_of[left * s->slices + slice];
        return PINION_OK;
    }
    pinion__task task = pinion__slicing_derive(of, PINION__OP_statistics, PINION__FORWARD);
    pinion__slicing_assign(s, &task, slice);
    PINION_TRY(pinion__slicing_piece(s, x, slice, &task.operand[PINION__STATISTICS_FORWARD_X]));
    PINION_TRY(pinion__slicing_stats(s, -1, x, slice, &task.operand[PINION__STATISTICS_FORWARD_STATS]));
    *out = task.operand[PINION__STATISTICS_FORWARD_STATS];
    PINION_TRY(pinion__slicing_append(s, &task));
fail:
    return status;
}

static int combine_statistics(pinion__slicing *s, const pinion__task *of, int constants)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    const pinion__tensor *x = &s->plan->tensors[of->operand[PINION__BATCHNORM_FORWARD_X]];
    pinion__task task = pinion__slicing_derive(of, PINION__OP_batchnorm_statistics, PINION__FORWARD);
    pinion__batchnorm_statistics *attributes = &task.attributes.as.batchnorm_statistics;
    *attributes = (pinion__batchnorm_statistics){.h = x->h,
                                                 .w = x->w,
                                                 .epsilon = of->attributes.as.batchnorm.epsilon,
                                                 .momentum = of->attributes.as.batchnorm.momentum};
    for (int i = 0; i < s->slices; i++) {
        int slice = s->turn[i];
        attributes->n[slice] = s->plan->cut.n[slice];
        PINION_TRY(find_stats(s, of, slice, &task.operand[PINION__BATCHNORM_STATISTICS_FORWARD_STATS + slice]));
    }
    task.operand[PINION__BATCHNORM_STATISTICS_FORWARD_GAMMA] = of->operand[PINION__BATCHNORM_FORWARD_GAMMA];
    task.operand[PINION__BATCHNORM_STATISTICS_FORWARD_BETA] = of->operand[PINION__BATCHNORM_FORWARD_BETA];
    task.operand[PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_MEAN] =
        of->operand[PINION__BATCHNORM_FORWARD_RUNNING_MEAN];
    task.operand[PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_VAR] = of->operand[PINION__BATCHNORM_FORWARD_RUNNING_VAR];
    task.operand[PINION__BATCHNORM_STATISTICS_FORWARD_CONSTANTS] = constants;
    task.operand[PINION__BATCHNORM_STATISTICS_FORWARD_INVSTD] = of->operand[PINION__BATCHNORM_FORWARD_SAVED_INVSTD];
    PINION_TRY(pinion__slicing_append(s, &task));
fail:
    return status;
}

static pinion__task normalise_task(const pinion__task *of, int constants)
{
    pinion__task task = pinion__slicing_derive(of, PINION__OP_normalise, PINION__FORWARD);
    const char *more = strchr(of->what, '+');
    task.activation = of->activation;
    task.fused_count = of->fused_count;
    task.operand[PINION__NORMALISE_FORWARD_X] = of->operand[PINION__BATCHNORM_FORWARD_X];
    task.operand[PINION__NORMALISE_FORWARD_CONSTANTS] = constants;
    task.operand[PINION__NORMALISE_FORWARD_Y] = of->operand[PINION__BATCHNORM_FORWARD_Y];
    task.operand[PINION__NORMALISE_FORWARD_ADDEND] = of->operand[PINION__BATCHNORM_FORWARD_ADDEND];
    if (more)
        snprintf(task.what, sizeof task.what, "%s%.40s", task.op->name, more);
    return task;
}

int pinion__slicing_batchnorm(pinion__slicing *s, const pinion__task *of)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK, constants;
    PINION_TRY(find_constants(s, of, &constants));
    PINION_TRY(join(s, (int[]){constants, of->operand[PINION__BATCHNORM_FORWARD_SAVED_INVSTD]}));
    PINION_TRY(combine_statistics(s, of, constants));
    pinion__task normalise = normalise_task(of, constants);
    PINION_TRY(pinion__slicing_slice(s, &normalise));
fail:
    return status;
}

/* A tensor over all of a storage that holds vectors side by side. */
static int over_all(pinion__slicing *s, int tensor, int *out)
{
    pinion__tensor all = s->plan->tensors[tensor];
    all.offset = 0;
    all.c = (int)(s->plan->storages[all.storage].bytes / sizeof(float));
    return pinion__build_alias(s->b, &all, out);
}

/* Gradients of gamma and beta lie side by side, in each slice and as a whole, and are added at once. */
int pinion__slicing_batchnorm_gradients(pinion__slicing *s, const pinion__task *of)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK, pieces[PINION__MAX_SLICES], whole;
    int gamma = of->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DGAMMA];
    int beta = of->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DBETA];
    PINION_TRY(pinion__slicing_slice(s, of));
    for (int slice = 0; slice < s->slices; slice++) {
        int both[] = {s->tensor_of[gamma * s->slices + slice], s->tensor_of[beta * s->slices + slice]};
        PINION_TRY(join(s, both));
        PINION_TRY(over_all(s, both[0], &pieces[slice]));
    }
    PINION_TRY(join(s, (int[]){gamma, beta}));
    PINION_TRY(over_all(s, gamma, &whole));
    PINION_TRY(pinion__slicing_add(s, of, pieces, whole));
fail:
    return status;
}
