# SPDX-License-Identifier: Apache-2.0
"""Load a file of weights that Pinion wrote into PyTorch and compare the logits.

Names and shapes must agree exactly; only `num_batches_tracked`, which Pinion does
not keep, may be missing.  Inputs are NHWC float32, logits rows of float32, both
raw and little-endian.  The weights of a dynamic network are put into the network
that was cut, as a masked one: zero where a group does not read a channel.  Exit code 0: they agree; 1: they do not; 77: PyTorch or
safetensors is not installed, the test is skipped.

    python tests/interop/compare.py --weights W.safetensors --model resnet18 --input X.f32 --logits Y.f32
"""

import argparse
import math
import re
import sys
from pathlib import Path

try:
    import numpy as np
    import torch
    from safetensors import safe_open
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import torch_models  # noqa: E402  (lies in bench/)

LAST_LAYER = {
    "resnet18": "fc",
    "resnet18-cifar": "fc",
    "alexnet-cifar": "classifier",
    "mobilenetv2-cifar": "classifier.1",
}


def fail(message):
    print(f"FAIL: {message}")
    sys.exit(1)


def read_weights(file):
    with safe_open(file, framework="pt") as stored:
        return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata()


def join_groups(weights, nested, expected):
    """The weights NAME.gJ.SUFFIX of all groups as those of NAME.SUFFIX, in the shapes of `expected`."""
    groups, joined = {}, {}
    for name, tensor in weights.items():
        layer, group, suffix = re.fullmatch(r"(.+)\.g(\d)\.(\w+)", name).groups()
        groups.setdefault(f"{layer}.{suffix}", {})[int(group)] = tensor
    for name, parts in groups.items():
        shape = expected[name].shape
        parts = [parts[group] for group in sorted(parts)]
        if len(shape) == 1 or shape[1] == 1:  # a value or a filter a channel
            joined[name] = torch.cat(parts)
            continue
        whole = torch.zeros(shape)
        summed = parts[0].shape[0] == shape[0]  # the classifier: every part has all outputs
        row = column = 0
        for part in parts:
            everything = part.shape[1] == shape[1]  # the network's input is not cut
            first = 0 if everything or (nested and not summed) else column
            whole[row : row + part.shape[0], first : first + part.shape[1]] = part
            row += 0 if summed else part.shape[0]
            column += part.shape[1]
        joined[name] = whole
    return joined


def load(model, weights, metadata):
    """A network with these weights, in evaluation mode; ends the program where names or shapes differ."""
    dynamic = "pinion.groups" in (metadata or {})
    bias = weights.get(LAST_LAYER[model] + (".g1.bias" if dynamic else ".bias"))
    if bias is None:
        fail(f"{LAST_LAYER[model]}.bias is missing")
    network = torch_models.create(model, classes=len(bias))
    expected = network.state_dict()
    if dynamic:
        weights = join_groups(weights, metadata["pinion.connect"] == "nested", expected)
    missing = [n for n in expected if n not in weights and not n.endswith("num_batches_tracked")]
    unknown = [n for n in weights if n not in expected]
    shapes = [
        f"{n}: file {list(t.shape)}, PyTorch {list(expected[n].shape)}"
        for n, t in weights.items()
        if n in expected and t.shape != expected[n].shape
    ]
    kinds = [f"{n}: {t.dtype}" for n, t in weights.items() if t.is_floating_point() and t.dtype != torch.float32]
    for text, names in (("missing", missing), ("unknown", unknown), ("shapes differ", shapes), ("not float32", kinds)):
        if names:
            fail(f"{text}: {', '.join(names[:10])} ({len(names)} in all)")
    network.load_state_dict(weights, strict=False)
    return network.eval()


def read_images(file, height, width):
    values = np.fromfile(file, "<f4")
    batch, rest = divmod(len(values), height * width * 3)
    if batch == 0 or rest:
        fail(f"{file}: {len(values)} values are not whole images of {height}x{width}x3")
    return torch.from_numpy(values.reshape(batch, height, width, 3)).permute(0, 3, 1, 2).contiguous()


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--model", required=True, choices=list(LAST_LAYER))
    parser.add_argument("--input", required=True)
    parser.add_argument("--logits", required=True)
    parser.add_argument("--size", default="", help="HxW of the images; a square that fits the logits if absent")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="norm of the difference over the norm")
    return parser.parse_args()


@torch.no_grad()
def main():
    options = parse_options()
    network = load(options.model, *read_weights(options.weights))
    classes = len(network.get_submodule(LAST_LAYER[options.model]).bias)
    theirs = np.fromfile(options.logits, "<f4").astype(np.float64)
    if options.size:
        height, width = (int(n) for n in options.size.split("x"))
    else:
        images = max(1, len(theirs) // classes)
        height = width = math.isqrt(Path(options.input).stat().st_size // (4 * 3 * images))
    x = read_images(options.input, height, width)
    if len(theirs) != len(x) * classes:
        fail(f"{options.logits}: {len(theirs)} logits, expected {len(x)} rows of {classes}")
    ours = network.double()(x.double()).numpy().reshape(-1)
    error = np.linalg.norm(theirs - ours) / np.linalg.norm(ours)
    if not error <= options.tolerance:
        fail(f"logits differ by {error:.3g} of their norm; at most {options.tolerance:g} is allowed")
    print(f"OK: {len(network.state_dict())} tensors by name, logits within {error:.3g}")


if __name__ == "__main__":
    main()
