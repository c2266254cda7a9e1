/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of <pinion/power.h>, with the time given by the caller: tests give times of their own.
 */
#ifndef PINION_PLATFORM_POWER_H
#define PINION_PLATFORM_POWER_H

#include <pinion/power.h>
#include <stdint.h>

enum { PINION__POWER_PERIOD_NS = 100000000 };

void pinion__power_begin_at(pinion_power *power, int64_t now_ns);
void pinion__power_sample_at(pinion_power *power, int64_t now_ns);
pinion_power_reading pinion__power_end_at(pinion_power *power, int64_t now_ns);

#endif
