#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Kernels chosen by time from the command line: levels, the wisdom file, what plan and bench tell of it, and resuming.
. "$(dirname "$0")/lib.sh"
tiny_network
plan="plan --model tiny.json --batch 4"

# Nothing measured: no times. Measured: a time for every task, and one line that says so.
expect 0 "" $plan --patience estimate --json
[ "$(value out predicted_ms)" = null ] || fail "an estimate predicts: $(value out predicted_ms)"
grep -q '"ms":[0-9]' out && fail "an estimate has times"
grep -q '"single":{}' out || fail "an estimate has a time on a single processor"
[ ! -s err ] || fail "an estimate says: $(cat err)"
for level in measure patient; do
    expect 0 "" $plan --patience $level --json
    grep -q '"ms":null' out && fail "$level: a task has no time"
    [ "$(value out predicted_ms)" != null ] || fail "$level: no prediction"
    [ "$(value out measured_tasks)" -gt 3 ] || fail "$level: measured tasks: $(value out measured_tasks)"
    grep -q '"candidates":\[{"kernel":"[a-z0-9_]*","ms":[0-9]' out || fail "$level: no candidates"
    grep -q '"single":{"cpu":[0-9]' out || fail "$level: no time on the single processor"
    grep -q -E '^pinion: measured [0-9]+ tasks in [0-9.]+ s$' err || fail "$level says: $(cat err)"
done
expect 0 "" $plan --candidates
grep -q -E '^conv1 +conv2d[a-z+]* +forward +cpu +[0-9.]+ +[0-9.]+ +conv2d_forward_' out || { fail "plan's table:"; cat out; }
tail -n 1 out | grep -q -E 'predicted [0-9.]+ ms$' || fail "plan's last line: $(tail -n 1 out)"

# Tasks that memory adds have times too.
expect 0 "" plan --model alexnet-cifar --batch 16 --mem-limit auto --json
[ "$(value out recomputed)" -gt 0 ] || fail "nothing is recomputed: $(tail -c 300 out)"
grep -q '"ms":null' out && fail "a recomputed task has no time"
[ "$(value out predicted_ms)" != null ] || fail "no prediction of a plan that recomputes"
expect 2 "pinion: --patience: 'hasty' is unknown: expected estimate|measure|patient" $plan --patience hasty

# The file: made with its folders, used by the next command, shared between verbs.
unset PINION_WISDOM
XDG_CACHE_HOME=$work/cache
export XDG_CACHE_HOME
expect 0 "" $plan --json
[ "$(value out measured_tasks)" -gt 3 ] || fail "nothing was measured: $(cat out)"
[ -f cache/pinion/wisdom.json ] || fail "no wisdom file"
grep -q '"format": "pinion-wisdom"' cache/pinion/wisdom.json || fail "the file: $(head -c 100 cache/pinion/wisdom.json)"
cp out first.json
expect 0 "" $plan --json
[ "$(value out measured_tasks)" -eq 0 ] || fail "measured again: $(value out measured_tasks)"
[ "$(value out predicted_ms)" = "$(value first.json predicted_ms)" ] || fail "another prediction"
[ ! -s err ] || fail "with wisdom: $(cat err)"
expect 0 "" bench --model tiny.json --batch 4 --reps 3 --json
[ ! -s err ] || fail "bench measured again: $(cat err)"
[ "$(value out predicted_ms)" = "$(value first.json predicted_ms)" ] || fail "bench predicts $(value out predicted_ms)"
[ "$(value out start_ms)" != "" ] || fail "bench does not say how long the start took"

# Wrong files: a warning, no failure.
echo '{"format": "pinion-wisdom"' >cache/pinion/wisdom.json
expect 0 "" $plan --patience estimate
[ "$(grep -c warning err)" -eq 1 ] || fail "a damaged file: $(cat err)"
grep -q 'wisdom.json: is damaged' err || fail "a damaged file: $(cat err)"
PINION_WISDOM=$work/nowhere/w.json
export PINION_WISDOM
expect 0 "" $plan
[ "$(grep -c warning err)" -eq 1 ] || fail "a missing folder: $(cat err)"
grep -q 'measured times are not kept' err || fail "a missing folder: $(cat err)"
PINION_WISDOM=off

# A training that was measured is resumed with its kernels: nothing is measured, the bits are those of one run.
train="train --model tiny.json --data synthetic --batch 50 --epochs 1 --lr 0.05"
PINION_WISDOM=$work/run.json
expect 0 "" $train --out whole.safetensors
grep -q 'pinion: measured' err || fail "train did not measure: $(cat err)"
"$pinion" $train --out part.safetensors --log part.jsonl >out 2>err &
process=$!
while [ "$(cat part.jsonl 2>/dev/null | wc -l)" -lt 5 ] && kill -0 $process 2>/dev/null; do sleep 0.01; done
kill -INT $process
wait $process
[ $? -eq 130 ] || { fail "interrupted: $(cat err)"; }
PINION_WISDOM=off
expect 0 "" train --resume part.safetensors --log part.jsonl
grep -q 'measured' err && fail "resuming measured: $(cat err)"
cmp -s whole.safetensors part.safetensors || fail "resumed training differs"
expect 2 "pinion: train: --patience cannot be given with --resume: the checkpoint says it" \
    train --resume part.safetensors --patience measure
finish
