# SPDX-License-Identifier: Apache-2.0
"""Weights, batches and signs that Python and C compute alike; README.md defines them."""

import math
import re
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import philox

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import torch_models  # noqa: E402  (lies in bench/)

# Batch norms whose result no ReLU reads at once: before an addition or a 1x1 convolution.
WITHOUT_RELU = re.compile(r"(downsample\.1|conv\.\d)$")

WEIGHTS, INPUTS, LABELS, POSITIONS, SIGNS = 1001, 1002, 1003, 1004, 1005


def saved_tensors(network):
    """(name, tensor) of the state dict in its order, without num_batches_tracked."""
    return [(n, t) for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")]


def bias_base(network, owner):
    """The mean of a batch norm's biases: it keeps most values away from the kinks of ReLU and ReLU6."""
    if WITHOUT_RELU.search(owner):
        return 0.0
    return 3.0 if any(isinstance(module, nn.ReLU6) for module in network.modules()) else 2.0


def initial_rule(network, name, shape):
    """(distribution, base, scale): a value is base + scale * random, rounded to float32."""
    owner, leaf = name.rsplit(".", 1)
    if isinstance(network.get_submodule(owner), nn.BatchNorm2d):
        return {
            "weight": ("normal", 1.0, 0.1),
            "bias": ("normal", bias_base(network, owner), 0.1),
            "running_mean": ("normal", 0.0, 0.1),
            "running_var": ("uniform", 1.0, 0.2),
        }[leaf]
    if leaf == "bias":
        return ("normal", 0.0, 0.1)
    return ("normal", 0.0, math.sqrt(2 / math.prod(shape[1:])))


@torch.no_grad()
def fill_weights(network, seed):
    """Give every saved tensor its values; the network may be float32 or float64."""
    for index, (name, tensor) in enumerate(saved_tensors(network)):
        distribution, base, scale = initial_rule(network, name, tensor.shape)
        draw = philox.normals if distribution == "normal" else philox.uniforms
        values = (base + scale * draw(seed, WEIGHTS, index, tensor.numel())).astype(np.float32)
        tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))


def inputs(seed, stream, batch, height=32, width=32):
    """A batch of normal random images: an NCHW float32 view of values drawn in NHWC order."""
    count = batch * height * width * 3
    values = philox.normals(seed, INPUTS, stream, count).astype(np.float32)
    return torch.from_numpy(values.reshape(batch, height, width, 3)).permute(0, 3, 1, 2)


def labels(seed, stream, batch, classes=10):
    return torch.from_numpy(np.floor(philox.uniforms(seed, LABELS, stream, batch) * classes).astype(np.int64))


def positions(seed, index, size, count):
    """`count` places in a tensor of `size` elements: the high word of word * size."""
    return ((philox.words(seed, POSITIONS, index, count) * np.uint64(size)) >> np.uint64(32)).astype(np.int64)


def projections(seed, index, values, count, chunk=1 << 18):
    """Scalar products with `count` (at most 32) vectors of +1 and -1, in float64."""
    values = values.detach().double().reshape(-1).numpy()
    result = np.zeros(32)
    for first in range(0, len(values), chunk):
        part = values[first : first + chunk]
        drawn = philox.words(seed, SIGNS, index, len(part), first).astype("<u4")
        bits = np.unpackbits(drawn.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        result += part.sum() - 2 * (part @ bits.astype(np.float64))
    return result[:count]
