#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the zoo's network descriptions into src/net/models.

    python3 scripts/models.py [FOLDER]

Layers are named as in torchvision, so that its state dicts load by name.  The
format is that of docs/network-json.md, laid out as the library itself writes it.
"""

import json
import pathlib
import sys


class Network:
    def __init__(self, name, size):
        self.name, self.input, self.layers, self.last = name, [size, size, 3], [], "input"

    def add(self, name, op, *inputs, **attributes):
        """Appends a layer behind `inputs` (default: the layer added last) and returns its name."""
        inputs = inputs or (self.last,)
        where = {"input": inputs[0]} if len(inputs) == 1 else {"inputs": list(inputs)}
        self.layers.append({"name": name, "op": op, **where, **attributes})
        self.last = name
        return name

    def conv(self, name, channels, filter, stride=1, padding=0):
        return self.add(name, "conv2d", channels=channels, filter=filter, stride=stride, padding=padding, bias=False)

    def batchnorm(self, name):
        return self.add(name, "batchnorm", epsilon=1e-05, momentum=0.1)

    def text(self):
        layers = ",\n".join("    " + json.dumps(layer) for layer in self.layers)
        return f'{{\n  "name": "{self.name}",\n  "input": {self.input},\n  "layers": [\n{layers}\n  ]\n}}\n'


def basic_block(network, prefix, channels, stride):
    shortcut = network.last
    network.conv(f"{prefix}.conv1", channels, 3, stride, 1)
    network.batchnorm(f"{prefix}.bn1")
    network.add(f"{prefix}.relu1", "relu")
    network.conv(f"{prefix}.conv2", channels, 3, 1, 1)
    main = network.batchnorm(f"{prefix}.bn2")
    if stride != 1:
        network.last = shortcut
        network.conv(f"{prefix}.downsample.0", channels, 1, stride)
        shortcut = network.batchnorm(f"{prefix}.downsample.1")
    network.add(f"{prefix}.add", "add", main, shortcut)
    network.add(f"{prefix}.relu2", "relu")


def resnet18(name, size, classes, small):
    network = Network(name, size)
    network.conv("conv1", 64, *((3, 1, 1) if small else (7, 2, 3)))
    network.batchnorm("bn1")
    network.add("relu", "relu")
    if not small:
        network.add("maxpool", "maxpool", window=3, stride=2, padding=1)
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        basic_block(network, f"layer{stage}.0", channels, 1 if stage == 1 else 2)
        basic_block(network, f"layer{stage}.1", channels, 1)
    network.add("avgpool", "global_avgpool")
    network.add("flatten", "flatten")
    network.add("fc", "linear", channels=classes, bias=True)
    return network


def inverted_residual(network, prefix, expand, inputs, outputs, stride):
    shortcut, number = network.last, 0
    if expand != 1:
        network.conv(f"{prefix}.conv.0.0", inputs * expand, 1)
        network.batchnorm(f"{prefix}.conv.0.1")
        network.add(f"{prefix}.conv.0.2", "relu6")
        number = 1
    network.add(f"{prefix}.conv.{number}.0", "depthwise_conv2d", filter=3, stride=stride, padding=1, bias=False)
    network.batchnorm(f"{prefix}.conv.{number}.1")
    network.add(f"{prefix}.conv.{number}.2", "relu6")
    network.conv(f"{prefix}.conv.{number + 1}", outputs, 1)
    network.batchnorm(f"{prefix}.conv.{number + 2}")
    if stride == 1 and inputs == outputs:
        network.add(f"{prefix}.add", "add", shortcut, network.last)


def mobilenetv2_cifar():
    network = Network("mobilenetv2-cifar", 32)
    network.conv("features.0.0", 32, 3, 1, 1)
    network.batchnorm("features.0.1")
    network.add("features.0.2", "relu6")
    # expansion, output channels, blocks, stride of the first block
    table = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    inputs, block = 32, 1
    for expand, outputs, blocks, first_stride in table:
        for number in range(blocks):
            stride = first_stride if number == 0 else 1
            inverted_residual(network, f"features.{block}", expand, inputs, outputs, stride)
            inputs, block = outputs, block + 1
    network.conv("features.18.0", 1280, 1)
    network.batchnorm("features.18.1")
    network.add("features.18.2", "relu6")
    network.add("avgpool", "global_avgpool")
    network.add("flatten", "flatten")
    network.add("classifier.0", "dropout", rate=0.2)
    network.add("classifier.1", "linear", channels=10, bias=True)
    return network


def alexnet_cifar():
    network, number = Network("alexnet-cifar", 32), 0
    for layer, channels in enumerate((64, 192, 384, 256, 256), start=1):
        network.conv(f"features.{number}", channels, 3, 1, 1)
        network.batchnorm(f"features.{number + 1}")
        network.add(f"features.{number + 2}", "relu")
        number += 3
        if layer in (1, 2, 5):
            network.add(f"features.{number}", "maxpool", window=2, stride=2, padding=0)
            number += 1
    network.add("flatten", "flatten")
    network.add("classifier", "linear", channels=10, bias=True)
    return network


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "src/net/models")
    folder.mkdir(parents=True, exist_ok=True)
    for network in (
        resnet18("resnet18", 224, 1000, small=False),
        resnet18("resnet18-cifar", 32, 10, small=True),
        mobilenetv2_cifar(),
        alexnet_cifar(),
    ):
        (folder / f"{network.name}.json").write_text(network.text())


if __name__ == "__main__":
    main()
