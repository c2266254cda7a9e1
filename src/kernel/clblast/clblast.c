/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of CLBlast's matrix product (clblast.h). Matrices are row-major, offsets and leading dimensions are floats.
 */
#include "kernel/clblast/clblast.h"
#include "device/opencl.h"
#include "kernel/opencl/conv2d.h"

#include <clblast_c.h>
#include <string.h>

/* Is the processor's table that of the library which CLBlast is linked with? */
static bool same_library(const pinion__opencl_api *cl)
{
    bool same = true;
#define COMPARE(function) same = same && cl->function == (function);
    PINION__OPENCL_FUNCTIONS(COMPARE)
#undef COMPARE
    return same;
}

static bool on_opencl(const pinion__processor *processor)
{
    return processor && processor->kernel_kind == PINION__PROCESSOR_OPENCL &&
           strcmp(processor->class_->kind, "opencl") == 0;
}

bool pinion__clblast_can(const pinion__args *args, const pinion__clblast_product *product)
{
    pinion__processor *processor = args->processor;
    return (!on_opencl(processor) || same_library(pinion__opencl_processor_of(processor)->cl)) &&
           pinion__opencl_view_indexable(&args->operand[product->a]) &&
           pinion__opencl_view_indexable(&args->operand[product->b]) &&
           pinion__opencl_view_indexable(&args->operand[product->into]);
}

static CLBlastTranspose turned(bool is)
{
    return is ? CLBlastTransposeYes : CLBlastTransposeNo;
}

static size_t in_blocks(size_t count)
{
    enum { BLOCK = 128 }; /* CLBlast's largest tile */
    return (count + BLOCK - 1) / BLOCK * BLOCK;
}

size_t pinion__clblast_copies(const pinion__clblast_product *product)
{
    const size_t rows = in_blocks(product->rows), columns = in_blocks(product->columns);
    const size_t terms = in_blocks(product->terms);
    return (rows * terms + terms * columns + rows * columns) * sizeof(float);
}

/* Where a matrix stands: a buffer, and floats into it. */
typedef struct place {
    cl_mem buffer;
    size_t offset;
} place;

static place place_of(const pinion__span *span, size_t further_bytes)
{
    return (place){span->object, (span->offset + further_bytes) / sizeof(float)};
}

/* One call of CLBlast, and before it the question how much it wants for copies. */
typedef struct call {
    place a, b, into;
    size_t a_ld, b_ld, into_ld;
} call;

static call call_of(const pinion__args *args, const pinion__clblast_product *product)
{
    return (call){
        .a = place_of(&args->memory[product->a], 0),
        .b = place_of(&args->memory[product->b], 0),
        .into = product->scratched ? place_of(&args->scratch_memory, pinion__clblast_copies(product))
                                   : place_of(&args->memory[product->into], 0),
        .a_ld = (size_t)args->operand[product->a].ld,
        .b_ld = (size_t)args->operand[product->b].ld,
        .into_ld = product->scratched ? product->columns : (size_t)args->operand[product->into].ld,
    };
}

/* The scratch, if CLBlast can use it. */
static cl_mem copies_of(const pinion__args *args, const pinion__clblast_product *product, const call *of)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(args->processor);
    size_t bytes = 0;
    const CLBlastStatusCode status =
        CLBlastSGemmTempBufferSize(CLBlastLayoutRowMajor, turned(product->a_turned), turned(product->b_turned),
                                   product->rows, product->columns, product->terms, of->a.offset, of->a_ld,
                                   of->b.offset, of->b_ld, of->into.offset, of->into_ld, &self->queue, &bytes);
    const bool fits = status == CLBlastSuccess && bytes > 0 && bytes <= pinion__clblast_copies(product);
    return fits && args->scratch_memory.offset == 0 ? args->scratch_memory.object : NULL;
}

void pinion__clblast_multiply(const pinion__args *args, const pinion__clblast_product *product)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(args->processor);
    if (atomic_load(&args->processor->failure))
        return;
    const call of = call_of(args, product);
    const CLBlastStatusCode status = CLBlastSgemmWithTempBuffer(
        CLBlastLayoutRowMajor, turned(product->a_turned), turned(product->b_turned), product->rows, product->columns,
        product->terms, 1.0F, of.a.buffer, of.a.offset, of.a_ld, of.b.buffer, of.b.offset, of.b_ld,
        product->add ? 1.0F : 0.0F, of.into.buffer, of.into.offset, of.into_ld, &self->queue,
        pinion__opencl_event(self), copies_of(args, product, &of));
    if (status != CLBlastSuccess)
        pinion__processor_fail(args->processor, PINION_EDEVICE, "CLBlastSgemm: %s (%d)",
                               pinion__opencl_error_name(status), (int)status);
}
