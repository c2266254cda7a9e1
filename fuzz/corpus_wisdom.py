#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/corpus/wisdom: a valid file and one of each kind of wrong one.

    python3 fuzz/corpus_wisdom.py
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent / "corpus" / "wisdom"
MACHINE = {"cpu": "Fuzz", "processors": 2, "isa": "neon", "library": "1.0.0", "kernels": "0123456789abcdef"}
KEY = "conv2d forward input=4x8x8x16 param=16x3x3x16 output=4x8x8x16 filter=3x3 cpu neon threads=2"
TIMES = {"conv2d_forward_winograd": {"ms": 0.25, "repetitions": 5}, "conv2d_forward_gemm": {"ms": 0.5, "repetitions": 2}}


def whole(**changes):
    root = {"format": "pinion-wisdom", "version": 1, "machine": MACHINE, "tasks": {KEY: {"level": "measure", "times": TIMES}}}
    root.update(changes)
    return {key: value for key, value in root.items() if value is not None}


def write(name, root):
    HERE.mkdir(parents=True, exist_ok=True)
    (HERE / name).write_bytes(root if isinstance(root, bytes) else json.dumps(root).encode())


def times(name, value):
    write(name, whole(tasks={KEY: {"level": "measure", "times": value}}))


write("valid", whole())
write("two-tasks", whole(tasks={KEY: {"level": "patient", "times": TIMES}, "a": {"level": "measure", "times": TIMES}}))
write("no-tasks", whole(tasks={}))
write("empty", b"")
write("cut", json.dumps(whole()).encode()[:-40])
write("array", [])
write("format", whole(format="wisdom"))
write("version", whole(version=2))
write("version-text", whole(version="1"))
write("machine-missing", whole(machine=None))
write("machine-array", whole(machine=[]))
write("other-cpu", whole(machine=dict(MACHINE, cpu="Other")))
write("other-processors", whole(machine=dict(MACHINE, processors=1 << 40)))
write("other-kernels", whole(machine=dict(MACHINE, kernels="")))
write("tasks-array", whole(tasks=[]))
write("task-number", whole(tasks={KEY: 1}))
write("task-unnamed", whole(tasks={"": {"level": "measure", "times": TIMES}}))
write("key-long", whole(tasks={"x" * 3000: {"level": "measure", "times": TIMES}}))
write("level", whole(tasks={KEY: {"level": "estimate", "times": TIMES}}))
write("second-wrong", whole(tasks={"a": {"level": "measure", "times": TIMES}, "b": {"level": 1, "times": TIMES}}))
times("times-empty", {})
times("kernel-unnamed", {"": {"ms": 1, "repetitions": 1}})
times("kernel-long", {"k" * 64: {"ms": 1, "repetitions": 1}})
times("ms-zero", {"k": {"ms": 0, "repetitions": 1}})
times("ms-text", {"k": {"ms": "1", "repetitions": 1}})
times("ms-tiny", {"k": {"ms": 5e-324, "repetitions": 1}})
times("ms-whole", {"k": {"ms": 3, "repetitions": 1}})
times("repetitions-zero", {"k": {"ms": 1, "repetitions": 0}})
times("repetitions-huge", {"k": {"ms": 1, "repetitions": 1 << 62}})
write("ms-huge", json.dumps(whole()).replace("0.25", "1e999").encode())
write("twice", json.dumps(whole()).replace('"version": 1', '"version": 1, "version": 1').encode())
write("not-utf8", json.dumps(whole()).encode().replace(b"forward", b"forw\xffrd"))
write("deep", b'{"tasks":' * 3000)
