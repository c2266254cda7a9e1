/* SPDX-License-Identifier: Apache-2.0
 *
 * All of Pinion's public headers.
 */
#ifndef PINION_PINION_H
#define PINION_PINION_H

#include <pinion/context.h>
#include <pinion/data.h>
#include <pinion/device.h>
#include <pinion/error.h>
#include <pinion/measure.h>
#include <pinion/network.h>
#include <pinion/plan.h>
#include <pinion/power.h>
#include <pinion/shape.h>
#include <pinion/train.h>
#include <pinion/weights.h>

#endif
