#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Widths from the command line: which groups bench, plan, eval and predict run, and how far predict comes by a deadline.
. "$(dirname "$0")/lib.sh"
tiny_network
expect 0 "" train --model tiny.json --groups 4 --connect nested --data synthetic --batch 50 --steps 3 --patience estimate --out w.safetensors
expect 0 "" train --model tiny.json --data synthetic --batch 50 --steps 3 --patience estimate --out plain.safetensors

# eval: all widths, or those up to one; the last is the result.
expect 0 "" eval --weights w.safetensors --data synthetic
[ "$(grep -c -E '^width [1-4]  top1 [0-9.]+ %  loss [0-9.]+  right class. probability 0\.[0-9]+$' out)" -eq 4 ] ||
    { fail "a line for each width"; cat out; }
expect 0 "" eval --weights w.safetensors --data synthetic --json
for key in top1_per_width loss_per_width confidence_per_width; do
    grep -q "\"$key\":\[[0-9.]*,[0-9.]*,[0-9.]*,[0-9.]*\]" out || fail "eval --json lacks $key: $(cat out)"
done
all=$(sed 's/.*"top1_per_width":\[\([^]]*\).*/\1/' out)
[ "$(value out top1)" = "${all##*,}" ] || fail "top1 is not that of the last width: $(cat out)"
expect 0 "" eval --weights w.safetensors --data synthetic --width 2 --batch 7 --json
two=$(echo "$all" | cut -d, -f1,2)
grep -q "\"top1_per_width\":\[$two\]" out || fail "width 2: $(cat out), all widths: $all"
[ "$(value out top1)" = "${two##*,}" ] || fail "top1 is not that of width 2: $(cat out)"
expect 0 "" eval --weights w.safetensors --data synthetic --width 3
[ "$(grep -c '^width ' out)" -eq 1 ] && grep -q '^width 3 ' out || { fail "--width 3 shows more or less"; cat out; }
expect 2 "pinion: --width: 5 is out of range: w.safetensors has the weights of 4 groups" eval --weights w.safetensors --data synthetic --width 5
expect 2 "pinion: --width: 0 is out of range: expected 1 to 8" eval --weights w.safetensors --data synthetic --width 0
expect 2 "pinion: --width: network 'tiny' is not cut into groups" eval --weights plain.safetensors --data synthetic --width 1
expect 0 "" eval --weights plain.safetensors --data synthetic --json
grep -q '"top1_per_width":\[[0-9.]*\]' out || fail "a plain network has one width: $(cat out)"
grep -q 'loss_per_width' out && fail "a plain network has no losses by width"

# bench and plan: the first groups only.
for pass in train infer; do
    for width in 1 3; do
        expect 0 "" bench --model tiny.json --groups 3 --width $width --batch 2 --pass $pass --reps 2 --patience estimate --json
        [ "$(value out width)" = $width ] || fail "bench at width $width: $(cat out)"
    done
    expect 0 "" plan --model tiny.json --groups 3 --width 2 --batch 2 --pass $pass --patience estimate --json
    grep -q '"width":2' out && grep -q 'conv1.g2' out || fail "plan at width 2"
    grep -q 'conv1.g3' out && fail "plan at width 2 has tasks of group 3"
done
expect 0 "" bench --model tiny.json --groups 3 --connect nested --width 2 --batch 2 --pass infer --reps 2 --patience estimate
grep -q '^tiny.json, width 2 of 3 groups (nested), batch 2, infer' out || { fail "bench says no width"; cat out; }
expect 2 "" bench --model tiny.json --groups 3 --width 4 --batch 2 --reps 2
expect 2 "" plan --model tiny.json --width 1 --batch 2

# predict: wrong usage, then a picture.
expect 2 "pinion: --deadline-ms: -1 is out of range: expected 1e-06 to 1e+12" predict --weights w.safetensors --deadline-ms -1 x.png
expect 2 "pinion: --deadline-ms: nan is out of range: expected 1e-06 to 1e+12" predict --weights w.safetensors --deadline-ms nan x.png
expect 2 "pinion: --margin: 2 is out of range: expected 1e-06 to 1" predict --weights w.safetensors --margin 2 x.png
for option in "--width 1" "--deadline-ms 5" "--margin 0.5"; do
    expect 2 "pinion: ${option% *}: network 'tiny' is not cut into groups" predict --weights plain.safetensors $option x.png
done
expect 2 "" predict --weights w.safetensors --width 5 x.png
grep -q 'expected 1 to 4' err || { fail "--width beyond the network"; cat err; }
command -v python3 >/dev/null || finish
python3 - <<'PY' || fail "the picture cannot be made"
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\0" + bytes((x * 7 + y * 13 + c * 50) % 256 for x in range(32) for c in range(3)) for y in range(32))
open("x.png", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) +
                          chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PY
expect 0 "" predict --weights w.safetensors x.png
grep -q -E '^x.png: .* %  \(width 4, [0-9.]+ ms\)$' out || { fail "predict says no width"; cat out; }
expect 0 "" predict --weights w.safetensors --width 2 --json x.png x.png
[ "$(grep -o '"width":2,"stopped":"width","ms":[0-9.e-]*,"late":false' out | wc -l)" -eq 2 ] || fail "width 2: $(cat out)"
expect 0 "" predict --weights w.safetensors --deadline-ms 10000 --json x.png
grep -q '"width":4,"stopped":"width"' out || fail "a deadline far away: $(cat out)"
expect 0 "" predict --weights w.safetensors --deadline-ms 0.00001 --json x.png
grep -q '"width":1,"stopped":"deadline","ms":[0-9.e-]*,"late":true' out || fail "a deadline that nobody keeps: $(cat out)"
expect 0 "" predict --weights w.safetensors --margin 0.000001 --json x.png
grep -q '"width":1,"stopped":"margin"' out || fail "a margin that group 1 has: $(cat out)"
expect 0 "" predict --weights w.safetensors --margin 1 --json x.png
grep -q '"width":4,"stopped":"width"' out || fail "a margin that no group has: $(cat out)"
expect 0 "" predict --weights plain.safetensors --json x.png
grep -q '"width"' out && fail "a plain network has no width"
finish
