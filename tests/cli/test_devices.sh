#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pinion devices, and lists of processors: what is there, what is not, and why.
. "$(dirname "$0")/lib.sh"
tiny_network

expect 0 "" devices
head -n 1 out | grep -q '^processor  kind    cores  isa       memory       shares cores with  description$' || fail "the table's head: $(cat out)"
sed -n 2p out | grep -q '^cpu        cpu  *[0-9]*  [a-z0-9]* *host ' || fail "the CPU's line: $(cat out)"
grep -q '^opencl:0 ' out && opencl=yes || opencl=no

expect 0 "" devices --json
grep -q '^{"processors":\[{"name":"cpu","kind":"cpu",.*"memory":"host","copies":false,"shares_cores_with":\[.*\]}.*\]}$' out ||
    fail "the JSON: $(cat out)"
if [ "$opencl" = yes ]; then
    grep -q '"name":"opencl:0","kind":"opencl","description":".*, OpenCL [0-9.]*, driver .*","isa":"","cores":[0-9]*,"memory":"opencl0"' out ||
        fail "the JSON of the OpenCL device: $(cat out)"
fi

# Without an OpenCL library the CPU goes on, and one line says why.
PINION_OPENCL_LIBRARY=libnot-there.so
export PINION_OPENCL_LIBRARY
expect 0 "" devices
[ "$(wc -l <out)" -ge 2 ] && [ "$(grep -c opencl out)" -eq 0 ] || fail "without OpenCL: $(cat out)"
if [ "$opencl" = yes ]; then
    grep -q '^pinion: OpenCL: the library libnot-there.so could not be loaded' err && [ "$(wc -l <err)" -eq 1 ] ||
        fail "without OpenCL: $(cat err)"
fi
expect 1 "" bench --model tiny.json --batch 2 --pass infer --processors cpu,opencl:0
[ "$(wc -l <err)" -eq 1 ] || fail "one sentence: $(cat err)"
unset PINION_OPENCL_LIBRARY

bench="bench --model tiny.json --batch 2 --pass infer --reps 1"
expect 2 "pinion: processors 'gpu': 'gpu' is none; expected cpu, cpu:CLUSTER or opencl:DEVICE, each with /CORES or without, and commas between" \
    $bench --processors gpu
expect 2 "pinion: processors 'cpu,': '' is none; expected cpu, cpu:CLUSTER or opencl:DEVICE, each with /CORES or without, and commas between" \
    $bench --processors cpu,
expect 0 "" $bench --processors cpu/1
if [ "$opencl" = yes ]; then
    expect 2 "pinion: processor 'opencl:0' is named twice, but not divided: expected /CORES on each" \
        $bench --processors opencl:0,opencl:0/1
    expect 0 "" $bench --processors cpu/1,opencl:0/1
fi
finish
