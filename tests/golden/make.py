# SPDX-License-Identifier: Apache-2.0
"""Make the whole-network golden values of this folder with PyTorch in float64.

One training step and a run of ten per network, from weights and batches that are
functions of a counter, so that no large file is stored.  README.md describes the
files.  Needs PyTorch 1.13 or later and numpy; takes some minutes.

    python tests/golden/make.py                     all files
    python tests/golden/make.py resnet18-cifar      one of them
    python tests/golden/make.py --search            choose the batches anew first
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

import philox
import shared
from shared import torch_models

BATCH, CLASSES, STEPS = 8, 10, 10
SAMPLES, PROJECTIONS, RUN_PROJECTIONS = 8, 16, 32
SEED = 2**32 + 1  # both words of the key are in use
MARGIN = 6  # the least margin of a batch, see `margin`
LR = 1e-4  # small enough that rounding errors add up instead of growing
STREAMS = {  # the batches of the ten steps, chosen by --search
    "alexnet-cifar": [0, 6, 18, 27, 29, 30, 31, 32, 38, 40],
    "resnet18-cifar": [10, 16, 25, 26, 36, 43, 44, 51, 53, 59],
    "mobilenetv2-cifar": [5, 12, 18, 22, 27, 28, 32, 35, 59, 62],
}
OPTIONS = {"mobilenetv2-cifar": {"dropout": 0.0}}


def create(model, seed, dtype, memory_format=torch.contiguous_format):
    network = torch_models.create(model, classes=CLASSES, **OPTIONS.get(model, {}))
    shared.fill_weights(network, seed)
    return network.to(dtype=dtype, memory_format=memory_format).train()


class Training:
    """A network being trained on the batches of the golden run."""

    def __init__(self, model, seed, dtype, memory_format=torch.contiguous_format):
        self.seed, self.dtype, self.memory_format = seed, dtype, memory_format
        self.network = create(model, seed, dtype, memory_format)
        self.optimizer = torch_models.create_sgd(self.network, LR)

    def inputs(self, stream):
        x = shared.inputs(self.seed, stream, BATCH).to(self.dtype)
        return x.contiguous(memory_format=self.memory_format)

    def step(self, stream):
        """One step; gradients stay in place afterwards.  Returns the loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        target = shared.labels(self.seed, stream, BATCH, CLASSES)
        loss = nn.functional.cross_entropy(self.network(self.inputs(stream)), target)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def logits(self, stream):
        self.network.eval()
        result = self.network(self.inputs(stream)).double()
        self.network.train()
        return result

    def tensors(self):
        """float64 copies of all saved tensors."""
        return {name: t.detach().double().clone() for name, t in shared.saved_tensors(self.network)}

    def gradients(self):
        return {name: p.grad.detach().double().clone() for name, p in self.network.named_parameters()}


def rounded(values, digits):
    return [float(f"{float(v):.{digits}g}") for v in values]


def describe(seed, index, tensor):
    """Norm, sum, samples and projections of one tensor."""
    flat = tensor.contiguous().reshape(-1)
    places = torch.from_numpy(shared.positions(seed, index, flat.numel(), SAMPLES))
    return {
        "norm": flat.norm().item(),
        "sum": flat.sum().item(),
        "samples": rounded(flat[places], 10),
        "projections": rounded(shared.projections(seed, index, flat, PROJECTIONS), 14),
    }


def distance(a, b, scale):
    return float(f"{(a - b).norm().item() / scale:.3g}")


def gradient_scale(name, gradients, index_of):
    """The norm that errors of a gradient are relative to.

    The gradient of a batch norm's bias is zero in exact arithmetic where only
    1x1 convolutions with batch norms of their own read the result; there it is
    the norm of the gradient of the same batch norm's weight.
    """
    norm = gradients[name].norm().item()
    sibling = name.rsplit(".", 1)[0] + ".weight"
    if name.endswith(".bias") and gradients[sibling].dim() == 1:
        other = gradients[sibling].norm().item()
        if norm < 1e-9 * other:
            return other
    return norm


def one_step(model, seed, stream):
    """Everything about the first step, and float32's own errors in it."""
    exact, single = Training(model, seed, torch.float64), Training(model, seed, torch.float32)
    before = exact.tensors()
    loss, single_loss = exact.step(stream), single.step(stream)
    after, single_after = exact.tensors(), single.tensors()
    gradients, single_gradients = exact.gradients(), single.gradients()

    records = []
    for index, (name, start) in enumerate(before.items()):
        distribution, base, scale = shared.initial_rule(exact.network, name, start.shape)
        record = {"name": name, "shape": list(start.shape)}
        record["initial"] = {"random": distribution, "base": base, "scale": scale}
        if name in gradients:
            record["gradient"] = describe(seed, index, gradients[name])
            unit = gradient_scale(name, gradients, before)
            record["gradient"]["scale"] = unit
            record["gradient"]["float32_error"] = distance(single_gradients[name], gradients[name], unit)
        record["after"] = describe(seed, index, after[name])
        record["after"]["moved"] = (after[name] - start).norm().item()
        record["after"]["float32_error"] = distance(single_after[name], after[name], after[name].norm().item())
        records.append(record)

    logits, single_logits = exact.logits(stream), single.logits(stream)
    return {
        "loss": loss,
        "float32_loss_error": abs(single_loss / loss - 1),
        "logits": [rounded(row, 14) for row in logits],
        "float32_logits_error": distance(single_logits, logits, logits.norm().item()),
        "tensors": records,
    }


class Run:
    """Ten steps of one precision: losses, parameters' projections, and all parameters for distances."""

    def __init__(self, model, seed, streams, dtype, memory_format=torch.contiguous_format):
        training = Training(model, seed, dtype, memory_format)
        names = [name for name, _ in shared.saved_tensors(training.network)]
        self.losses, self.projections, self.parameters = [], [], []
        for stream in streams:
            self.losses.append(training.step(stream))
            total, flat = np.zeros(RUN_PROJECTIONS), []
            for name, parameter in training.network.named_parameters():
                total += shared.projections(seed, names.index(name), parameter.contiguous(), RUN_PROJECTIONS)
                flat.append(parameter.detach().double().reshape(-1))
            self.projections.append(total)
            self.parameters.append(torch.cat(flat))


def ten_steps(model, seed, streams):
    exact = Run(model, seed, streams, torch.float64)
    norms = [p.norm().item() for p in exact.parameters]
    result = {
        "losses": exact.losses,
        "norms": norms,
        "projections": [rounded(p, 15) for p in exact.projections],
        "float32": {},
    }
    for label, memory_format in (("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)):
        single = Run(model, seed, streams, torch.float32, memory_format)
        estimates = [
            math.sqrt(np.mean((a - b) ** 2)) / n for a, b, n in zip(single.projections, exact.projections, norms)
        ]
        result["float32"][label] = {
            "loss_errors": rounded([abs(a / b - 1) for a, b in zip(single.losses, exact.losses)], 3),
            "distances": [distance(a, b, n) for a, b, n in zip(single.parameters, exact.parameters, norms)],
            "estimates": rounded(estimates, 3),
        }
    return result


def dump(value, file):
    """JSON with a line for each tensor and for each other member."""
    head = {k: v for k, v in value.items() if k not in ("step", "run")}
    lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()]
    step = value["step"]
    members = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in step.items() if k != "tensors"]
    tensors = ",\n".join("   " + json.dumps(t, separators=(",", ":")) for t in step["tensors"])
    members.append(f'  "tensors": [\n{tensors}\n  ]')
    lines.append(' "step": {\n' + ",\n".join(members) + "\n }")
    run = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in value["run"].items())
    lines.append(' "run": {\n' + run + "\n }")
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def kink_gaps(module, x):
    """Distances of a layer's inputs from the places where its derivative jumps, a row for each channel."""
    if isinstance(module, nn.ReLU):
        gaps = x.abs()
    elif isinstance(module, nn.ReLU6):
        gaps = torch.minimum(x.abs(), (x - 6).abs())
    else:  # 2x2 max-pooling: between the two largest of a window
        windows = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).sort(-1).values
        gaps = torch.where(windows[..., -1] > 0, windows[..., -1] - windows[..., -2], torch.inf)
    return gaps.transpose(0, 1).flatten(1)


@torch.no_grad()
def inputs_of_kinks(training, stream):
    """(layer, its input) for each run of a ReLU or max-pooling in a forward pass that changes nothing."""
    seen, hooks = [], []
    for module in training.network.modules():
        if isinstance(module, (nn.ReLU, nn.ReLU6, nn.MaxPool2d)):
            hooks.append(module.register_forward_pre_hook(lambda m, args: seen.append((m, args[0].double().clone()))))
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
    training.network(training.inputs(stream))
    for hook in hooks:
        hook.remove()
    for module in training.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return seen


def margin(exact, single, stream):
    """The smallest distance from a kink, in units of float32's root mean square error in that channel.

    Where rounding carries a value over a kink, gradients differ by far more than
    by rounding, in any correct implementation.  Batches with a wide margin leave
    rounding as the only difference.
    """
    least = math.inf
    for (module, x), (_, y) in zip(inputs_of_kinks(exact, stream), inputs_of_kinks(single, stream)):
        error = (x - y).transpose(0, 1).flatten(1).pow(2).mean(1).sqrt()
        least = min(least, (kink_gaps(module, x).min(1).values / error).min().item())
    return least


def choose_streams(model, seed):
    """For each step the first batch not yet seen whose margin is wide enough."""
    exact, single = Training(model, seed, torch.float64), Training(model, seed, torch.float32)
    streams, stream = [], 0
    while len(streams) < STEPS:
        found = margin(exact, single, stream)
        if found >= MARGIN:
            exact.step(stream)
            single.step(stream)
            streams.append(stream)
            print(f"{model}: batch {stream}, margin {found:.2f}", flush=True)
        stream += 1
    print(f"{model}: {streams}", flush=True)
    return streams


def make(model, seed, streams):
    return {
        "model": model,
        "made_with": f"PyTorch {torch.__version__}",
        "seed": seed,
        "batch": BATCH,
        "classes": CLASSES,
        "lr": LR,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "streams": streams,
        "step": one_step(model, seed, streams[0]),
        "run": ten_steps(model, seed, streams),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="networks; all if none is named")
    parser.add_argument("--search", action="store_true", help="choose the batches anew")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    parser.add_argument("--out", default=Path(__file__).parent, type=Path, help="folder of the files")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    philox.check()
    for model in options.models or STREAMS:
        path = options.out / f"{model}.json"
        streams = choose_streams(model, SEED) if options.search else STREAMS[model]
        dump(make(model, SEED, streams), path)
        print(f"{path.name}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
