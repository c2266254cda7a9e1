/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of candidates (plan/candidates.h). A key names everything that decides how long a task takes and nothing
 * else: attributes that are real numbers (rates, epsilons) do not.
 */
#include "plan/candidates.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A later row must be this much faster than an earlier one to be taken before it. */
static const double MARGIN = 0.97;

static const char *const role_names[] = {
    [PINION__INPUT] = "input",       [PINION__OUTPUT] = "output",     [PINION__D_INPUT] = "d_input",
    [PINION__D_OUTPUT] = "d_output", [PINION__PARAM] = "param",       [PINION__D_PARAM] = "d_param",
    [PINION__STATE] = "state",       [PINION__SAVED] = "saved",       [PINION__LABELS] = "labels",
    [PINION__MOMENT] = "moment",     [PINION__SCALE] = "scale",       [PINION__SQUARES] = "squares",
    [PINION__ADDEND] = "addend",     [PINION__D_ADDEND] = "d_addend", [PINION__STATS] = "stats",
    [PINION__TARGETS] = "targets",
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

/* Where the name tells which cores a processor has ("cpu:1"), so does this. */
int pinion__candidates_add_processor(const pinion__processor *processor, pinion__text *text)
{
    if (processor->domain)
        return pinion__text_add(text, "%s '%s' cores=%d", processor->class_->kind, processor->description,
                                processor->cores);
    const char *cluster = strchr(processor->name, ':');
    int length = cluster ? (int)strcspn(cluster, "/") : 0;
    return pinion__text_add(text, "%s%.*s %s threads=%d", processor->class_->kind, length, cluster ? cluster : "",
                            pinion__isa_name(processor->isa), pinion__workers_threads(processor->workers));
}

int pinion__candidates_key(const pinion_plan *plan, const pinion__task *task, bool prepares, char **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, "%s %s", task->op->name, pinion__pass_name(task->pass)));
    PINION_TRY(add_operands(plan, task, &text));
    PINION_TRY(add_attributes(task, &text));
    PINION_TRY(pinion__text_add(&text, "%s%s%s", activation_names[task->activation],
                                task->accumulate ? " accumulate" : "", prepares ? " prepared" : ""));
    if (task->update.op != PINION__OP_COUNT)
        PINION_TRY(pinion__text_add(&text, " update=%s", pinion__op_get(task->update.op)->name));
    PINION_TRY(pinion__text_add(&text, " "));
    PINION_TRY(pinion__candidates_add_processor(plan->processors[task->processor], &text));
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

/* Appends the applicable kernels of a task on its processor; *prepares: one of them prepares weights. */
static int append_kernels(pinion_plan *plan, const pinion__task *task, bool *prepares)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__processor *processor = plan->processors[task->processor];
    pinion__args args = pinion__plan_task_args(plan, task);
    const pinion__kernel *kernel;
    *prepares = false;
    for (int cursor = 0; (kernel = pinion__kernel_next(task->op->id, task->pass, processor->kernel_kind, processor->isa,
                                                       &args, &cursor));) {
        PINION_TRY(pinion__grow(ctx, &plan->candidates, &plan->candidate_capacity, plan->candidate_count + 1,
                                sizeof *plan->candidates, "kernels of a plan"));
        plan->candidates[plan->candidate_count++] = (pinion__candidate){.kernel = kernel, .ms = (double)NAN};
        *prepares = *prepares || pinion__candidates_prepared_bytes(plan, task, kernel, &args) > 0;
    }
fail:
    return status;
}

/* The number of the first processor's record, from 1, of the work that has that key on `processor`; 0: there is none.
 */
static int find_record(const pinion_plan *plan, const char *key, int processor, bool pinned)
{
    const size_t processors = (size_t)plan->processor_count;
    for (size_t i = 0; i + processors <= plan->record_count; i += processors) {
        const pinion__record *record = &plan->records[i + (size_t)processor];
        if (record->pinned == pinned && (record->count > 0 || !pinned) && strcmp(record->key, key) == 0)
            return (int)i + 1;
    }
    return 0;
}

/* "processor 'cpu' has", "none of the 2 processors has". */
static int fail_unsupported(const pinion_plan *plan, const pinion__task *task)
{
    char who[64];
    if (plan->processor_count == 1)
        snprintf(who, sizeof who, "processor '%s' has", plan->processors[0]->name);
    else
        snprintf(who, sizeof who, "none of the %d processors has", plan->processor_count);
    return pinion__fail(plan->ctx, __FILE__, __LINE__, PINION_EUNSUPPORTED, "layer '%s': %s no kernel for %s %s",
                        pinion__task_layer_name(plan, task), who, task->op->name, pinion__pass_name(task->pass));
}

/* Makes the record of a task's work on one processor. */
static int gather_on(pinion_plan *plan, int index, int processor)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__task task = plan->tasks[index];
    size_t first = plan->candidate_count;
    bool prepares;
    char *key = NULL;
    task.processor = processor;
    bool pinned = task.slice > 0, may = !pinned || plan->tasks[index].processor == processor;
    prepares = false;
    if (may)
        PINION_TRY(append_kernels(plan, &task, &prepares));
    PINION_TRY(pinion__candidates_key(plan, &task, prepares, &key));
    bool asked = pinned ? may : processor == 0;
    int known = asked ? find_record(plan, key, processor, pinned) : 0;
    if (known) {
        plan->candidate_count = first; /* the same kernels apply to the same work */
        plan->tasks[index].record = known;
    } else {
        PINION_TRY(pinion__grow(ctx, &plan->records, &plan->record_capacity, plan->record_count + 1,
                                sizeof *plan->records, "kernels of a plan"));
        plan->records[plan->record_count++] = (pinion__record){.key = key,
                                                               .processor = processor,
                                                               .pinned = pinned,
                                                               .first = (int)first,
                                                               .count = (int)(plan->candidate_count - first),
                                                               .task = index};
        key = NULL;
    }
fail:
    pinion__release(ctx, key);
    return status;
}

static int gather(pinion_plan *plan, int index)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__task *task = &plan->tasks[index];
    size_t before = plan->record_count, candidates = plan->candidate_count;
    task->record = 0;
    for (int p = 0; p < plan->processor_count && !task->record; p++)
        PINION_TRY(gather_on(plan, index, p));
    if (task->record) {
        while (plan->record_count > before) /* of processors in front of a slice's own */
            pinion__release(ctx, plan->records[--plan->record_count].key);
        return PINION_OK;
    }
    task->record = (int)before + 1;
    if (plan->candidate_count == candidates)
        PINION_TRY(fail_unsupported(plan, task));
fail:
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
        for (int p = 0; plan->tasks[t].record && !plan->tasks[t].recomputed && p < plan->processor_count; p++)
            plan->records[plan->tasks[t].record - 1 + p].task = t;
    for (int t = plan->prologue; t < (int)plan->task_count; t++) {
        if (plan->tasks[t].record || plan->tasks[t].hand_over.present)
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

const pinion__record *pinion__candidates_record(const pinion_plan *plan, const pinion__task *task, int processor)
{
    return task->record ? &plan->records[task->record - 1 + processor] : NULL;
}

double pinion__candidates_ms(const pinion_plan *plan, const pinion__task *task)
{
    const pinion__record *record = pinion__candidates_record(plan, task, task->processor);
    for (int i = 0; record && i < record->count; i++)
        if (plan->candidates[record->first + i].kernel == task->kernel)
            return plan->candidates[record->first + i].ms;
    return (double)NAN;
}

double pinion__candidates_best_ms(const pinion_plan *plan, const pinion__task *task, int processor)
{
    const pinion__record *record = pinion__candidates_record(plan, task, processor);
    if (!record)
        return (double)NAN;
    return record->count > 0 ? pinion__candidates_best(plan, record)->ms : (double)INFINITY;
}
