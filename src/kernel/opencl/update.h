/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backward_weights pass of conv2d, depthwise_conv2d or linear does with its finished gradients: it stores them,
 * adds them to what is there, or updates the weights. Either a kernel includes update.cl and does so itself, or it
 * leaves the gradients in scratch for pinion__launch_put_gradient.
 */
#ifndef PINION_KERNEL_OPENCL_UPDATE_H
#define PINION_KERNEL_OPENCL_UPDATE_H

#include "kernel/opencl/launch.h"

/* The build option of update.cl: "-DSINK=2". */
const char *pinion__sink_options(const pinion__args *args);
/* The arguments SINK_PARAMETERS of update.cl. */
void pinion__launch_sink(pinion__launch *launch, const pinion__args *args);
/* The view in which offsets of update.cl count: that of dw or, with an update, of w. */
const pinion__view *pinion__launch_sink_view(const pinion__args *args);

/* One launch: gradients that are complete and dense (n,h,w,c as that view) in scratch go where they belong. */
void pinion__launch_put_gradient(const pinion__args *args, size_t scratch_offset);

/* The constants of an update, as update.cl takes them. */
void pinion__launch_sgd_constants(pinion__launch *launch, const pinion__sgd *sgd, const pinion__step *step);
void pinion__launch_adamw_constants(pinion__launch *launch, const pinion__adamw *adamw, const pinion__step *step);

#endif
