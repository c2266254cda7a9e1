#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the hostile seeds of fuzz/corpus/checkpoint, each one change away from the real checkpoint `sgd`. That, `adamw`
and `weights` were written by `pinion train` on the synthetic data: two steps of a network of 58 parameters, `sgd` with
three samples held back by --val-split FILE, `adamw` with --freeze.

    python3 fuzz/corpus_checkpoint.py
"""

import copy
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus" / "checkpoint"
REAL = (HERE / "sgd").read_bytes()
LENGTH = struct.unpack("<Q", REAL[:8])[0]
HEAD, DATA = json.loads(REAL[8 : 8 + LENGTH]), REAL[8 + LENGTH :]


def write(name, change=None, data=DATA, length=None):
    head = copy.deepcopy(HEAD)
    # Without the checksum, so that changes of the tensors reach what lies behind it.
    head["__metadata__"].pop("pinion.sha256", None)
    if change:
        change(head, head["__metadata__"])
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    (HERE / name).write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(name, key, value):
    write(name, lambda head, metadata: metadata.__setitem__(key, value))


def removed(name, key):
    write(name, lambda head, metadata: metadata.pop(key))


def validation(name, **changes):
    write(name, lambda head, metadata: head["pinion.validation"].update(changes))


def held_back(name, *samples):
    begin, end = HEAD["pinion.validation"]["data_offsets"]
    write(name, data=DATA[:begin] + struct.pack("<3q", *samples) + DATA[end:])


TRAIN = "pinion.train."
write("no-checksum")
for key in ("step", "epoch", "epoch-step", "log-bytes", "val-split", "batch", "steps", "save-every"):
    entry(f"{key}-negative", TRAIN + key, "-9223372036854775808")
    entry(f"{key}-huge", TRAIN + key, "9223372036854775807")
    entry(f"{key}-over", TRAIN + key, "9223372036854775808")
for key in ("loss-sum", "epoch-loss", "best-top1", "learning-rate"):
    entry(f"{key}-exponent", TRAIN + key, "1p999999999")
    entry(f"{key}-nan", TRAIN + key, "nan")
entry("optimizer-unknown", TRAIN + "optimizer", "7")
entry("schedule-negative", TRAIN + "schedule", "-1")
entry("freeze-long", TRAIN + "freeze", "*," * 3000)
entry("seed-negative", TRAIN + "seed", "-1")
entry("classes-negative", "pinion.class_count", "-10")
entry("classes-huge", "pinion.class_count", "2147483648")
entry("class-names-number", "pinion.classes", "[1, 2]")
entry("class-names-cut", "pinion.classes", '["a", "')
entry("input-huge", "pinion.input", "999999999x999999999x999999999")
entry("input-negative", "pinion.input", "32x-32x3")
entry("isa-unknown", "pinion.plan.isa", "mmx")
entry("tasks-long", "pinion.plan.tasks", "\n" * 5000)
entry("model-nested", "pinion.model", "{" * 5000)
entry("mean-huge", "pinion.mean", "[1e999, 0, 0]")
for key in ("step", "val-split", "data", "network"):
    removed(f"{key}-missing", TRAIN + key)
removed("model-missing", "pinion.model")
validation("validation-real", dtype="F64")
validation("validation-rank", shape=[3, 1])
validation("validation-product", shape=[2**62, 2, 3])
validation("validation-negative", shape=[-3])
validation("validation-outside", data_offsets=[2**63, 2**63 + 24])
held_back("validation-order", 8, 5, 3)
held_back("validation-twice", 3, 3, 5)
held_back("validation-below", -3, 5, 8)
write("metadata-none", lambda head, metadata: head.pop("__metadata__"))
write("metadata-array", lambda head, metadata: head.__setitem__("__metadata__", []))
write("data-cut", data=DATA[:-4])
write("header-short", length=LENGTH // 2)
write("header-huge", length=2**64 - 1)
(HERE / "cut").write_bytes(REAL[: LENGTH // 2])
(HERE / "empty").write_bytes(b"")
