#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A training whose OpenCL device fails on the way: a line on standard error and one in the log say so, it goes on without
# the device and ends in the weights of one that never had it; what it saved can be resumed. Bench tells what failed.
# The library in front of the system's fails one call, given by number, of one function. Skipped where that cannot be
# built, or there is no device.
. "$(dirname "$0")/lib.sh"
tiny_network
cat >failing.c <<'END'
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
static atomic_int calls;
static int fails(const char *name)
{
    const char *function = getenv("FAIL_CALL_OF"), *number = getenv("FAIL_CALL");
    return function && number && strcmp(function, name) == 0 && atomic_fetch_add(&calls, 1) >= atoi(number);
}
#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *first,
                              const size_t *global, const size_t *local, cl_uint count, const cl_event *list,
                              cl_event *event)
{
    if (fails("clEnqueueNDRangeKernel"))
        return CL_OUT_OF_RESOURCES;
    return NEXT(clEnqueueNDRangeKernel)(queue, kernel, dimensions, first, global, local, count, list, event);
}
cl_int clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem memory, void *address, cl_uint count,
                               const cl_event *list, cl_event *event)
{
    if (fails("clEnqueueUnmapMemObject"))
        return CL_OUT_OF_RESOURCES;
    return NEXT(clEnqueueUnmapMemObject)(queue, memory, address, count, list, event);
}
cl_int clFlush(cl_command_queue queue)
{
    return fails("clFlush") ? CL_OUT_OF_RESOURCES : NEXT(clFlush)(queue);
}
cl_int clBuildProgram(cl_program program, cl_uint count, const cl_device_id *ids, const char *options,
                      void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    return fails("clBuildProgram") ? CL_OUT_OF_RESOURCES
                                   : NEXT(clBuildProgram)(program, count, ids, options, notify, user);
}
END
${CC:-cc} -D_GNU_SOURCE -shared -fPIC -o failing.so failing.c -Wl,--no-as-needed -l:libOpenCL.so.1 -ldl 2>cc.log || {
    echo "skipped: a library in front of OpenCL cannot be built: $(head -n 1 cc.log)"
    exit 77
}
"$pinion" plan --model tiny.json --processors cpu/1,opencl:0/1 --patience estimate >out 2>err || {
    echo "skipped: $(cat err)"
    exit 77
}
PINION_OPENCL_LIBRARY=$work/failing.so
export PINION_OPENCL_LIBRARY
train="train --model tiny.json --data synthetic --batch 50 --steps 6 --seed 3"
both="--processors cpu/1,opencl:0/1 --place opencl:0/1 --patience estimate"

# The library itself changes nothing.
expect 0 "" $train $both --out undisturbed.safetensors
grep -q "goes on without" err && fail "nothing fails, yet: $(cat err)"

# Kinds of call, early and later in the first epoch: everything is then repeated from the start.
expect 0 "" $train --processors cpu/1 --patience estimate --out host.safetensors
for function in clEnqueueNDRangeKernel clEnqueueUnmapMemObject clFlush; do
    for number in 60 90; do
        FAIL_CALL_OF=$function FAIL_CALL=$number
        export FAIL_CALL_OF FAIL_CALL
        expect 0 "" $train $both --out lost.safetensors --log lost.jsonl
        unset FAIL_CALL_OF FAIL_CALL
        grep -q -E "^pinion: processor 'opencl:0/1': (OpenCL memory of [0-9]+ bytes: )?$function: CL_OUT_OF_RESOURCES \(-5\); training goes on without it from step 0, [0-9]+ steps are repeated$" err ||
            fail "$function $number: $(cat err)"
        grep -q '"plan":"changed".*"failed":"opencl:0/1".*"from":0' lost.jsonl || fail "the log of $function $number"
        [ "$(grep -c '"step":1[,}]' lost.jsonl)" = 1 ] || fail "the log of $function $number repeats steps"
        cmp host.safetensors lost.safetensors || fail "$function $number: other weights than without the device"
        rm -f lost.jsonl
    done
done

# A device that cannot build its kernels is left out from the start, with a warning.
PINION_OPENCL_CACHE=off FAIL_CALL_OF=clBuildProgram FAIL_CALL=0
export PINION_OPENCL_CACHE FAIL_CALL_OF FAIL_CALL
expect 0 "" $train --processors cpu/1,opencl:0/1 --patience measure --out built.safetensors
grep -q "opencl:0/1" err || fail "nothing is said of programs that cannot be built: $(cat err)"
unset PINION_OPENCL_CACHE FAIL_CALL_OF FAIL_CALL

# What was saved behind the failure is the checkpoint of a training without the device.
FAIL_CALL_OF=clEnqueueNDRangeKernel FAIL_CALL=40 "$pinion" $train $both --save-every 2 --out half.safetensors >out 2>err ||
    fail "a training that fails later: $(cat err)"
grep -q "from step [24]," err || grep -q "from step 0," err || fail "where it goes on: $(cat err)"
expect 0 "" train --resume half.safetensors

# Other commands stop with the reason.
FAIL_CALL_OF=clFlush FAIL_CALL=3 "$pinion" bench --model tiny.json --batch 8 --pass infer $both \
    --reps 20 >out 2>err
code=$?
[ $code -eq 1 ] || fail "bench on a device that fails exits with $code: $(cat err)"
grep -q "processor 'opencl:0/1': clFlush: CL_OUT_OF_RESOURCES (-5)" err || fail "bench: $(cat err)"
finish
