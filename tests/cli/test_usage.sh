#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Wrong usage: one sentence, exit code 2, and nothing written.
. "$(dirname "$0")/lib.sh"
tiny_network

expect 2 "pinion: 'frobnicate' is not a verb (see: pinion help)" frobnicate
expect 2 "pinion: train: --model is missing (see: pinion help train)" train
expect 2 "pinion: train: --data is missing (see: pinion help train)" train --model tiny.json
expect 2 "pinion: train: unknown option '--width' (see: pinion help train)" train --model tiny.json --data synthetic --width 4
expect 2 "pinion: eval: unknown option '--place' (see: pinion help eval)" eval --weights w.safetensors --place auto
expect 2 "pinion: bench: --model is missing (see: pinion help bench)" bench
expect 2 "pinion: eval: --weights is missing (see: pinion help eval)" eval --data synthetic
expect 2 "pinion: --batch: 0 is out of range: expected 1 to 65536" train --batch 0
expect 2 "pinion: --batch: -3 is out of range: expected 1 to 65536" train --batch -3
expect 2 "pinion: --batch: 99999999999999999999 is out of range: expected 1 to 65536" train --batch=99999999999999999999
expect 2 "pinion: --batch: 'many' is not a whole number" train --batch many
expect 2 "pinion: --batch: '64x' is not a whole number" train --batch 64x
expect 2 "pinion: --batch: a value is missing: expected N" train --batch
expect 2 "pinion: --batch: given twice" train --batch 1 --batch 2
expect 2 "pinion: --lr: nan is out of range: expected 1e-12 to 1e+06" train --lr nan
expect 2 "pinion: --lr: -1 is out of range: expected 1e-12 to 1e+06" train --lr -1
expect 2 "pinion: --optimizer: 'adam' is unknown: expected sgd|adamw" train --optimizer adam
expect 2 "pinion: --json: takes no value, got 'yes'" train --json=yes
expect 2 "pinion: --seed: '-1' is not a whole number from 0 to 2^64-1" train --seed -1
expect 2 "pinion: --augment: 'rotate' is unknown: expected crop, flip, crop,flip or none" \
    train --model tiny.json --data synthetic --augment crop,rotate
expect 2 "pinion: train: unexpected argument 'extra' (see: pinion help train)" train --model tiny.json extra
expect 2 "pinion: --out: 'weights.bin' does not end in .safetensors" train --model tiny.json --data synthetic --out weights.bin
expect 2 "pinion: --out: 'w.state.safetensors' ends in .state.safetensors, which is kept for checkpoints" \
    train --model tiny.json --data synthetic --out w.state.safetensors
expect 2 "pinion: train: --model cannot be given with --resume: the checkpoint says it" train --resume w.safetensors --model tiny.json
train="train --model tiny.json --data synthetic"
expect 2 "pinion: train: --incremental needs --groups: the network is not cut" $train --incremental
expect 2 "pinion: train: --joint needs --groups: the network is not cut" $train --joint
expect 2 "pinion: train: --stage needs --groups: the network is not cut" $train --stage 1
expect 2 "pinion: train: --connect needs --groups" $train --connect nested
expect 2 "pinion: train: --static needs --groups: it scales the network to a width of the one that is cut" $train --static 2
expect 2 "pinion: --groups: 9 is out of range: expected 1 to 8" $train --groups 9
expect 2 "pinion: --connect: 'all' is unknown: expected towers|nested" $train --groups 2 --connect all
expect 2 "pinion: train: --joint cannot be given with --incremental" $train --groups 2 --incremental --joint
expect 2 "pinion: train: --stage cannot be given with --joint" $train --groups 2 --stage 1 --joint
expect 2 "pinion: train: --static cannot be given with --stage" $train --groups 2 --stage 1 --static 1
expect 2 "pinion: train: --finetune-joint cannot be given with --joint" $train --groups 2 --joint --finetune-joint
expect 2 "pinion: train: --finetune-joint cannot be given with --static" $train --groups 2 --static 1 --finetune-joint
expect 2 "pinion: train: --distillation-weight needs --joint or --finetune-joint" $train --groups 2 --distillation-weight 0.5
expect 2 "pinion: train: --finetune-joint needs --incremental, or --weights of a network with all groups" $train --groups 2 --finetune-joint
expect 2 "pinion: train: --stage 3 is out of order: it needs --weights of a network with 2 groups" $train --groups 4 --stage 3
expect 2 "pinion: --epochs: 3 values for 2 stages" $train --groups 2 --incremental --epochs 3,2,1
expect 2 "pinion: --lr: 2 values for 1 stage" $train --lr 0.1,0.2
expect 2 "pinion: --epochs: '' is not a whole number" $train --groups 2 --incremental --epochs 3,
expect 2 "pinion: --lr: '0.1x' is not a number" $train --groups 2 --incremental --lr 0.2,0.1x
expect 2 "pinion: --lr: more than 9 values" $train --groups 2 --incremental --lr 1,1,1,1,1,1,1,1,1,1
for option in --incremental --joint --finetune-joint "--stage 2" "--groups 2" "--connect nested" "--static 1"; do
    expect 2 "pinion: train: ${option%% *} cannot be given with --resume: the checkpoint says it" train --resume w.safetensors $option
done
expect 2 "pinion: predict: an image is missing (see: pinion help predict)" predict --weights w.safetensors
expect 2 "pinion: unknown model 'resnet99'; expected alexnet-cifar, mobilenetv2-cifar, resnet18-cifar, resnet18, or a file whose name ends in .json" \
    bench --model resnet99
expect 2 "pinion: data set 'mnist:x' is unknown: expected cifar10:DIR, images:DIR or synthetic" train --model tiny.json --data mnist:x
expect 2 "" train --model tiny.json --data synthetic --freeze nothing.like.this
expect 2 "" train --model tiny.json --data synthetic --freeze '*'
expect 2 "" train --model tiny.json --data synthetic --batch 50000
[ -z "$(ls | grep -v -E '^(tiny.json|out|err)$')" ] || fail "wrong usage left files behind: $(ls)"

# Help says what the table says, for every verb; the man page holds every option; nothing comes on standard error.
expect 2 ""
grep -q '^usage: pinion VERB' out || fail "no overview without a verb"
for verb in devices train eval predict plan bench inspect version help; do
    expect 0 "" help $verb
    [ -s out ] || fail "no help for $verb"
    [ ! -s err ] || fail "help $verb writes to standard error"
done
"$pinion" help --man >man.1
for option in $("$pinion" help train | sed -n 's/^  \(--[a-z-]*\).*/\1/p'); do
    grep -q -- "^.B $(echo "$option" | sed 's/-/\\\\-/g')" man.1 || fail "the man page lacks $option"
done
if command -v man >/dev/null 2>&1; then
    man --warnings -E UTF-8 -l man.1 2>warnings >/dev/null || true
    [ ! -s warnings ] || { fail "the man page has warnings"; cat warnings; }
fi
"$pinion" help --completion >completion
if command -v bash >/dev/null 2>&1; then
    bash -n completion || fail "the completion does not parse"
    bash -c '. ./completion; COMP_WORDS=(pinion tr) COMP_CWORD=1; _pinion; [ "${COMPREPLY[0]}" = train ]' || fail "tr does not complete to train"
fi
if [ -c /dev/full ]; then
    "$pinion" help >/dev/full 2>err
    [ $? -eq 1 ] || fail "a full device was not noticed"
fi
finish
