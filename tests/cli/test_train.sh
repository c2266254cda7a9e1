#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Training from the command line: output, files, log, signals and resuming, on a tiny network.
. "$(dirname "$0")/lib.sh"
tiny_network
# Runs are compared byte by byte, so kernels are chosen by the fixed order, not by time.
train="train --model tiny.json --data synthetic --batch 50 --lr 0.05 --patience estimate"

# Output: one JSON line at the end of standard output, epoch lines on standard error, a log line a step.
expect 0 "" $train --epochs 2 --out a.safetensors --log a.jsonl --json
[ "$(wc -l <out)" -eq 1 ] || fail "standard output is not one line"
for key in top1 loss images_per_s step_ms; do
    [ -n "$(value out $key)" ] || fail "train --json lacks $key"
done
[ "$(grep -c -E '^epoch [12]/2 loss [0-9.]+ top1 [0-9.]+ time [0-9:]+$' err)" -eq 2 ] || { fail "epoch lines"; cat err; }
steps=$(grep -c '"step":' a.jsonl)
[ "$steps" -eq "$(value out steps)" ] || fail "the log has $steps steps"
[ "$(grep -c '"epochs":2' a.jsonl)" -eq 2 ] || fail "the log has no epoch lines"
[ -f a.safetensors ] && [ -f a.state.safetensors ] || fail "weights or checkpoint missing"
[ -z "$(ls | grep -E 'safetensors\.')" ] || fail "temporary files are left"

# Default name; text output; the same seed gives the same file, another seed another.
expect 0 "" $train --epochs 2
[ -f pinion-tiny.safetensors ] || fail "the default output name"
grep -q '^weights *pinion-tiny.safetensors$' out || fail "the result does not say where the weights are"
cmp -s a.safetensors pinion-tiny.safetensors || fail "the same seed gave other weights"
expect 0 "" $train --epochs 2 --threads 1 --out one.safetensors
cmp -s a.safetensors one.safetensors || fail "the number of threads changed the weights"
expect 0 "" $train --epochs 2 --seed 2 --out b.safetensors
cmp -s a.safetensors b.safetensors && fail "another seed gave the same weights"

# Evaluation agrees with what training reported; so does the JSON form.
expect 0 "" train --model tiny.json --data synthetic --batch 50 --epochs 2 --lr 0.05 --out c.safetensors --json
cp out train.json
expect 0 "" eval --weights c.safetensors --data synthetic --json
[ "$(value out top1)" = "$(value train.json top1)" ] || fail "eval: $(cat out), train: $(cat train.json)"
expect 0 "" eval --weights c.safetensors --data synthetic --batch 7
grep -q '^top1 ' out || fail "eval prints no accuracy"
expect 0 "" inspect c.safetensors
grep -q 'conv1.weight' out || fail "inspect shows no tensor"

# A signal: the step is finished, the state saved, exit code 130; resuming gives the uninterrupted run, bit for bit.
for signal in INT TERM; do
    rm -f s.*
    "$pinion" $train --epochs 2 --out s.safetensors --log s.jsonl >out 2>err &
    process=$!
    while [ "$(cat s.jsonl 2>/dev/null | wc -l)" -lt 5 ] && kill -0 $process 2>/dev/null; do sleep 0.01; done
    kill -$signal $process
    wait $process
    code=$?
    [ $code -eq 130 ] || { fail "SIG$signal: exit code $code"; cat err; }
    grep -q 'continue with: pinion train --resume s.safetensors' err || { fail "SIG$signal: no word on resuming"; cat err; }
    expect 0 "" train --resume s.safetensors --log s.jsonl
    cmp -s a.safetensors s.safetensors || fail "SIG$signal: resumed training differs"
    [ "$(grep -c '"step":' s.jsonl)" -eq "$steps" ] || fail "SIG$signal: the resumed log has $(grep -c '"step":' s.jsonl) steps"
    [ "$(grep '"step":' s.jsonl | cut -d , -f 1 | sort | uniq -d | wc -l)" -eq 0 ] || fail "SIG$signal: the log has steps twice"
done
expect 2 "" train --resume s.safetensors --lr 0.5
grep -q -e '--lr is .0.5., but the checkpoint was made with .0.05.' err || { fail "a changed option is not named"; cat err; }

# Held-back samples, frozen layers, a replaced classifier.
expect 0 "" $train --epochs 1 --val-split 100 --out v.safetensors --json
[ -f v.best.safetensors ] && [ -n "$(value out best_validation_top1)" ] || fail "no best weights with --val-split"
seq 0 2 198 >indices
expect 0 "" $train --epochs 1 --val-split indices --out v.safetensors
echo 'x' >broken
expect 3 "pinion: broken: line 1 is not the index of a sample" $train --val-split broken --out v.safetensors
expect 0 "" train --model tiny.json --data synthetic --epochs 1 --steps 4 --weights a.safetensors --freeze conv1,bn1 \
    --patience estimate --out f.safetensors

# Pictures of two classes: the last layer of weights for ten is replaced only where --classes says so.
mkdir -p pictures/left pictures/right
for picture in 1 2 3 4; do
    base64 -d >pictures/left/$picture.png <<'END'
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
END
    cp pictures/left/$picture.png pictures/right/
done
pictures="train --model tiny.json --data images:pictures --batch 4 --steps 2 --patience estimate --out p.safetensors"
expect 3 "" $pictures --weights a.safetensors
grep -q 'fc.weight' err || { fail "the layer that does not fit is not named"; cat err; }
expect 0 "" $pictures --weights a.safetensors --classes 2
expect 0 "" predict --weights p.safetensors pictures/left/1.png pictures/right/2.png
[ "$(grep -c -E '^pictures/(left/1|right/2).png: (left|right) [0-9.]+ %, (left|right) [0-9.]+ %$' out)" -eq 2 ] ||
    { fail "predict:"; cat out; }
expect 0 "" predict --weights p.safetensors --json pictures/left/1.png
grep -q '"probability"' out || fail "predict --json: $(cat out)"
finish
