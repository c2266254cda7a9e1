#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh: installs what is missing, builds, and trains a ResNet-18 on the embedded data set: about two minutes on two
# cores. Weights go to ./pinion-demo/.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
build=${PINION_BUILD:-build/release}
echo "building in $build ..."
sh scripts/build.sh "$build" -DCMAKE_BUILD_TYPE=Release -DPINION_TESTS=OFF -DPINION_BENCH=OFF
pinion=$build/tools/pinion/pinion
mkdir -p pinion-demo
weights=pinion-demo/resnet18-cifar.safetensors

echo
echo "The processors of this machine (pinion devices):"
$pinion devices
echo
echo "Training resnet18-cifar on the embedded data set (pinion train --model resnet18-cifar --data synthetic ...):"
$pinion train --model resnet18-cifar --data synthetic --epochs 2 --batch 32 --lr 0.03 --out "$weights" --json >pinion-demo/train.json
echo
echo "Evaluating (pinion eval --weights $weights --data synthetic):"
$pinion eval --weights "$weights" --data synthetic --json >pinion-demo/eval.json

# One value of a flat JSON line.
value() { sed -n "s/.*\"$2\":\([^,}]*\).*/\1/p" "pinion-demo/$1.json" | tail -n 1; }
echo
printf '  %-22s %s\n' \
    "top-1 accuracy" "$(value eval top1 | cut -c 1-5) % of $(value eval count) test images" \
    "training speed" "$(value train images_per_s | cut -d . -f 1) images/s, $(value train step_ms | cut -d . -f 1) ms a step" \
    "training time" "$(value train seconds | cut -d . -f 1) s" \
    "weights" "$weights" \
    "checkpoint" "pinion-demo/resnet18-cifar.state.safetensors"
