#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Training dynamic networks from the command line: stages, one stage from a file, joint training, resuming after kill -9.
. "$(dirname "$0")/lib.sh"
cat >grown.json <<'END'
{"name": "grown", "input": [32, 32, 3], "layers": [
  {"name": "conv1", "op": "conv2d", "input": "input", "channels": 12, "filter": 3, "stride": 2, "padding": 1, "bias": false},
  {"name": "bn1", "op": "batchnorm", "input": "conv1"},
  {"name": "relu1", "op": "relu", "input": "bn1"},
  {"name": "pool1", "op": "maxpool", "input": "relu1", "window": 2},
  {"name": "conv2", "op": "conv2d", "input": "pool1", "channels": 24, "filter": 3, "stride": 2, "padding": 1, "bias": false},
  {"name": "bn2", "op": "batchnorm", "input": "conv2"},
  {"name": "relu2", "op": "relu", "input": "bn2"},
  {"name": "flatten", "op": "flatten", "input": "relu2"},
  {"name": "fc", "op": "linear", "input": "flatten", "channels": 10}]}
END
train="train --model grown.json --data synthetic --batch 50 --patience estimate --threads 1"

command -v python3 >/dev/null || exit 77
# The tensors of group $2 of file $1, in their order: name and bytes.
group() {
    python3 - "$1" "$2" <<'END'
import hashlib, json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
for name in sorted(header):
    if ".g%s." % sys.argv[2] in name and not name.startswith("pinion."):
        begin, end = header[name]["data_offsets"]
        print(name, hashlib.sha256(data[8 + size + begin:8 + size + end]).hexdigest())
END
}

# The list behind a key of the last line of a file.
list() {
    tail -n 1 "$1" | sed -n "s/.*\"$2\":\[\([0-9.,]*\)\],\"stages\".*/\1/p"
}

# Group after group: lines say stage and width, accuracy rises with the width, the log counts on.
expect 0 "" $train --groups 3 --incremental --epochs 3,2 --lr 0.02,0.05 --out a.safetensors --log a.jsonl --json
grep -q '^stage 1/3: group 1 is trained$' err || fail "no line for stage 1"
grep -q '^stage 2/3: group 2 is trained at width 2; group 1 stays as it is, its logits are computed once$' err || { fail "stage 2"; cat err; }
grep -q '^stage 3/3: group 3 is trained at width 3; groups 1 to 2 stay as they are, their logits are computed once$' err || fail "stage 3"
grep -qE '^stage 3/3 width 3 epoch 2/2 loss [0-9.]+ top1 [0-9.]+ widths [0-9.]+ [0-9.]+ [0-9.]+ time [0-9:]+$' err || { fail "epoch lines"; cat err; }
[ "$(grep -c '^stage 1/3 width 1 epoch' err)" -eq 3 ] || fail "the list of epochs is not followed"
list out top1_per_width | tr , '\n' >widths
[ "$(wc -l <widths)" -eq 3 ] && sort -g -c widths || fail "accuracy does not rise with the width: $(cat out)"
[ "$(sort -g widths | uniq | wc -l)" -eq 3 ] || fail "groups add nothing: $(cat widths)"
steps=$(grep -c '"step":' a.jsonl)
[ "$(grep '"step":' a.jsonl | tail -n 1 | sed 's/{"step":\([0-9]*\),"stage":3,.*/\1/')" = "$steps" ] || fail "the log does not count on"
expect 0 "" inspect a.safetensors --json

# Text output has a line a stage.
expect 0 "" $train --groups 2 --connect nested --incremental --epochs 1 --out n.safetensors
grep -qE '^stage 2   group 2: loss [0-9.]+, [0-9.]+ ms a step, [0-9.]+ s, top1 by width [0-9.]+ [0-9.]+$' out || { fail "no line of stage 2"; cat out; }
grep -q '^stage 2/2: group 2 is trained at width 2; group 1 stays as it is$' err || fail "nested stages cache nothing"
grep -q '^width 1 ' out || fail "no accuracy of width 1"

# One group behind a file, also on other data; groups of the file stay as they are.
expect 0 "" $train --groups 3 --stage 1 --epochs 1 --out g1.safetensors
expect 0 "" $train --weights g1.safetensors --stage 2 --epochs 1 --out g2.safetensors
mkdir cifar
for part in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
    for class in 0 1 2 3 4 5 6 7 8 9; do
        printf "\\$(printf %03o $class)"
        yes "$class$part" | head -c 3072
    done >cifar/$part.bin
done
expect 0 "" train --model grown.json --data cifar10:cifar --batch 10 --lr 0.05 --patience estimate --weights g2.safetensors --stage 3 --epochs 2 --out g3.safetensors
[ "$(group g1.safetensors 1 | wc -l)" -gt 9 ] || fail "no tensors of group 1"
for file in g2 g3 g2.state g3.state; do
    [ "$(group $file.safetensors 1)" = "$(group g1.safetensors 1)" ] || fail "$file: group 1 changed"
done
[ "$(group g3.safetensors 2)" = "$(group g2.safetensors 2)" ] || fail "group 2 changed"
[ -z "$(group g2.safetensors 3)" ] || fail "there is a group 3 after stage 2"

# --incremental trains what a file does not have, and is stage after stage.
expect 0 "" $train --weights g1.safetensors --incremental --epochs 1 --out more.safetensors
expect 0 "" $train --weights g2.safetensors --stage 3 --epochs 1 --out last.safetensors
cmp -s more.safetensors last.safetensors || fail "stages in one run and in several differ"

# Joint training changes all groups and says so.
expect 0 "" $train --weights g3.safetensors --finetune-joint --epochs 1 --out f.safetensors
grep -q '^stage 1/1: all 3 groups are trained jointly, which changes the weights of each$' err || { fail "not said"; cat err; }
for j in 1 2 3; do
    [ "$(group f.safetensors $j)" != "$(group g3.safetensors $j)" ] || fail "joint training left group $j alone"
done
expect 0 "" $train --groups 2 --incremental --finetune-joint --epochs 1 --out f2.safetensors
grep -q '^stage 3/3: all 2 groups are trained jointly' err || fail "no joint stage behind the groups"
expect 0 "" $train --groups 2 --joint --epochs 1 --out j.safetensors --json
grep -q '"top1_per_width":\[[0-9.]*,[0-9.]*\]' out || fail "no accuracy per width"

# A static network of a width's size is an ordinary one.
expect 0 "" $train --groups 3 --static 1 --epochs 1 --out s.safetensors --json
grep -q top1_per_width out && fail "a static network has widths"
expect 0 "" eval --weights s.safetensors --data synthetic --json

# Killed in stage 2 and resumed: the bytes of the uninterrupted training.
rm -f k.*
"$pinion" $train --groups 3 --incremental --epochs 3,2 --lr 0.02,0.05 --save-every 5 --out k.safetensors --log k.jsonl >out 2>err &
process=$!
while [ "$(cat k.jsonl 2>/dev/null | grep -c '"stage":2')" -lt 20 ] && kill -0 $process 2>/dev/null; do sleep 0.01; done
kill -9 $process 2>/dev/null
wait $process
[ $? -eq 137 ] || fail "the training ended before it was killed"
expect 0 "" train --resume k.safetensors --log k.jsonl --threads 1 --save-every 1000000 --json
cmp -s a.safetensors k.safetensors || fail "the resumed training differs"
[ "$(grep -c '"step":' k.jsonl)" -eq "$steps" ] || fail "the resumed log has $(grep -c '"step":' k.jsonl) steps of $steps"
expect 2 "pinion: --epochs is '3,4,4', but the checkpoint was made with '3,2,2'" train --resume k.safetensors --epochs 3,4
expect 2 "pinion: --epochs: 4 values for 3 stages" train --resume k.safetensors --epochs 1,1,1,1

# Out of order, and what does not fit: one sentence, before any work.
ls | grep -v after >before
expect 2 "pinion: --stage 3 is out of order: g1.safetensors has 1 of 3 groups; expected 2" $train --weights g1.safetensors --stage 3
expect 2 "pinion: --stage 1 is out of order: g1.safetensors has 1 of 3 groups; expected 0" $train --weights g1.safetensors --stage 1
expect 2 "pinion: --stage: there is no stage 4 of a network of 3 groups" $train --weights g3.safetensors --stage 4
expect 2 "pinion: g3.safetensors has all 3 groups: nothing is left for --incremental" $train --weights g3.safetensors --incremental
expect 2 "pinion: --finetune-joint: g2.safetensors has 2 of 3 groups; expected all" $train --weights g2.safetensors --finetune-joint
expect 2 "pinion: g1.safetensors has a network of 3 groups; --groups is 4" $train --weights g1.safetensors --groups 4 --stage 2
expect 2 "pinion: g1.safetensors has groups connected as towers; --connect is nested" $train --weights g1.safetensors --connect nested --stage 2
expect 2 "pinion: s.safetensors has a network that is not cut into groups: --groups is missing" $train --weights s.safetensors --stage 1
ls | grep -v after >after
cmp -s before after || fail "a refused training left files: $(diff before after)"
finish
