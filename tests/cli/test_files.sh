#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad input: a clear sentence, exit code 3, nothing lost. Output that cannot be written is found before training begins.
. "$(dirname "$0")/lib.sh"
tiny_network
train="train --model tiny.json --batch 4 --steps 2"

# CIFAR-10 files: 12 records of a class each.
record() { # LABEL
    printf "\\$(printf %03o "$1")"
    head -c 3072 /dev/zero
}
mkdir cifar
for label in 0 1 2 3 4 5 6 7 8 9 0 1; do record $label; done >cifar/data_batch_1.bin
cp cifar/data_batch_1.bin cifar/test_batch.bin
expect 0 "" $train --data cifar10:cifar --out ok.safetensors
head -c 5000 cifar/test_batch.bin >short && cp -r cifar short_cifar && cp short short_cifar/data_batch_1.bin
expect 3 "pinion: short_cifar/data_batch_1.bin: 5000 bytes are not a whole number of records of 3073 bytes: record 1 ends after 1927 bytes" \
    $train --data cifar10:short_cifar
cp -r cifar bad_label && record 10 >>bad_label/data_batch_1.bin
expect 3 "pinion: bad_label/data_batch_1.bin: record 12 has label 10: expected 0 to 9" $train --data cifar10:bad_label
mkdir empty
expect 3 "" $train --data images:empty
expect 3 "" $train --data cifar10:empty
expect 3 "" $train --data cifar10:nowhere
mkdir -p pictures/a pictures/b && echo "this is not a picture" >pictures/a/1.png && cp pictures/a/1.png pictures/b/2.jpg
expect 3 "" $train --data images:pictures
grep -q 'pictures/a/1.png' err || fail "the corrupt image is not named"
expect 2 "" train --model tiny.json --data cifar10:cifar --batch 13

# Weights files.
expect 3 "" eval --weights nowhere.safetensors --data synthetic
head -c 100 ok.safetensors >cut.safetensors
expect 3 "" eval --weights cut.safetensors --data synthetic
cp ok.safetensors flipped.safetensors
printf '\001' | dd of=flipped.safetensors bs=1 seek=$(($(wc -c <ok.safetensors) - 3)) conv=notrunc 2>/dev/null
expect 3 "" eval --weights flipped.safetensors --data synthetic
grep -q 'checksum' err || { fail "a changed byte is not called a wrong checksum"; cat err; }
expect 3 "" eval --weights tiny.json --data synthetic
expect 3 "" predict --weights ok.safetensors tiny.json

# Network descriptions.
echo '{"name": "x"' >broken.json
expect 3 "" bench --model broken.json
expect 3 "" bench --model nowhere.json
sed 's/"input": "bn1"/"input": "fc"/' tiny.json >cycle.json
expect 3 "" bench --model cycle.json
grep -q 'cycle' err || { fail "the cycle is not named"; cat err; }

# Output.
expect 1 "" $train --data synthetic --out nowhere/w.safetensors
grep -q 'nowhere' err || fail "the missing folder is not named"
if [ "$(id -u)" -ne 0 ]; then
    mkdir readonly && chmod a-w readonly
    expect 1 "" $train --data synthetic --out readonly/w.safetensors
fi
expect 1 "" $train --data synthetic --log nowhere/log.jsonl --out w.safetensors

# A disk that is full while saving (a limit on file sizes stands in): exit code 1, the last checkpoint stays as it was.
cp ok.safetensors full.safetensors
cp ok.state.safetensors full.state.safetensors
(
    trap '' XFSZ
    ulimit -f 2
    exec "$pinion" $train --data synthetic --out full.safetensors
) >out 2>err
code=$?
[ $code -eq 1 ] || fail "a full disk: exit code $code"
grep -q 'cannot be written' err || { fail "a full disk is not named"; cat err; }
cmp -s ok.state.safetensors full.state.safetensors || fail "the last checkpoint was damaged"
[ -z "$(ls | grep -E 'safetensors\.')" ] || fail "temporary files are left: $(ls)"

# A loss that is not finite: said with step and layer; the files stay.
rm -f nan.*
expect 1 "" train --model tiny.json --data synthetic --batch 50 --epochs 1 --lr 1000000 --schedule constant --clip-norm 1e30 --optimizer sgd --out nan.safetensors
grep -q -E 'step [0-9]+.*not finite.*layer' err || { fail "a loss that is not finite: $(cat err)"; }

# Out of memory: exit code 4 and how much was needed. (A sanitized program cannot live under such a limit at all.)
if (ulimit -v 4000000; "$pinion" version) >/dev/null 2>&1; then
    (
        ulimit -v 4000000
        exec "$pinion" bench --model resnet18 --batch 4096 --threads 1
    ) >out 2>err
    code=$?
    [ $code -eq 4 ] || { fail "out of memory: exit code $code"; cat err; }
    grep -q 'needs [0-9.]* MiB' err || { fail "how much memory was needed is not said"; cat err; }
fi
finish
