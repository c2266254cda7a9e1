/* SPDX-License-Identifier: Apache-2.0
 *
 * What an inference plan does once for many runs: the prologue. Its tasks stand in front of all others and run when the
 * network's weights have changed since they ran last. Two kinds of task do:
 *
 * - fold_batchnorm makes weights and bias of a convolution that does the work of the batch normalisation behind it
 *   (Jacob et al.: "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
 *   2018, section 3.2, in floating point);
 * - a kernel's `prepare` brings weights into the kernel's own order.
 *
 * Both are work for the host: `prepare` writes to host memory, and folding goes to the plan's first processor of the
 * host, if it has one.
 *
 * Their results lie in the runner's block of prepared weights. Folded weights that only a prepare reads lie in the
 * arena instead, where nothing else lives at that time; the prepare stands behind its fold, so few of them live at
 * once.
 *
 * The prologue of a dynamic network stands group by group, and what a group prepares fills pages of its own, behind
 * those of the groups before it: so groups are prepared, and their memory is given back, by themselves.
 */
#include "op/operands.h"
#include "plan/build.h"

#include <string.h>

bool pinion__plan_can_fold(const pinion__builder *b, const pinion__task *conv, const pinion__task *batchnorm)
{
    bool weighted = conv->op->id == PINION__OP_conv2d || conv->op->id == PINION__OP_depthwise_conv2d ||
                    conv->op->id == PINION__OP_linear;
    if (b->plan->options.mode != PINION_INFER || b->plan->lean || !weighted || conv->pass != PINION__FORWARD ||
        batchnorm->op->id != PINION__OP_batchnorm_stored || batchnorm->pass != PINION__FORWARD)
        return false;
    const pinion__tensor *w = &b->plan->tensors[conv->operand[PINION__CONV_FORWARD_W]];
    return b->plan->storages[w->storage].place == PINION__PLACE_WEIGHTS;
}

/* Inserts a task at place `at` of the prologue. */
static int add_prologue(pinion__builder *b, size_t at, const pinion__task *task)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &b->prologue, &b->prologue_capacity, b->prologue_count + 1, sizeof *b->prologue,
                            "tasks of a plan"));
    memmove(b->prologue + at + 1, b->prologue + at, (b->prologue_count - at) * sizeof *b->prologue);
    b->prologue[at] = *task;
    b->prologue_count++;
fail:
    return status;
}

static pinion__task empty_task(const pinion__task *of)
{
    pinion__task task = {.layer = of->layer,
                         .param = -1,
                         .op = of->op,
                         .attributes = of->attributes,
                         .pass = PINION__FORWARD,
                         .n1 = of->n1,
                         .processor = of->processor,
                         .update.op = PINION__OP_COUNT,
                         .prepared = -1,
                         .scratch = -1};
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        task.operand[i] = -1;
    return task;
}

int pinion__plan_fold(pinion__builder *b, pinion__task *conv, const pinion__task *batchnorm)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    int w = conv->operand[PINION__CONV_FORWARD_W], bias = conv->operand[PINION__CONV_FORWARD_B], folded_w, folded_b;
    pinion__tensor shape = b->plan->tensors[w];
    shape.role = PINION__OUTPUT;
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_PREPARED, 0, &shape, &folded_w));
    shape = b->plan->tensors[batchnorm->operand[PINION__BATCHNORM_STORED_FORWARD_BETA]];
    shape.role = PINION__OUTPUT, shape.index = 1;
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_PREPARED, 0, &shape, &folded_b));

    pinion__task task = empty_task(conv);
    task.op = pinion__op_get(PINION__OP_fold_batchnorm);
    task.attributes = batchnorm->attributes;
    task.operand[PINION__FOLD_FORWARD_W] = w;
    task.operand[PINION__FOLD_FORWARD_B] = bias;
    task.operand[PINION__FOLD_FORWARD_GAMMA] = batchnorm->operand[PINION__BATCHNORM_STORED_FORWARD_GAMMA];
    task.operand[PINION__FOLD_FORWARD_BETA] = batchnorm->operand[PINION__BATCHNORM_STORED_FORWARD_BETA];
    task.operand[PINION__FOLD_FORWARD_MEAN] = batchnorm->operand[PINION__BATCHNORM_STORED_FORWARD_RUNNING_MEAN];
    task.operand[PINION__FOLD_FORWARD_VAR] = batchnorm->operand[PINION__BATCHNORM_STORED_FORWARD_RUNNING_VAR];
    task.operand[PINION__FOLD_FORWARD_FOLDED_W] = folded_w;
    task.operand[PINION__FOLD_FORWARD_FOLDED_B] = folded_b;
    PINION_TRY(add_prologue(b, b->prologue_count, &task));
    conv->operand[PINION__CONV_FORWARD_W] = folded_w;
    conv->operand[PINION__CONV_FORWARD_B] = folded_b;
fail:
    return status;
}

/* The place of the task that folds these weights; the prologue's end where there is none. */
static size_t find_fold(const pinion__builder *b, int folded)
{
    size_t at = 0;
    while (at < b->prologue_count && (b->prologue[at].op->id != PINION__OP_fold_batchnorm ||
                                      b->prologue[at].operand[PINION__FOLD_FORWARD_FOLDED_W] != folded))
        at++;
    return at;
}

/* Where the weights operand of a pass stands, -1: it has none that stays the same over the runs. */
static int constant_weights(const pinion_plan *plan, const pinion__task *task)
{
    const pinion__operands *operands = &task->op->pass[task->pass];
    for (int i = 0; i < operands->count; i++) {
        if (operands->at[i].role != PINION__PARAM || operands->at[i].index != 0 || task->operand[i] < 0)
            continue;
        return plan->options.mode == PINION_INFER && !plan->lean ? i : -1;
    }
    return -1;
}

bool pinion__plan_prepares(const pinion_plan *plan, const pinion__task *task, const pinion__kernel *kernel)
{
    return kernel->body->prepared_bytes && !plan->processors[task->processor]->domain &&
           constant_weights(plan, task) >= 0;
}

static bool is_read(const pinion_plan *plan, int tensor)
{
    for (size_t t = 0; t < plan->task_count; t++)
        for (int i = 0; i < PINION__MAX_OPERANDS; i++)
            if (plan->tasks[t].operand[i] == tensor)
                return true;
    return false;
}

/* Has the weights of task `index` prepared by its kernel. The task keeps the network's own weights as an operand, for
 * their shape: it does not read them. */
static int prepare(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    pinion__task *task = &plan->tasks[index];
    if (!pinion__plan_prepares(plan, task, task->kernel))
        return PINION_OK;
    pinion__args args = pinion__plan_task_args(plan, task);
    size_t bytes = task->kernel->body->prepared_bytes(&args);
    if (bytes == 0)
        return PINION_OK;
    PINION_TRY(pinion__grow(ctx, &plan->storages, &plan->storage_capacity, plan->storage_count + 1,
                            sizeof *plan->storages, "storages of a plan"));
    task->prepared = (int)plan->storage_count;
    plan->storages[plan->storage_count++] =
        (pinion__storage){.place = PINION__PLACE_PREPARED, .bytes = bytes, .first = -1, .last = -1};

    int operand = constant_weights(plan, task), w = task->operand[operand];
    size_t fold = find_fold(b, w);
    bool folded = fold < b->prologue_count;
    pinion__task preparing = empty_task(task);
    preparing.pass = task->pass;
    preparing.prepare = true;
    preparing.prepared = task->prepared;
    preparing.kernel = task->kernel;
    preparing.operand[operand] = w;
    if (folded) {
        task->operand[operand] = b->prologue[fold].operand[PINION__FOLD_FORWARD_W];
        if (!is_read(plan, w)) /* not by a slice of another processor either */
            plan->storages[plan->tensors[w].storage].place = PINION__PLACE_ARENA;
    }
    PINION_TRY(add_prologue(b, folded ? fold + 1 : fold, &preparing));
fail:
    return status;
}

/* Those of a group behind those of the groups before it. */
static int move_to_front(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    size_t count = b->prologue_count, at = 0;
    if (count == 0)
        return PINION_OK;
    PINION_TRY(pinion__grow(ctx, &plan->tasks, &plan->task_capacity, plan->task_count + count, sizeof *plan->tasks,
                            "tasks of a plan"));
    memmove(plan->tasks + count, plan->tasks, plan->task_count * sizeof *plan->tasks);
    for (int group = 0; group <= plan->width; group++)
        for (size_t t = 0; t < count; t++)
            if (pinion__task_group(plan, &b->prologue[t]) == group)
                plan->tasks[at++] = b->prologue[t];
    plan->task_count += count;
    plan->prologue = (int)count;
fail:
    return status;
}

/* Notes what the prologue's tasks of a group leave. */
static void note_group(const pinion_plan *plan, int group, bool *of_group)
{
    memset(of_group, 0, plan->storage_count * sizeof *of_group);
    for (int t = 0; t < plan->prologue; t++) {
        const pinion__task *task = &plan->tasks[t];
        if (pinion__task_group(plan, task) != group)
            continue;
        if (task->prepared >= 0)
            of_group[task->prepared] = true;
        for (int i = 0; i < PINION__MAX_OPERANDS; i++)
            if (task->operand[i] >= 0)
                of_group[plan->tensors[task->operand[i]].storage] = true;
    }
}

static int place_prepared(pinion_plan *plan)
{
    enum { PAGE = 4096 };
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const size_t align = pinion__plan_alignment(plan), group_align = plan->width ? PAGE : align;
    bool *of_group = NULL;
    PINION_TRY(pinion__alloc(ctx, plan->storage_count + 1, sizeof *of_group, "a plan", &of_group));
    for (int group = plan->width > 0; group <= plan->width; group++) {
        note_group(plan, group, of_group);
        for (size_t s = 0; s < plan->storage_count; s++) {
            pinion__storage *storage = &plan->storages[s];
            if (storage->place != PINION__PLACE_PREPARED || !of_group[s])
                continue;
            storage->offset = plan->prepared_bytes;
            plan->prepared_bytes += (storage->bytes + align - 1) / align * align;
        }
        plan->prepared_bytes = (plan->prepared_bytes + group_align - 1) / group_align * group_align;
        if (group)
            plan->prepared_end[group - 1] = plan->prepared_bytes;
    }
fail:
    pinion__release(ctx, of_group);
    return status;
}

/* The first processor without a domain; the first where all have one. */
static int first_of_host(const pinion_plan *plan)
{
    for (int i = 0; i < plan->processor_count; i++)
        if (!plan->processors[i]->domain)
            return i;
    return 0;
}

int pinion__plan_prologue(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    for (size_t i = 0; i < b->prologue_count; i++) {
        b->prologue[i].processor = first_of_host(b->plan);
        PINION_TRY(pinion__plan_select_task(b->plan, &b->prologue[i]));
    }
    for (int t = 0; t < (int)b->plan->task_count; t++)
        PINION_TRY(prepare(b, t));
    PINION_TRY(move_to_front(b));
    PINION_TRY(place_prepared(b->plan));
fail:
    return status;
}
