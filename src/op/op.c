/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of ops and the checks that their files share (op/common.h).
 */
#include "op/op.h"
#include "op/common.h"
#include <string.h>

static const pinion__op *const ops[PINION__OP_COUNT] = {
#define PINION__OP(name) [PINION__OP_##name] = &pinion__op_##name,
#include "op/ops.def"
#undef PINION__OP
};

const pinion__op *pinion__op_get(enum pinion__op_id id)
{
    return (unsigned)id < PINION__OP_COUNT ? ops[id] : NULL;
}

const pinion__op *pinion__op_find(const char *name)
{
    for (int i = 0; i < PINION__OP_COUNT; i++)
        if (!(ops[i]->flags & PINION__OP_INTERNAL) && strcmp(ops[i]->name, name) == 0)
            return ops[i];
    return NULL;
}

const char *pinion__pass_name(enum pinion__pass pass)
{
    static const char *const names[PINION__PASS_COUNT] = {"forward", "backward_data", "backward_weights", "update"};
    return (unsigned)pass < PINION__PASS_COUNT ? names[pass] : "";
}

static int check_int(pinion_context *ctx, const char *layer, const pinion__op *op, const pinion__attr_field *field,
                     int value)
{
    int status = PINION_OK;
    PINION_FAIL_IF(value < field->min || value > field->max, PINION_EINVAL,
                   "layer '%s' (%s): \"%s\" is %d; expected %.0f to %.0f", layer, op->name, field->key, value,
                   field->min, field->max);
fail:
    return status;
}

static int check_float(pinion_context *ctx, const char *layer, const pinion__op *op, const pinion__attr_field *field,
                       float value)
{
    int status = PINION_OK;
    PINION_FAIL_IF(!(value >= (float)field->min && value <= (float)field->max), PINION_EINVAL,
                   "layer '%s' (%s): \"%s\" is %g; expected %g to %g", layer, op->name, field->key, (double)value,
                   field->min, field->max);
fail:
    return status;
}

int pinion__attributes_check(pinion_context *ctx, const char *layer, const pinion__op *op, const void *attributes)
{
    int status = PINION_OK;
    for (int i = 0; i < op->field_count; i++) {
        const pinion__attr_field *field = &op->fields[i];
        int first = 0, second = 0;
        float real = 0;
        if (field->type == PINION__ATTR_FLOAT)
            memcpy(&real, (const char *)attributes + field->offset, sizeof real);
        else
            memcpy(&first, (const char *)attributes + field->offset, sizeof first);
        if (field->type == PINION__ATTR_PAIR)
            memcpy(&second, (const char *)attributes + field->offset2, sizeof second);

        if (field->type == PINION__ATTR_FLOAT)
            PINION_TRY(check_float(ctx, layer, op, field, real));
        else
            PINION_TRY(check_int(ctx, layer, op, field, first));
        if (field->type == PINION__ATTR_PAIR)
            PINION_TRY(check_int(ctx, layer, op, field, second));
    }
fail:
    return status;
}

int pinion__elements_check(pinion_context *ctx, const char *layer, const pinion__op *op, const char *what, int64_t n,
                           int64_t h, int64_t w, int64_t c)
{
    int status = PINION_OK;
    const int64_t factors[4] = {n, h, w, c};
    int64_t elements = 1;
    for (int i = 0; i < 4; i++) {
        PINION_FAIL_IF(factors[i] > INT32_MAX / elements, PINION_EINVAL,
                       "layer '%s' (%s): its %s would have more than %d elements", layer, op->name, what, INT32_MAX);
        elements *= factors[i];
    }
fail:
    return status;
}

int pinion__window_output(pinion_context *ctx, const char *layer, const pinion__op *op, const pinion__window *window,
                          pinion_shape input, int channels, pinion_shape *output)
{
    int status = PINION_OK;
    int64_t rows = (int64_t)input.h + 2 * (int64_t)window->pad_h - window->r;
    int64_t columns = (int64_t)input.w + 2 * (int64_t)window->pad_w - window->s;
    PINION_FAIL_IF(rows < 0 || columns < 0, PINION_EINVAL,
                   "layer '%s' (%s): a %s of %dx%d does not fit its input of %dx%dx%d with padding %dx%d", layer,
                   op->name, window->word, window->r, window->s, input.h, input.w, input.c, window->pad_h,
                   window->pad_w);
    rows = rows / window->stride_h + 1;
    columns = columns / window->stride_w + 1;
    PINION_TRY(pinion__elements_check(ctx, layer, op, "output", 1, rows, columns, channels));
    *output = (pinion_shape){(int)rows, (int)columns, channels};
fail:
    return status;
}

int pinion__infer_same(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                       pinion_shape *output)
{
    (void)ctx, (void)layer, (void)attributes;
    *output = inputs[0];
    return PINION_OK;
}
