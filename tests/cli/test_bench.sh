#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench, plan, devices, inspect, version: the keys that scripts rely on.
. "$(dirname "$0")/lib.sh"
tiny_network
for pass in train infer; do
    expect 0 "" bench --model tiny.json --batch 4 --pass $pass --reps 3 --json
    [ "$(wc -l <out)" -eq 1 ] || fail "bench --json is not one line"
    for key in '"step_ms":{"min":[0-9.e-]*,"median":[0-9.e-]*,"max":[0-9.e-]*}' '"gflops":' '"arena_bytes":[1-9]' \
        '"peak_bytes":[1-9]' '"predicted_ms":' '"copied_bytes":0' '"threads":[1-9]' '"isa":"[a-z0-9]*"'; do
        grep -q "$key" out || fail "bench --json lacks $key: $(cat out)"
    done
done
expect 0 "" bench --model tiny.json --batch 4 --reps 3 --threads 1
grep -q '^step ' out || fail "bench prints no step"

# Average power by the sensors of a made-up machine: with none, with one that may not be read, with four.
mkdir -p none/sys odd/sys/class/hwmon/hwmon0 four/sys/bus/i2c/drivers/INA231
printf 'ina226\n' >odd/sys/class/hwmon/hwmon0/name
printf 'what?\n' >odd/sys/class/hwmon/hwmon0/power1_input
for sensor in 40:1.5 41:0.25 44:0.3 45:0.2; do
    mkdir "four/sys/bus/i2c/drivers/INA231/3-00${sensor%:*}"
    echo "${sensor#*:}" >"four/sys/bus/i2c/drivers/INA231/3-00${sensor%:*}/sensor_W"
done
power() {
    expect 0 "" bench --model tiny.json --batch 4 --reps 3
    [ "$(grep '^power ' out)" = "power     $1" ] || fail "in $PINION_ROOT: $(grep '^power ' out), expected $1"
    expect 0 "" bench --model tiny.json --batch 4 --reps 3 --json
    [ "$(value out power_w)" = "$2" ] || fail "in $PINION_ROOT: power_w is $(value out power_w), expected $2"
}
export PINION_ROOT
PINION_ROOT=none power 'unavailable (no sensor found)' null
PINION_ROOT=odd power 'unavailable (no number in odd/sys/class/hwmon/hwmon0/power1_input)' null
PINION_ROOT=four power '2.25 W on average (A15, memory, GPU, A7)' 2.25
unset PINION_ROOT
expect 0 "" plan --model alexnet-cifar --batch 8 --pass train --json
for pass in forward backward_data backward_weights update; do
    grep -q "\"pass\":\"$pass\"" out || fail "plan --json has no $pass"
done
expect 0 "" plan --model alexnet-cifar --batch 8 --pass infer
grep -q backward out && fail "an inference plan has backward tasks"
grep -q 'kernel' out || fail "plan prints no table"
grep -E ' ref($| )' out && fail "a task runs a reference kernel"
expect 0 "" devices --json
grep -q '"name":"cpu"' out || fail "devices --json lacks the cpu"
expect 0 "" devices
grep -q '^cpu ' out || fail "devices lists no cpu"
expect 0 "" inspect alexnet-cifar
grep -q '2293706 parameters' out || fail "alexnet-cifar's parameters: $(tail -n 1 out)"
expect 0 "" version
grep -q -E '^pinion [0-9]+\.[0-9]+\.[0-9]+$' out || fail "version: $(cat out)"
for isa in baseline avx2 avx512 neon; do
    PINION_ISA=$isa "$pinion" devices >out 2>err
    code=$?
    [ $code -eq 0 ] || [ $code -eq 2 ] || fail "PINION_ISA=$isa: exit code $code"
done
finish
