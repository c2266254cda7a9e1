#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes joint_values.h: what PyTorch computes in float64 for one step of joint training of small dynamic networks, the
cut ones of tests/run/dynamic.h in three groups. Usage: python tests/golden/make_joint.py > tests/golden/joint_values.h
"""
import math

import torch
import torch.nn.functional as F

GROUPS, CLASSES, BATCH, SIDE, CHANNELS = 3, 3, 3, 4, 4
LABELS = [0, 2, 1]
DISTILLATION = {"towers": 1.0, "nested": 0.5}  # weights of the narrower widths' losses


def draw(name, count):
    """Values of a tensor, between -0.5 and 0.5, by name and number."""
    seed = 0
    for letter in name:
        seed = (seed * 31 + ord(letter)) % 10007
    return [((e * 7919 + seed * 613) % 1009) / 1009 - 0.5 for e in range(count)]


def sizes(channels):
    return [channels // GROUPS + (j < channels % GROUPS) for j in range(GROUPS)]


class Network:
    def __init__(self, nested):
        self.nested, self.params, self.logits = nested, {}, []

    def param(self, name, *shape):
        count = math.prod(shape)
        fan = max(1, count // shape[0]) if len(shape) > 1 else 1
        values = torch.tensor(draw(name, count), dtype=torch.float64)
        if len(shape) > 1:
            values = values * 4 / math.sqrt(fan)
        elif name.startswith("bn") and name.endswith("weight"):
            values = values * 0.5 + 1
        else:
            values = values * 0.5 + 0.1
        values = values.float().double().reshape(shape).requires_grad_()
        self.params[name] = values
        return values

    def conv(self, name, group, x, k, r, bias):
        w = self.param(f"{name}.g{group}.weight", k, r, r, x.shape[1]).permute(0, 3, 1, 2)
        b = self.param(f"{name}.g{group}.bias", k) if bias else None
        return F.conv2d(x, w, b, padding=r // 2)

    def norm(self, name, group, x):
        w, b = (self.param(f"{name}.g{group}.{what}", x.shape[1]) for what in ("weight", "bias"))
        return F.batch_norm(x, None, None, w, b, training=True, eps=1e-5)

    def linear(self, name, group, x, k, bias):
        w = self.param(f"{name}.g{group}.weight", k, x.shape[1])
        return F.linear(x, w, self.param(f"{name}.g{group}.bias", k) if bias else None)

    def read(self, parts):
        return torch.cat(parts, 1) if self.nested else parts[-1]

    def run(self, x):
        one, two, three = [], [], []
        logits = None
        for j in range(GROUPS):
            g = j + 1
            y = F.relu(self.norm("bn1", g, self.conv("conv1", g, x, sizes(10)[j], 3, False)))
            one.append(y)
            y = F.relu(self.norm("bn2", g, self.conv("conv2", g, self.read(one), sizes(10)[j], 3, False)) + y)
            two.append(F.max_pool2d(y, 2, 2))
            y = self.conv("conv3", g, self.read(two), sizes(9)[j], 1, True)
            w = self.param(f"depthwise.g{g}.weight", 1, 3, 3, y.shape[1]).permute(3, 0, 1, 2)
            y = F.relu(F.conv2d(y, w, None, padding=1, groups=y.shape[1]))
            three.append(y.permute(0, 2, 3, 1).flatten(1))
            y = F.relu(self.linear("hidden", g, self.read(three), sizes(27)[j], True))
            part = self.linear("fc", g, y, CLASSES, j == 0)
            logits = part if logits is None else logits + part
            self.logits.append(logits)


def main():
    print("/* SPDX-License-Identifier: Apache-2.0\n *\n"
          " * Written by make_joint.py: the loss, and of the gradient of each parameter the norm and the sum of its elements, each\n"
          " * times the cosine of its number.\n */")
    print("#ifndef TESTS_GOLDEN_JOINT_VALUES_H\n#define TESTS_GOLDEN_JOINT_VALUES_H\n")
    print("typedef struct joint_value {\n    const char *name;\n    double norm, sum;\n} joint_value;\n")
    for nested in (False, True):
        kind = "nested" if nested else "towers"
        network = Network(nested)
        count = BATCH * SIDE * SIDE * CHANNELS
        x = (torch.tensor(draw("images", count), dtype=torch.float64) * 4).float().double()
        network.run(x.reshape(BATCH, SIDE, SIDE, CHANNELS).permute(0, 3, 1, 2))
        full = network.logits[-1]
        loss = F.cross_entropy(full, torch.tensor(LABELS))
        targets = F.softmax(full, 1).detach()
        total = loss
        for narrower in network.logits[:-1]:
            total = total - DISTILLATION[kind] * (targets * F.log_softmax(narrower, 1)).sum(1).mean()
        total.backward()
        print(f"static const float {kind}_distillation = {DISTILLATION[kind]}f;")
        print(f"static const double {kind}_loss = {loss.item():.12g};\n")
        print(f"static const joint_value {kind}_values[] = {{")
        for name, value in network.params.items():
            g = value.grad.reshape(-1)
            cosine = torch.cos(torch.arange(g.numel(), dtype=torch.float64))
            print(f'    {{"{name}", {g.norm().item():.12g}, {(g * cosine).sum().item():.12g}}},')
        print("};\n")
    print("#endif")


if __name__ == "__main__":
    main()
