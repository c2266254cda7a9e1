#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Dynamic networks before any training: what is asked for wrongly, what inspect says of models and files, damage to a group.
. "$(dirname "$0")/lib.sh"

expect 2 "pinion: plan: --static: --groups is missing" plan --model alexnet-cifar --static 1
expect 2 "pinion: bench: --connect: --groups is missing" bench --model alexnet-cifar --connect nested
expect 2 "pinion: profile: --static: there is no width 5: --groups is 4" profile --model alexnet-cifar --groups 4 --static 5
expect 2 "pinion: --groups: 9 is out of range: expected 1 to 8" inspect alexnet-cifar --groups 9
expect 2 "pinion: --connect: 'crossed' is unknown: expected towers|nested" inspect alexnet-cifar --groups 2 --connect crossed
expect 2 "pinion: inspect: --groups is for models and network descriptions; a weights file says it itself" \
    inspect w.safetensors --groups 2
cat >narrow.json <<'END'
{"name": "narrow", "input": [32, 32, 3], "layers": [
    {"name": "a", "op": "conv2d", "input": "input", "channels": 3, "filter": 3},
    {"name": "b", "op": "global_avgpool", "input": "a"},
    {"name": "c", "op": "linear", "input": "b", "channels": 10}]}
END
expect 2 "pinion: network 'narrow' cannot be cut into 4 groups: layer 'a' (conv2d) has only 3 channels" \
    inspect narrow.json --groups 4

expect 0 "" inspect alexnet-cifar --groups 4
grep -q '^4  *607178  *43.10  *2437928  *unknown$' out || { fail "width 4 of four towers"; cat out; }
expect 0 "" inspect alexnet-cifar --groups 4 --static 4
grep -q 'width' out && fail "a scaled network has no widths"
expect 0 "" inspect alexnet-cifar --groups 4 --connect nested --json
grep -q '{"width":1,"parameters":151802,"macs":10774528,"bytes":609512,"top1":null}' out ||
    { fail "width 1 in JSON"; tail -n 1 out | cut -c1-200; }
grep -q '"width":4,"parameters":1450442,' out || fail "width 4 in JSON"

command -v python3 >/dev/null || finish
# A file of two groups of three, as the library writes it (docs/weights.md).
python3 - <<'END' || fail "the file cannot be made"
import hashlib, json, struct
model = open("narrow.json").read()
shapes = [("a.g%d.weight", [1, 3, 3, 3]), ("a.g%d.bias", [1]), ("c.g%d.weight", [10, 1]), ("c.g1.bias", [10])]
data, head, sums = b"", {}, {}
for group in (1, 2):
    begin = len(data)
    for name, shape in shapes[:4 if group == 1 else 3]:
        count = 1
        for extent in shape:
            count *= extent
        name = name % group if "%d" in name else name
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack("<%df" % count, *[0.01 * i for i in range(count)])
    sums["pinion.sha256.g%d" % group] = hashlib.sha256(data[begin:]).hexdigest()
head["__metadata__"] = {"pinion.model": model, "pinion.input": "32x32x3", "pinion.class_count": "10",
                        "pinion.groups": "3", "pinion.connect": "towers", "pinion.width": "2",
                        "pinion.top1_per_width": "[61.5, 70.25]", **sums}
text = json.dumps(head).encode()
whole = struct.pack("<Q", len(text)) + text + data
open("w.safetensors", "wb").write(whole)
open("damaged.safetensors", "wb").write(whole[:-1] + bytes([whole[-1] ^ 1]))
first = 8 + len(text)
open("lost.safetensors", "wb").write(whole[:first] + bytes([whole[first] ^ 1]) + whole[first + 1:])
END
expect 0 "" inspect w.safetensors
grep -q '^groups   3 (towers), 2 in the file$' out || { fail "the groups of a file"; cat out; }
grep -q '^1 .* 61.50 %$' out || { fail "the accuracy of width 1"; cat out; }
grep -q '^2 .* 70.25 %$' out || fail "the accuracy of width 2"
grep -q '^3 .* unknown$' out || fail "the accuracy of width 3"
expect 0 "" inspect w.safetensors --json
grep -q '"groups":3,"connect":"towers","width":2,"whole_width":2,' out || fail "the groups of a file in JSON"
grep -q '"width":1,"parameters":48,.*"top1":61.5}.*"width":2,"parameters":86,.*"top1":70.25}.*"width":3,"parameters":124,.*"top1":null}' out ||
    { fail "the widths of a file in JSON"; cat out; }
expect 0 "" inspect damaged.safetensors
grep -q '^groups   3 (towers), 2 in the file, group 2 is damaged: widths up to 1 can be used$' out ||
    { fail "the damage to group 2 is not shown"; cat out; }
grep -q 'pinion: warning: damaged.safetensors: group 2 of 2 is damaged: its checksum is ' err ||
    { fail "the damage to group 2 is not said"; cat err; }
expect 0 "" eval --weights damaged.safetensors --data synthetic --json
grep -q 'pinion: warning: damaged.safetensors: group 2 of 2 is damaged' err || { fail "eval does not say it"; cat err; }
tail -n 1 out | grep -q '"top1_per_width":\[[0-9.]*\]' || { fail "eval of the width that is whole"; cat out; }
expect 2 "" eval --weights damaged.safetensors --data synthetic --width 2
expect 3 "" inspect lost.safetensors
grep -q 'pinion: lost.safetensors: its data is damaged: the checksum of group 1 is ' err ||
    { fail "the damage to group 1 is not said"; cat err; }
finish
