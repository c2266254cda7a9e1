#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --mem-limit: sizes, what the command says of recomputation and micro-batches, refusals that name a limit that works.
. "$(dirname "$0")/lib.sh"
tiny_network
for size in 0 0K -5 12Q 5KB 1.5M 99999999999999999999 99999999999G "" K; do
    expect 2 "" plan --model tiny.json --batch 8 --mem-limit="$size"
done
expect 2 "pinion: --mem-limit: '12Q' is not a size: expected bytes, or a number with K, M or G, or auto or none" \
    plan --model tiny.json --mem-limit 12Q
expect 2 "pinion: eval: unknown option '--mem-limit' (see: pinion help eval)" eval --mem-limit 1M
plan="plan --model tiny.json --batch 32 --patience estimate"
for size in none 1G 1048576K 1073741824; do
    expect 0 "" $plan --json --mem-limit $size
    [ "$(value out recomputed)" = 0 ] || fail "--mem-limit $size recomputes"
    [ "$(value out micro_batches)" = 1 ] || fail "--mem-limit $size cuts the batch"
done
total=$(value out total_bytes)
expect 0 "" $plan --json --mem-limit "$total"
[ "$(value out total_bytes)" = "$total" ] || fail "the plan changes under a limit that it keeps"
expect 0 "" $plan --json --mem-limit $((total - 1))
grep -q '"pass":"recompute"' out || fail "no task recomputes: $(value out micro_batches) micro-batches"
[ "$(value out total_bytes)" -lt "$total" ] || fail "the limit is not kept"
expect 0 "" $plan --mem-limit $((total - 1))
grep -q ' recompute .*_forward' out || fail "the table shows no recomputation"
grep -q ' recompute an activation; 1 micro-batch$' out || fail "the last line says nothing of it: $(tail -n 1 out)"
expect 4 "" $plan --mem-limit 1K
smallest=$(sed -n 's/.*the smallest limit that works is \([0-9]*\) bytes.*/\1/p' err)
expect 0 "" $plan --json --mem-limit "$smallest"
[ "$(value out total_bytes)" = "$smallest" ] || fail "the smallest limit is not what its plan takes"
expect 4 "" $plan --mem-limit $((smallest - 1))
expect 4 "" bench --model tiny.json --batch 32 --patience estimate --mem-limit $((smallest - 1))
expect 4 "" bench --model tiny.json --batch 32 --patience estimate --pass infer --mem-limit 2K
expect 0 "" bench --model tiny.json --batch 32 --patience estimate --reps 2 --json --mem-limit "$smallest"
[ "$(value out micro_batches)" -gt 1 ] || fail "bench cuts no batch"
expect 0 "" plan --model resnet18-cifar --batch 32 --patience estimate --json --mem-limit auto
[ "$(value out recomputed)" -gt 0 ] || fail "auto recomputes nothing"
[ "$(value out micro_batches)" = 1 ] || fail "auto cuts the batch"

train="train --data synthetic --patience estimate --steps 3 --json"
expect 0 "" $train --model tiny.json --batch 32 --out a.safetensors --mem-limit "$smallest"
parts=$(value out micro_batches)
[ "$parts" -gt 1 ] || fail "train cuts no batch"
grep -q "the batch of 32 is cut into $parts micro-batches of $((32 / parts)); batch norm's statistics are those of a micro-batch" err ||
    fail "train says nothing of it: $(cat err)"
[ "$(value out total_bytes)" = "$smallest" ] || fail "train takes another plan than plan shows"
expect 4 "" $train --model tiny.json --batch 32 --out b.safetensors --mem-limit 1K
expect 0 "" train --resume a.safetensors --json
[ "$(value out micro_batches)" = "$parts" ] || fail "a resumed training cuts the batch in another way"
finish
