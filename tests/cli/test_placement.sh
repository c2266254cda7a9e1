#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Placement from the command line: two processors of the host, so that it needs no device.
. "$(dirname "$0")/lib.sh"
tiny_network
two="--model tiny.json --batch 4 --processors cpu/1,cpu/1"
[ "$(nproc)" -ge 2 ] || exit 77
PINION_WISDOM=$work/w.json

# Measured once, then known; the plan tells of every way.
expect 0 "" profile $two --json
[ "$(value out measured_tasks)" -gt 3 ] || fail "profile measured: $(cat out)"
grep -q -E '"co-run bytes cpu [a-z0-9]+ threads=1 beside cpu ' w.json || fail "the two are not measured side by side"
expect 0 "" profile $two --json
[ "$(value out measured_tasks)" -eq 0 ] || fail "profile measured again: $(cat out)"
expect 0 "" plan $two --timeline
for way in greedy layerwise serial concurrent 'lower bound'; do
    grep -q -E "^$way +[0-9.]+ ms" out || { fail "no line of $way"; cat out; }
done
grep -q -E '^cpu/1 +\|[A-Z.>]+\|$' out || { fail "no timeline"; cat out; }
expect 0 "" plan $two --json
for key in predicted_ms bound_ms greedy_ms layerwise_ms serial_ms concurrent_ms; do
    grep -q "\"$key\":[0-9]" out || fail "no $key"
done

# A plan file is used as it is; of another batch, or with other processors, it is refused.
expect 0 "" plan $two --place serial --out plan.json
grep -q '"format": "pinion-plan"' plan.json || fail "the plan file: $(head -c 200 plan.json)"
expect 0 "" bench $two --place plan.json --reps 2 --json
[ "$(value out copied_bytes)" = 0 ] || fail "copied $(value out copied_bytes) bytes"
expect 3 "pinion: plan.json: is a plan of network 'tiny', train, batch 4; expected 'tiny', train, batch 8" \
    plan --model tiny.json --batch 8 --processors cpu/1,cpu/1 --place plan.json
sed 's/"processor": "cpu\/1.*"/"processor": "gpu"/' plan.json >other.json
"$pinion" plan $two --place other.json >out 2>err && fail "a plan with another processor is taken"
grep -q "processor 'gpu', which is not among those of this plan" err || fail "another processor: $(cat err)"
echo '{' >broken.json
expect 3 "" plan $two --place broken.json
expect 3 "pinion: place 'nowhere': is neither auto, serial, concurrent, unsliced, greedy, layerwise, nor a processor of \
the plan, nor a file that can be read" plan $two --place nowhere
# Only `concurrent` and `auto` may cut the batch.
expect 0 "" plan $two --place unsliced --json
grep -q '"slice":"' out && fail "unsliced: a task does a part of the batch"
grep -q '"uncut_ms":[0-9]' out || fail "unsliced: no uncut_ms"
expect 2 "" plan --model tiny.json --processors nonsense

# Masked kernels are not chosen; where none is left one sentence says so.
expect 0 "" plan --model resnet18-cifar --batch 4 --processors cpu --json
grep -q '"kernel":"conv2d_forward_winograd' out || fail "no Winograd kernel in the first place"
PINION_MASK='opencl:conv2d_*,cpu:conv2d_forward_winograd*' "$pinion" plan --model resnet18-cifar --batch 4 \
    --processors cpu --json >out 2>err || fail "masked: $(cat err)"
grep -q '"kernel":"conv2d_forward_winograd' out && fail "a masked kernel is chosen"
grep -q '"kernel":"conv2d_backward_data_winograd' out || fail "the mask of one pass takes another's kernels"
PINION_MASK='cpu:conv2d_*' "$pinion" plan --model resnet18-cifar --batch 4 --processors cpu >out 2>err &&
    fail "a plan without kernels"
grep -q -E "^pinion: layer 'conv1': .*conv2d forward" err || fail "no kernel left: $(cat err)"

# Training: every way runs, and a checkpoint says its processors.
train="train --model tiny.json --data synthetic --batch 50 --steps 3 --processors cpu/1,cpu/1"
for way in serial concurrent unsliced greedy cpu/1; do
    expect 0 "" $train --place $way --out $(echo $way | tr -d /).safetensors
done
expect 2 "pinion: train: --processors cannot be given with --resume: the checkpoint says it" \
    train --resume serial.safetensors --processors cpu
finish
