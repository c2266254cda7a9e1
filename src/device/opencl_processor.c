/* SPDX-License-Identifier: Apache-2.0
 *
 * An OpenCL device, or some of its compute units, as a processor: one queue, in order. A body starts commands there;
 * run waits for the queue, submit asks the event of the body's last command to call back, so that nobody waits at all.
 */
#include "device/opencl.h"

#include <stdio.h>

/* One submission whose end is awaited. As many as a step has at once are made with the processor: steps allocate
 * nothing. */
enum { SUBMISSIONS = 1024 };
struct pinion__opencl_submission {
    pinion__opencl_submission *next; /* of the free ones */
    bool further;                    /* made since */
    pinion__opencl_processor *processor;
    void (*done)(void *user, int status);
    void *user;
};

bool pinion__opencl_done(pinion__opencl_processor *self, cl_int error, const char *call)
{
    if (error != CL_SUCCESS)
        pinion__processor_fail(&self->processor, PINION_EDEVICE, "%s: %s (%d)", call, pinion__opencl_error_name(error),
                               (int)error);
    return error == CL_SUCCESS;
}

void pinion__opencl_fail(pinion__opencl_processor *self, int code)
{
    char sentence[PINION__SENTENCE_MAX];
    snprintf(sentence, sizeof sentence, "%s", pinion_context_error(self->processor.ctx));
    pinion__processor_fail(&self->processor, code, "%s", sentence);
}

cl_event *pinion__opencl_event(pinion__opencl_processor *self)
{
    if (!self->submitting)
        return NULL;
    if (self->last)
        self->cl->clReleaseEvent(self->last);
    self->last = NULL;
    return &self->last;
}

static int run(pinion__processor *processor, pinion__body *body, const void *args)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(processor);
    if (atomic_load(&processor->failure))
        return atomic_load(&processor->failure);
    body(args);
    pinion__opencl_done(self, self->cl->clFinish(self->queue), "clFinish");
    return atomic_load(&processor->failure);
}

static pinion__opencl_submission *take_submission(pinion__opencl_processor *self)
{
    pthread_mutex_lock(&self->lock);
    pinion__opencl_submission *submission = self->free;
    if (submission)
        self->free = submission->next;
    pthread_mutex_unlock(&self->lock);
    if (!submission && pinion__alloc_zeroed(self->processor.ctx, 1, sizeof *submission, "OpenCL", &submission) < 0)
        pinion__processor_fail(&self->processor, PINION_ENOMEM, "out of memory for a command");
    if (submission) {
        submission->further = submission->further || !submission->processor;
        submission->processor = self;
    }
    return submission;
}

static void return_submission(pinion__opencl_submission *submission)
{
    pinion__opencl_processor *self = submission->processor;
    pthread_mutex_lock(&self->lock);
    submission->next = self->free;
    self->free = submission;
    pthread_mutex_unlock(&self->lock);
}

static void CL_CALLBACK complete(cl_event event, cl_int state, void *argument)
{
    pinion__opencl_submission *submission = argument;
    pinion__opencl_processor *self = submission->processor;
    void (*done)(void *user, int status) = submission->done;
    void *user = submission->user;
    if (state < 0)
        pinion__opencl_done(self, state, "a command");
    int status = atomic_load(&self->processor.failure);
    self->cl->clReleaseEvent(event);
    return_submission(submission);
    done(user, status);
}

/* Starts the body's commands; the event of the last is then awaited. Where it started none, a marker's is. */
static bool start(pinion__opencl_processor *self, pinion__body *body, const void *args, cl_event *event)
{
    self->submitting = true;
    self->last = NULL;
    body(args);
    self->submitting = false;
    bool well = !atomic_load(&self->processor.failure);
    if (well && !self->last)
        well = pinion__opencl_done(self, self->cl->clEnqueueMarkerWithWaitList(self->queue, 0, NULL, &self->last),
                                   "clEnqueueMarkerWithWaitList");
    *event = self->last;
    self->last = NULL;
    if (well)
        return true;
    if (*event)
        self->cl->clReleaseEvent(*event);
    /* What was started before the failure may still use the arguments. */
    self->cl->clFinish(self->queue);
    return false;
}

static void submit(pinion__processor *processor, pinion__body *body, const void *args,
                   void (*done)(void *user, int status), void *user)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(processor);
    cl_event event = NULL;
    pinion__opencl_submission *submission = atomic_load(&processor->failure) ? NULL : take_submission(self);
    if (!submission || !start(self, body, args, &event)) {
        if (submission)
            return_submission(submission);
        done(user, atomic_load(&processor->failure));
        return;
    }
    submission->done = done;
    submission->user = user;
    cl_int error = self->cl->clSetEventCallback(event, CL_COMPLETE, complete, submission);
    if (error == CL_SUCCESS) {
        if (!pinion__opencl_done(self, self->cl->clFlush(self->queue), "clFlush"))
            self->cl->clFinish(self->queue); /* so that the event comes, if it can */
        return;
    }
    self->cl->clFinish(self->queue);
    complete(event, pinion__opencl_done(self, error, "clSetEventCallback") ? CL_COMPLETE : error, submission);
}

static void destroy(pinion__processor *processor)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(processor);
    pinion_context *ctx = processor->ctx;
    if (self->queue) {
        self->cl->clFinish(self->queue);
        self->cl->clReleaseCommandQueue(self->queue);
    }
    pinion__opencl_drop_kernels(self);
    for (pinion__opencl_submission *at = self->free, *next; at; at = next) {
        next = at->next;
        if (at->further)
            pinion__release(ctx, at);
    }
    pinion__release(ctx, self->submissions);
    pthread_mutex_destroy(&self->lock);
    pinion__release(ctx, self);
}

static const pinion__processor_class opencl_class = {
    .kind = "opencl", .run = run, .submit = submit, .destroy = destroy};

static int open_device(pinion__opencl *opencl, const pinion__opencl_choice *choice, pinion__opencl_processor *self)
{
    pinion_context *ctx = opencl->ctx;
    int status = PINION_OK;
    cl_int error = CL_SUCCESS;
    self->device = opencl->devices[choice->index];
    self->index = choice->index;
    self->first = choice->first;
    self->processor.cores = self->device.compute_units;
    if (choice->cores > 0 && choice->cores < self->device.compute_units) {
        PINION_TRY(pinion__opencl_divide(opencl, choice->index, choice->first, choice->cores, &self->device.id));
        self->processor.cores = choice->cores;
    }
    PINION_TRY(pinion__opencl_domain_of(opencl, &self->device, &self->domain));
    self->queue = self->cl->clCreateCommandQueue(self->domain->context, self->device.id, 0, &error);
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EDEVICE, "processor '%s' (%s): clCreateCommandQueue: %s (%d)",
                   self->processor.name, self->device.name, pinion__opencl_error_name(error), (int)error);
fail:
    return status;
}

int pinion__opencl_open(pinion_context *ctx, const pinion__opencl_choice *choice, pinion__processor **out)
{
    int status = PINION_OK;
    pinion__opencl_processor *self = NULL;
    pinion__opencl *opencl;
    PINION_TRY(pinion__opencl_get(ctx, &opencl));
    PINION_FAIL_IF(choice->index < 0 || choice->index >= opencl->device_count, PINION_EUNSUPPORTED,
                   "there is no processor 'opencl:%d': OpenCL has %d device%s here", choice->index,
                   opencl->device_count, opencl->device_count == 1 ? "" : "s");
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *self, "a processor", &self));
    pthread_mutex_init(&self->lock, NULL);
    self->cl = &opencl->cl;
    PINION_TRY(pinion__alloc_zeroed(ctx, SUBMISSIONS, sizeof *self->submissions, "a processor", &self->submissions));
    for (int i = 0; i < SUBMISSIONS; i++) {
        self->submissions[i].processor = self;
        return_submission(&self->submissions[i]);
    }
    PINION_TRY(pinion__processor_init(ctx, &self->processor, &opencl_class, choice->name));
    self->processor.kernel_kind = PINION__PROCESSOR_OPENCL;
    PINION_TRY(open_device(opencl, choice, self));
    self->processor.alignment = self->domain->domain.alignment;
    self->processor.domain = &self->domain->domain;
    snprintf(self->processor.description, sizeof self->processor.description, "%.63s, %.24s, driver %.24s",
             self->device.name, self->device.version, self->device.driver);
    *out = &self->processor;
    return PINION_OK;
fail:
    if (self)
        destroy(&self->processor);
    return status;
}

int pinion__processor_create_opencl(pinion_context *ctx, int index, int cores, pinion__processor **out)
{
    char name[32];
    snprintf(name, sizeof name, cores > 0 ? "opencl:%d/%d" : "opencl:%d", index, cores);
    const pinion__opencl_choice choice = {.name = name, .index = index, .cores = cores};
    int status = pinion__opencl_open(ctx, &choice, out);
    if (status == PINION_OK && pinion__opencl_on_host(&pinion__opencl_processor_of(*out)->device))
        memset((*out)->core_mask, 0xff, sizeof(*out)->core_mask); /* its threads may run on any core */
    return status;
}
