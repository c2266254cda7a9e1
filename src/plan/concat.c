/* SPDX-License-Identifier: Apache-2.0
 *
 * Concats without copying. The output of a concat is one tensor of all its channels, and the layers in front of it
 * write their outputs right there, as slices of channels whose pixels stand as far apart as the whole's: the outermost
 * of concats that read each other holds all of it. An input stays where it is, and a task copies it, where it is the
 * network's input, lies in another concat already, or is read or made by a layer that sees its bytes under another
 * shape. Gradients of the inputs are slices of the concat's gradient in the same way (gradients.c).
 */
#include "plan/build.h"

#include "op/operands.h"

static bool is_concat(const pinion__builder *b, int layer)
{
    return (b->layers[layer].op->flags & PINION__OP_SIDE_BY_SIDE) != 0;
}

static bool is_view(const pinion__builder *b, int layer)
{
    return (b->layers[layer].op->flags & PINION__OP_VIEW) != 0;
}

/* A view whose elements stand in pixels as those of its input do: it may be a slice of channels too. */
static bool keeps_shape(const pinion__layer *layer)
{
    const pinion_shape *from = &layer->input_shapes[0], *to = &layer->output;
    return from->h == to->h && from->w == to->w && from->c == to->c;
}

static int channels_before(const pinion__layer *concat, int input)
{
    return input ? concat->input_shapes[0].c : 0;
}

/* Is the output of a layer, or of a view that keeps its shape, seen under another shape by a view? */
static bool is_reshaped(const pinion__builder *b, int layer)
{
    for (int i = layer + 1; i <= b->output_layer; i++) {
        const pinion__layer *reader = &b->network->layers[i];
        if (b->layers[i].planned && is_view(b, i) && reader->inputs[0] == layer &&
            (!keeps_shape(reader) || is_reshaped(b, i)))
            return true;
    }
    return false;
}

static void embed(pinion__builder *b, int concat, int input)
{
    const pinion__layer *layers = b->network->layers;
    int source = layers[concat].inputs[input];
    while (source != PINION_INPUT && is_view(b, source) && keeps_shape(&layers[source]))
        source = layers[source].inputs[0];
    if (source == PINION_INPUT || !b->layers[source].planned || is_view(b, source) || b->layers[source].within >= 0 ||
        is_reshaped(b, source))
        return;
    b->layers[source].within = concat;
    b->layers[source].channel = channels_before(&layers[concat], input);
}

void pinion__build_embed(pinion__builder *b)
{
    for (int i = b->output_layer; i >= 0 && !b->tuning.separate; i--)
        for (int input = 0; input < 2 && b->layers[i].planned && is_concat(b, i); input++)
            embed(b, i, input);
}

static pinion__tensor output_shape(const pinion__builder *b, int layer)
{
    const pinion_shape *shape = &pinion__build_layer(b, layer)->output;
    return (pinion__tensor){.role = PINION__OUTPUT,
                            .layer = layer,
                            .n = b->plan->samples,
                            .h = shape->h,
                            .w = shape->w,
                            .c = shape->c,
                            .element_bytes = 4};
}

static int output_of(const pinion__builder *b, int source)
{
    return source == PINION_INPUT ? b->input : b->layers[source].output;
}

/* The bytes of the input under the view's shape. */
static int view_output(pinion__builder *b, int index)
{
    const pinion__layer *layer = pinion__build_layer(b, index);
    const pinion__tensor *input = &b->plan->tensors[output_of(b, layer->inputs[0])];
    pinion__tensor shape = output_shape(b, index);
    shape.storage = input->storage;
    shape.offset = input->offset;
    shape.ld = keeps_shape(layer) ? input->ld : 0;
    return pinion__build_alias(b, &shape, &b->layers[index].output);
}

int pinion__build_output(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__layer_build *build = &b->layers[index];
    int outermost = index, channel = 0;
    pinion__tensor shape = output_shape(b, index);
    if (build->output >= 0)
        return PINION_OK;
    if (build->op->flags & PINION__OP_VIEW)
        return view_output(b, index);
    for (; b->layers[outermost].within >= 0; outermost = b->layers[outermost].within)
        channel += b->layers[outermost].channel;
    if (outermost == index)
        return pinion__build_tensor(b, PINION__PLACE_ARENA, 0, &shape, &build->output);
    PINION_TRY(pinion__build_output(b, outermost));
    const pinion__tensor *whole = &b->plan->tensors[b->layers[outermost].output];
    shape.storage = whole->storage;
    shape.offset = (size_t)channel * sizeof(float);
    shape.ld = whole->ld;
    PINION_TRY(pinion__build_alias(b, &shape, &build->output));
fail:
    return status;
}

int pinion__build_concat_slice(pinion__builder *b, int index, int input, int from, int *out)
{
    const pinion__layer *concat = &b->network->layers[index];
    pinion__tensor slice = b->plan->tensors[from];
    slice.offset += (size_t)channels_before(concat, input) * sizeof(float);
    slice.c = concat->input_shapes[input].c;
    return pinion__build_alias(b, &slice, out);
}

static int bring_in(pinion__builder *b, int index, int input)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    int from = output_of(b, b->network->layers[index].inputs[input]), operand[PINION__MAX_OPERANDS], slice;
    PINION_TRY(pinion__build_concat_slice(b, index, input, b->layers[index].output, &slice));
    const pinion__tensor *there = &b->plan->tensors[slice], *here = &b->plan->tensors[from];
    if (here->storage == there->storage && here->offset == there->offset)
        return PINION_OK;
    operand[PINION__ADD_BACKWARD_DATA_DY] = from;
    operand[PINION__ADD_BACKWARD_DATA_DX] = slice;
    pinion__emission copy = {
        .op = pinion__op_get(PINION__OP_add), .pass = PINION__BACKWARD_DATA, .layer = index, .param = -1};
    PINION_TRY(pinion__build_task(b, &copy, operand));
fail:
    return status;
}

int pinion__build_concat(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    for (int input = 0; input < 2; input++)
        PINION_TRY(bring_in(b, index, input));
fail:
    return status;
}

int pinion__concat_part(const pinion__builder *b, int index, int *channel)
{
    *channel = 0;
    while (index != PINION_INPUT && is_concat(b, index)) {
        const pinion__layer *concat = &b->network->layers[index];
        bool wanted[2];
        for (int i = 0; i < 2; i++)
            wanted[i] = concat->inputs[i] != PINION_INPUT && b->layers[concat->inputs[i]].needed;
        if (wanted[0] == wanted[1])
            break;
        *channel += channels_before(concat, wanted[1]);
        index = concat->inputs[wanted[1]];
    }
    return index;
}
