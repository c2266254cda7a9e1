/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of candidates (plan/candidates.h). A key names everything that decides how long a task takes and nothing
 * else: attributes that are real numbers (rates, epsilons) do not.
 */
#include "plan/candidates.h"

#include "net/text.h"

#include <math.h>
#include <string.h>

/* A later row must be this much faster than an earlier one to be taken before it. */
static const double MARGIN = 0.97;

static const char *const role_names[] = {
    [PINION__INPUT] = "input",       [PINION__OUTPUT] = "output",     [PINION__D_INPUT] = "d_input",
    [PINION__D_OUTPUT] = "d_output", [PINION__PARAM] = "param",       [PINION__D_PARAM] = "d_param",
    [PINION__STATE] = "state",       [PINION__SAVED] = "saved",       [PINION__LABELS] = "labels",
    [PINION__MOMENT] = "moment",     [PINION__SCALE] = "scale",       [PINION__SQUARES] = "squares",
    [PINION__ADDEND] = "addend",     [PINION__D_ADDEND] = "d_addend", [PINION__STATS] = "stats",
};

static const char *const activation_names[] = {
    [PINION__ACTIVATION_NONE] = "",
    [PINION__ACTIVATION_RELU] = " relu",
    [PINION__ACTIVATION_RELU6] = " relu6",
};

/* The first operand of the task that lies in the same bytes: the operand itself where there is no other. */
static int find_twin(const pinion_plan *plan, const pinion__task *task, int operand)
{
    const pinion__tensor *tensor = &plan->tensors[task->operand[operand]];
    for (int i = 0; i < operand; i++) {
        if (task->operand[i] < 0)
            continue;
        const pinion__tensor *other = &plan->tensors[task->operand[i]];
        if (other->storage == tensor->storage && other->offset == tensor->offset)
            return i;
    }
    return operand;
}

static int add_role(pinion__text *text, const pinion__operand *operand)
{
    const char *name = role_names[operand->role];
    return operand->index ? pinion__text_add(text, "%s%d", name, operand->index) : pinion__text_add(text, "%s", name);
}

static int add_operands(const pinion_plan *plan, const pinion__task *task, pinion__text *text)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__operands *operands = &task->op->pass[task->pass];
    for (int i = 0; i < operands->count; i++) {
        if (task->operand[i] < 0)
            continue;
        const pinion__tensor *tensor = &plan->tensors[task->operand[i]];
        int twin = find_twin(plan, task, i);
        PINION_TRY(pinion__text_add(text, " "));
        PINION_TRY(add_role(text, &operands->at[i]));
        PINION_TRY(pinion__text_add(text, "=%dx%dx%dx%d", tensor->n, tensor->h, tensor->w, tensor->c));
        if (tensor->ld != tensor->c)
            PINION_TRY(pinion__text_add(text, "/%td", tensor->ld));
        if (twin != i) {
            PINION_TRY(pinion__text_add(text, "@"));
            PINION_TRY(add_role(text, &operands->at[twin]));
        }
    }
fail:
    return status;
}

static int add_attributes(const pinion__task *task, pinion__text *text)
{
    pinion_context *ctx = text->ctx;
    int status = PINION_OK;
    const char *attributes = (const char *)&task->attributes;
    for (int i = 0; i < task->op->field_count; i++) {
        const pinion__attr_field *field = &task->op->fields[i];
        if (field->type == PINION__ATTR_FLOAT)
            continue;
        int values[2];
        memcpy(&values[0], attributes + field->offset, sizeof values[0]);
        PINION_TRY(pinion__text_add(text, " %s=%d", field->key, values[0]));
        if (field->type != PINION__ATTR_PAIR)
            continue;
        memcpy(&values[1], attributes + field->offset2, sizeof values[1]);
        PINION_TRY(pinion__text_add(text, "x%d", values[1]));
    }
fail:
    return status;
}

int pinion__candidates_key(const pinion_plan *plan, const pinion__task *task, bool prepares, char **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__processor *processor = plan->processors[task->processor];
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, "%s %s", task->op->name, pinion__pass_name(task->pass)));
    PINION_TRY(add_operands(plan, task, &text));
    PINION_TRY(add_attributes(task, &text));
    PINION_TRY(pinion__text_add(&text, "%s%s%s", activation_names[task->activation],
                                task->accumulate ? " accumulate" : "", prepares ? " prepared" : ""));
    if (task->update.op != PINION__OP_COUNT)
        PINION_TRY(pinion__text_add(&text, " update=%s", pinion__op_get(task->update.op)->name));
    PINION_TRY(pinion__text_add(&text, " %s %s threads=%d", processor->class_->kind, pinion__isa_name(processor->isa),
                                pinion__workers_threads(processor->workers)));
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

size_t pinion__candidates_prepared_bytes(const pinion_plan *plan, const pinion__task *task,
                                         const pinion__kernel *kernel, const pinion__args *args)
{
    return pinion__plan_prepares(plan, task, kernel) ? kernel->body->prepared_bytes(args) : 0;
}

/* Appends the applicable kernels of a task; *prepares: one of them prepares weights. */
static int append_kernels(pinion_plan *plan, const pinion__task *task, bool *prepares)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__processor *processor = plan->processors[task->processor];
    pinion__args args = pinion__plan_task_args(plan, task);
    size_t before = plan->candidate_count;
    const pinion__kernel *kernel;
    *prepares = false;
    for (int cursor = 0; (kernel = pinion__kernel_next(task->op->id, task->pass, processor->kernel_kind, processor->isa,
                                                       &args, &cursor));) {
        PINION_TRY(pinion__grow(ctx, &plan->candidates, &plan->candidate_capacity, plan->candidate_count + 1,
                                sizeof *plan->candidates, "kernels of a plan"));
        plan->candidates[plan->candidate_count++] = (pinion__candidate){.kernel = kernel, .ms = (double)NAN};
        *prepares = *prepares || pinion__candidates_prepared_bytes(plan, task, kernel, &args) > 0;
    }
    PINION_FAIL_IF(plan->candidate_count == before, PINION_EUNSUPPORTED,
                   "layer '%s': processor '%s' has no kernel for %s %s", pinion__task_layer_name(plan, task),
                   processor->name, task->op->name, pinion__pass_name(task->pass));
fail:
    return status;
}

/* The number of the record of that key, from 1; 0: there is none. */
static int find_record(const pinion_plan *plan, const char *key)
{
    for (size_t i = 0; i < plan->record_count; i++)
        if (strcmp(plan->records[i].key, key) == 0)
            return (int)i + 1;
    return 0;
}

static int gather(pinion_plan *plan, int index)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__task *task = &plan->tasks[index];
    size_t first = plan->candidate_count;
    bool prepares;
    char *key = NULL;
    PINION_TRY(append_kernels(plan, task, &prepares));
    PINION_TRY(pinion__candidates_key(plan, task, prepares, &key));
    task->record = find_record(plan, key);
    if (task->record) {
        plan->candidate_count = first; /* the same kernels apply to the same work */
    } else {
        PINION_TRY(pinion__grow(ctx, &plan->records, &plan->record_capacity, plan->record_count + 1,
                                sizeof *plan->records, "kernels of a plan"));
        plan->records[plan->record_count++] = (pinion__record){
            .key = key, .first = (int)first, .count = (int)(plan->candidate_count - first), .task = index};
        task->record = (int)plan->record_count;
        key = NULL;
    }
fail:
    pinion__release(ctx, key);
    return status;
}

int pinion__candidates_gather(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__candidates_clear(plan);
    for (int i = 0; i < (int)plan->task_count; i++)
        PINION_TRY(gather(plan, i));
fail:
    return status;
}

/* A record's task is the first that is this very work, not one that repeats it with other operands. */
int pinion__candidates_add(pinion_plan *plan, bool *added)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    *added = false;
    for (int t = (int)plan->task_count - 1; t >= 0; t--)
        if (plan->tasks[t].record && !plan->tasks[t].recomputed)
            plan->records[plan->tasks[t].record - 1].task = t;
    for (int t = plan->prologue; t < (int)plan->task_count; t++) {
        if (plan->tasks[t].record)
            continue;
        PINION_TRY(gather(plan, t));
        *added = true;
    }
fail:
    return status;
}

void pinion__candidates_clear(pinion_plan *plan)
{
    for (size_t i = 0; i < plan->record_count; i++)
        pinion__release(plan->ctx, plan->records[i].key);
    pinion__release(plan->ctx, plan->records);
    pinion__release(plan->ctx, plan->candidates);
    plan->records = NULL;
    plan->candidates = NULL;
    plan->record_count = plan->record_capacity = plan->candidate_count = plan->candidate_capacity = 0;
}

const pinion__candidate *pinion__candidates_best(const pinion_plan *plan, const pinion__record *record)
{
    const pinion__candidate *candidates = &plan->candidates[record->first], *best = NULL;
    for (int i = 0; i < record->count; i++)
        if (isfinite(candidates[i].ms) && (!best || candidates[i].ms < MARGIN * best->ms))
            best = &candidates[i];
    return best ? best : candidates;
}

double pinion__candidates_ms(const pinion_plan *plan, const pinion__task *task)
{
    const pinion__record *record = task->record ? &plan->records[task->record - 1] : NULL;
    for (int i = 0; record && i < record->count; i++)
        if (plan->candidates[record->first + i].kernel == task->kernel)
            return plan->candidates[record->first + i].ms;
    return (double)NAN;
}

double pinion__candidates_predict(const pinion_plan *plan)
{
    double sum = 0;
    for (int t = plan->prologue; t < (int)plan->task_count; t++) {
        int times = t < plan->part_end ? plan->micro_batches : 1;
        sum += times * pinion__candidates_ms(plan, &plan->tasks[t]);
    }
    return sum;
}

int pinion_plan_get_candidate(const pinion_plan *plan, int task, int index, pinion_candidate_info *out)
{
    if (!plan)
        return PINION_EINVAL;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!out, PINION_EINVAL, "pinion_plan_get_candidate: expected somewhere to put the candidate");
    PINION_FAIL_IF(task < 0 || (size_t)task >= plan->task_count, PINION_EINVAL, "task %d: the plan has %zu", task,
                   plan->task_count);
    const pinion__task *of = &plan->tasks[task];
    int count = of->record ? plan->records[of->record - 1].count : 0;
    PINION_FAIL_IF(index < 0 || index >= count, PINION_EINVAL, "candidate %d of task %d: it has %d", index, task,
                   count);
    const pinion__candidate *candidate = &plan->candidates[plan->records[of->record - 1].first + index];
    *out = (pinion_candidate_info){.kernel = candidate->kernel->name,
                                   .ms = candidate->ms,
                                   .repetitions = candidate->repetitions,
                                   .chosen = candidate->kernel == of->kernel};
fail:
    return status;
}
