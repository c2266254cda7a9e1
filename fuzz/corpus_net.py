#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/corpus/safetensors and fuzz/corpus/network: a few valid inputs and one of each kind of
hostile one.

    python3 fuzz/corpus_net.py
"""

import hashlib
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus"


def write(folder, name, data):
    (HERE / folder).mkdir(parents=True, exist_ok=True)
    (HERE / folder / name).write_bytes(data)


def container(tensors, data, metadata=None, length=None):
    head = dict(tensors)
    if metadata is not None:
        head["__metadata__"] = metadata
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors():
    names = ("b.weight", "b.bias", "b.running_mean", "b.running_var", "l.weight", "l.bias")
    shapes = ([1], [1], [1], [1], [2, 2], [2])
    for dtype, code in (("F32", "f"), ("F64", "d"), ("F16", "e")):
        tensors, data = {}, b""
        for name, shape in zip(names, shapes):
            count = 4 if len(shape) == 2 else shape[0]
            bytes = struct.pack(f"<{count}{code}", *range(1, count + 1))
            tensors[name] = tensor(dtype, shape, len(data), len(data) + len(bytes))
            data += bytes
        metadata = {
            "pinion.sha256": hashlib.sha256(data).hexdigest(),
            "pinion.model": "resnet18",
            "pinion.input": "2x1x1",
            "pinion.classes": '["a", "b"]',
            "pinion.mean": "[0, 0, 0]",
            "pinion.std": "[1, 1, 1]",
        }
        write("safetensors", f"valid-{dtype.lower()}", container(tensors, data, metadata))
        if dtype == "F32":
            write("safetensors", "checksum", container(tensors, data[:-1] + b"\1", metadata))
            write("safetensors", "plain", container(tensors, data))
            write("safetensors", "nan", container(tensors, b"\377" * len(data)))
            write("safetensors", "classes", container(tensors, data, {"pinion.classes": "[1]"}))
            write("safetensors", "truncated", container(tensors, data)[:-3])
            write("safetensors", "unaligned", container({"p": tensor("U8", [1], 0, 1)}, b"\0"))
    groups()
    hostile = {
        "empty": b"",
        "short": b"\2\0\0",
        "header-huge": b"\377" * 8 + b"{}",
        "header-one-over": struct.pack("<Q", 3) + b"{}",
        "no-json": struct.pack("<Q", 1) + b"{",
        "array": struct.pack("<Q", 2) + b"[]",
        "duplicate": struct.pack("<Q", 14) + b'{"a":1,"a":1 }',
        "overlap": container({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, b"\0" * 12),
        "hole": container({"a": tensor("F32", [1], 0, 4), "b": tensor("F32", [1], 8, 12)}, b"\0" * 12),
        "outside": container({"a": tensor("F32", [1], 8, 12)}, b"\0" * 4),
        "backwards": container({"a": tensor("F32", [1], 4, 0)}, b"\0" * 4),
        "product": container({"a": tensor("F32", [2**32, 2**32, 4], 0, 16)}, b"\0" * 16),
        "span": container({"a": tensor("F32", [2], 0, 4)}, b"\0" * 4),
        "empty-tensor": container({"a": tensor("F32", [0, 7], 0, 0)}, b""),
        "type": container({"a": tensor("F7", [1], 0, 1)}, b"\0"),
        "metadata": container({}, b"", {"a": 1}),
    }
    for name, data in hostile.items():
        write("safetensors", name, data)


def groups():
    """Files of a dynamic network of three towers, of which two are there."""
    tensors, data, metadata = {}, b"", {"pinion.groups": "3", "pinion.connect": "towers", "pinion.width": "2"}
    for group in (1, 2):
        begin = len(data)
        shapes = {"a.g%d.weight": [1, 1], "a.g%d.bias": [1], "b.g%d.weight": [2, 1]}
        if group == 1:
            shapes["b.g%d.bias"] = [2]
        for name, shape in shapes.items():
            bytes = struct.pack(f"<{shape[0]}f", *range(1, shape[0] + 1))
            tensors[name % group] = tensor("F32", shape, len(data), len(data) + len(bytes))
            data += bytes
        metadata[f"pinion.sha256.g{group}"] = hashlib.sha256(data[begin:]).hexdigest()
    metadata["pinion.top1_per_width"] = "[50, 60.5]"
    write("safetensors", "groups", container(tensors, data, metadata))
    write("safetensors", "groups-plain", container(tensors, data))
    write("safetensors", "groups-damaged-2", container(tensors, data[:-1] + b"\1", metadata))
    write("safetensors", "groups-damaged-1", container(tensors, b"\1" + data[1:], metadata))
    write("safetensors", "groups-width", container(tensors, data, {**metadata, "pinion.width": "4"}))
    write("safetensors", "groups-too-many", container(tensors, data, {**metadata, "pinion.groups": "9"}))
    write("safetensors", "groups-unconnected", container(tensors, data, {**metadata, "pinion.connect": "crossed"}))
    write("safetensors", "groups-accuracy", container(tensors, data, {**metadata, "pinion.top1_per_width": "[101]"}))


def network(layers, **head):
    return json.dumps({"name": "n", "input": [8, 8, 3], "layers": layers, **head}).encode()


def layer(name, op, *inputs, **attributes):
    where = {"input": inputs[0]} if len(inputs) == 1 else {"inputs": inputs}
    return {"name": name, "op": op, **where, **attributes}


def networks():
    every = [
        layer("a", "conv2d", "input", channels=4, filter=[3, 1], stride=[2, 1], padding=1),
        layer("b", "batchnorm", "a", epsilon=1e-4, momentum=0.2),
        layer("c", "depthwise_conv2d", "b", filter=3, padding=1, bias=False),
        layer("d", "relu6", "c"),
        layer("e", "add", "b", "d"),
        layer("f", "maxpool", "e", window=2),
        layer("g", "avgpool", "f", window=2, stride=1, padding=1),
        layer("h", "relu", "g"),
        layer("i", "flatten", "h"),
        layer("j", "dropout", "i", rate=0.5),
        layer("k", "linear", "j", channels=5),
    ]
    flat = layer("g", "global_avgpool", "input")
    groups = [
        layer("a", "conv2d", "input", channels=8, filter=3),
        layer("b", "conv2d", "a", channels=9, filter=1),
        layer("c", "concat", "a", "b"),
        layer("d", "flatten", "c"),
        layer("e", "linear", "d", channels=8),
        layer("f", "linear", "e", channels=3),
    ]
    inputs = {
        "every-op": network(every),
        "backwards": network(every[::-1]),
        "empty": b"",
        "no-layers": network([]),
        "cycle": network([layer("a", "relu", "b"), layer("b", "relu", "a")]),
        "itself": network([layer("a", "relu", "a")]),
        "unknown-op": network([layer("a", "conv3d", "input")]),
        "unknown-input": network([layer("a", "relu", "b")]),
        "unknown-key": network([layer("a", "relu", "input", slope=1)]),
        "twice": network([layer("a", "relu", "input"), layer("a", "relu", "input")]),
        "two-outputs": network([layer("a", "relu", "input"), layer("b", "relu", "input")]),
        "arity": network([layer("a", "add", "input")]),
        "too-large-filter": network([layer("a", "conv2d", "input", channels=1, filter=99)]),
        "too-many-weights": network([layer("a", "conv2d", "input", channels=1 << 20, filter=255, padding=255)]),
        "zero-stride": network([layer("a", "conv2d", "input", channels=1, filter=1, stride=0)]),
        "huge-input": network([flat], input=[65536, 65536, 1 << 20]),
        "huge-number": network([layer("a", "conv2d", "input", channels=1 << 62, filter=1)]),
        "linear-on-image": network([layer("a", "linear", "input", channels=2)]),
        "groups-twice": network(groups[:2] + [layer("c", "add", "a", "b"), *groups[3:]]),
        "concat-of-flats": network([layer("a", "flatten", "input"), layer("b", "concat", "a", "a"), layer("l", "linear", "b", channels=3)]),
        "classifier": network([flat, layer("l", "linear", "g", channels=7, bias=False)]),
        "deep": b"[" * 3000,
        "nul": b'{"name": "a\\u0000b"}',
        "not-utf8": b'{"name": "\377"}',
    }
    for spaces in range(16):  # fuzz_network takes groups and connection from the length
        inputs[f"groups-{spaces}"] = network(groups) + b" " * spaces
    for name, data in inputs.items():
        write("network", f"{name}.json", data)


safetensors()
networks()
