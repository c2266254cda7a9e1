/* SPDX-License-Identifier: Apache-2.0
 *
 * One layer of a network description: {"name": …, "op": …, "input": … or "inputs": […], attributes}.
 */
#include "net/description.h"
#include "net/text.h"
#include <string.h>

static const char *kind(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",    [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer",  [JSON_REAL] = "a number",  [JSON_TRUE] = "true or false",
        [JSON_FALSE] = "true or false", [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

static int read_name(const pinion__description *d, size_t index, pinion__entry *entry)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    const char *name = json_string_value(json_object_get(entry->json, "name"));
    PINION_FAIL_IF(!name, PINION_EFORMAT, "%s: layer number %zu has no \"name\"", d->origin, index + 1);
    PINION_FAIL_IF(!pinion__name_valid(name, false), PINION_EFORMAT,
                   "%s: layer %s: a name has 1 to %d letters, digits and _ . - / :", d->origin,
                   pinion__quote(name).text, PINION__MAX_NAME);
    entry->name = name;
    const char *op = json_string_value(json_object_get(entry->json, "op"));
    PINION_FAIL_IF(!op, PINION_EFORMAT, "%s: layer '%s' has no \"op\"", d->origin, name);
    entry->op = pinion__op_find(op);
    PINION_FAIL_IF(!entry->op, PINION_EFORMAT, "%s: layer '%s': unknown op %s", d->origin, name,
                   pinion__quote(op).text);
fail:
    return status;
}

static int read_inputs(const pinion__description *d, pinion__entry *entry)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    const json_t *one = json_object_get(entry->json, "input"), *many = json_object_get(entry->json, "inputs");
    PINION_FAIL_IF(!one == !many, PINION_EFORMAT, "%s: layer '%s' (%s) has %s; expected one of them", d->origin,
                   entry->name, entry->op->name,
                   one ? "both \"input\" and \"inputs\"" : "neither \"input\" nor \"inputs\"");
    PINION_FAIL_IF(many && !json_is_array(many), PINION_EFORMAT,
                   "%s: layer '%s' (%s): \"inputs\" is %s; expected an array of names", d->origin, entry->name,
                   entry->op->name, kind(many));
    int count = one ? 1 : json_array_size(many) > 100 ? 100 : (int)json_array_size(many);
    PINION_FAIL_IF(count != entry->op->inputs, PINION_EFORMAT, "%s: layer '%s' (%s) has %s%d input%s; expected %d",
                   d->origin, entry->name, entry->op->name, count == 100 ? "at least " : "", count,
                   count == 1 ? "" : "s", entry->op->inputs);
    for (int i = 0; i < count; i++) {
        const json_t *input = one ? one : json_array_get(many, (size_t)i);
        PINION_FAIL_IF(!json_is_string(input), PINION_EFORMAT,
                       "%s: layer '%s' (%s): its input is %s; expected a layer's name", d->origin, entry->name,
                       entry->op->name, kind(input));
        entry->input_names[i] = json_string_value(input);
    }
fail:
    return status;
}

static int read_int(const pinion__description *d, const pinion__entry *entry, const pinion__attr_field *field,
                    const json_t *value, int *out)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    PINION_FAIL_IF(!json_is_integer(value), PINION_EFORMAT, "%s: layer '%s' (%s): \"%s\" is %s; expected %s", d->origin,
                   entry->name, entry->op->name, field->key, kind(value),
                   field->type == PINION__ATTR_PAIR ? "an integer or two in an array" : "an integer");
    json_int_t number = json_integer_value(value);
    PINION_FAIL_IF((double)number < field->min || (double)number > field->max, PINION_EFORMAT,
                   "%s: layer '%s' (%s): \"%s\" is %lld; expected %.0f to %.0f", d->origin, entry->name,
                   entry->op->name, field->key, (long long)number, field->min, field->max);
    *out = (int)number;
fail:
    return status;
}

static int read_pair(const pinion__description *d, const pinion__entry *entry, const pinion__attr_field *field,
                     const json_t *value, int out[2])
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    bool two = json_is_array(value);
    PINION_FAIL_IF(two && json_array_size(value) != 2, PINION_EFORMAT,
                   "%s: layer '%s' (%s): \"%s\" is an array of %zu; expected rows and columns", d->origin, entry->name,
                   entry->op->name, field->key, json_array_size(value));
    PINION_TRY(read_int(d, entry, field, two ? json_array_get(value, 0) : value, &out[0]));
    PINION_TRY(read_int(d, entry, field, two ? json_array_get(value, 1) : value, &out[1]));
fail:
    return status;
}

static int read_float(const pinion__description *d, const pinion__entry *entry, const pinion__attr_field *field,
                      const json_t *value, float *out)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    PINION_FAIL_IF(!json_is_number(value), PINION_EFORMAT, "%s: layer '%s' (%s): \"%s\" is %s; expected a number",
                   d->origin, entry->name, entry->op->name, field->key, kind(value));
    double number = json_number_value(value);
    PINION_FAIL_IF(number < field->min || number > field->max, PINION_EFORMAT,
                   "%s: layer '%s' (%s): \"%s\" is %g; expected %g to %g", d->origin, entry->name, entry->op->name,
                   field->key, number, field->min, field->max);
    *out = (float)number;
fail:
    return status;
}

static int read_field(const pinion__description *d, pinion__entry *entry, const pinion__attr_field *field)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    char *attributes = (char *)&entry->attributes;
    const json_t *value = json_object_get(entry->json, field->key);
    int pair[2] = {(int)field->fallback, (int)field->fallback};
    float real = (float)field->fallback;
    PINION_FAIL_IF(!value && field->required, PINION_EFORMAT, "%s: layer '%s' (%s) has no \"%s\"", d->origin,
                   entry->name, entry->op->name, field->key);
    switch (field->type) {
    case PINION__ATTR_INT:
        if (value)
            PINION_TRY(read_int(d, entry, field, value, pair));
        break;
    case PINION__ATTR_PAIR:
        if (value)
            PINION_TRY(read_pair(d, entry, field, value, pair));
        memcpy(attributes + field->offset2, &pair[1], sizeof pair[1]);
        break;
    case PINION__ATTR_BOOL:
        PINION_FAIL_IF(value && !json_is_boolean(value), PINION_EFORMAT,
                       "%s: layer '%s' (%s): \"%s\" is %s; expected true or false", d->origin, entry->name,
                       entry->op->name, field->key, kind(value));
        if (value)
            pair[0] = json_is_true(value);
        break;
    case PINION__ATTR_FLOAT:
        if (value)
            PINION_TRY(read_float(d, entry, field, value, &real));
        memcpy(attributes + field->offset, &real, sizeof real);
        return PINION_OK;
    }
    memcpy(attributes + field->offset, &pair[0], sizeof pair[0]);
fail:
    return status;
}

static bool known_key(const pinion__op *op, const char *key)
{
    for (int i = 0; i < op->field_count; i++)
        if (strcmp(key, op->fields[i].key) == 0)
            return true;
    return strcmp(key, "name") == 0 || strcmp(key, "op") == 0 || strcmp(key, "input") == 0 ||
           strcmp(key, "inputs") == 0;
}

static int check_keys(const pinion__description *d, const pinion__entry *entry)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    pinion__text expected = {.ctx = ctx};
    const char *key;
    json_t *value;
    json_object_foreach(entry->json, key, value)
    {
        if (known_key(entry->op, key))
            continue;
        PINION_TRY(pinion__text_add(&expected, "name, op, %s", entry->op->inputs == 1 ? "input" : "inputs"));
        for (int i = 0; i < entry->op->field_count; i++)
            PINION_TRY(pinion__text_add(&expected, ", %s", entry->op->fields[i].key));
        PINION_FAIL_IF(true, PINION_EFORMAT, "%s: layer '%s' (%s): unknown key %s; expected %s", d->origin, entry->name,
                       entry->op->name, pinion__quote(key).text, expected.bytes);
    }
fail:
    pinion__release(ctx, expected.bytes);
    return status;
}

int pinion__entry_read(const pinion__description *d, size_t index, pinion__entry *entry)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    PINION_FAIL_IF(!json_is_object(entry->json), PINION_EFORMAT, "%s: layer number %zu is %s; expected an object",
                   d->origin, index + 1, kind(entry->json));
    PINION_TRY(read_name(d, index, entry));
    PINION_TRY(read_inputs(d, entry));
    PINION_TRY(check_keys(d, entry));
    for (int i = 0; i < entry->op->field_count; i++)
        PINION_TRY(read_field(d, entry, &entry->op->fields[i]));
fail:
    return status;
}
