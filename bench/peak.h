/* SPDX-License-Identifier: Apache-2.0
 *
 * The peak of fused multiply-adds of this machine: chains in registers on all workers at once, measured beside what it
 * is compared with because machines are noisy.
 */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "base/cpu.h"
#include "base/workers.h"

/* GFLOP/s of all threads of the pool together; the best of some attempts, about two milliseconds in all. */
double bench_peak_gflops(enum pinion__isa isa, pinion__workers *workers);

#endif
