/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenCL that forgives nothing, for tests: a table over the system's OpenCL in which host and device never see the same
 * bytes. Buffers lie with the driver; what is mapped is a shadow of them that takes over the device's bytes when a map
 * is complete and gives the host's back at the unmap, and is poison (0xff: not a number) at all other times. Refused
 * with CL_INVALID_OPERATION and a sentence: maps that overlap where one of them writes; kernels, copies, reads and
 * writes of bytes that are mapped for writing; a buffer changed by either side while it is mapped for reading;
 * sub-buffers at origins that are not aligned; maps of a whole buffer that has sub-buffers; unmaps of what is not
 * mapped. Drivers on shared memory, PoCL among them, let all of these pass.
 *
 *     pinion__opencl_api api;
 *     pinion__opencl_api_load(ctx, &real);
 *     checked_opencl_begin(&real, false, &api);
 *     pinion__opencl_use(ctx, &api);    and then plans, runners, … of ctx
 *     …
 *     pinion_context_destroy(ctx);
 *     assert_int_equal(checked_opencl_end(), 0);
 *
 * One at a time in a process.
 */
#ifndef TESTS_SUPPORT_CHECKED_OPENCL_H
#define TESTS_SUPPORT_CHECKED_OPENCL_H

#ifdef PINION__HAVE_OPENCL
#include "device/opencl_api.h"

/* `discrete`: devices say that they do not share the host's memory. */
void checked_opencl_begin(const pinion__opencl_api *real, bool discrete, pinion__opencl_api *out);

/* How many calls were refused so far, and why the first was: "" if none. */
int checked_opencl_errors(void);
const char *checked_opencl_sentence(void);

/* Bytes that clEnqueueReadBuffer and clEnqueueWriteBuffer were asked to copy. */
uint64_t checked_opencl_copied(void);

/* Errors, and buffers that were not released, which are printed. */
int checked_opencl_end(void);
#endif

#endif
