# SPDX-License-Identifier: Apache-2.0
"""PyTorch's side of the accuracy comparison: the same recipe as `pinion train`'s defaults.

SGD with Nesterov momentum 0.9, weight decay 5e-4 on the weights of convolutions
and linear layers, the `onecycle` schedule applied at every step, random crops of
images padded with 4 black pixels, horizontal flips, an incomplete last batch
dropped.  Prints a line an epoch; the last line of standard output is one JSON
object, which --json-out also writes to a file.

    python bench/recipe.py --model alexnet-cifar --data shared/data/cifar10 --epochs 12 --lr 0.05
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import torch_models

MEAN = np.array([0.49140, 0.48216, 0.44653], np.float32)
STD = np.array([0.24703, 0.24349, 0.26159], np.float32)
PAD = 4
ALEXNET_PARAMETERS = 2_293_706


def read_cifar10(files):
    """Images as NHWC bytes and labels of files in CIFAR-10's binary format."""
    records = np.concatenate([np.fromfile(f, np.uint8).reshape(-1, 3073) for f in files])
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].astype(np.int64)


def normalise(images):
    return (images.astype(np.float32) / 255 - MEAN) / STD


def to_tensor(images):
    """An NCHW tensor in channels_last memory of normalised NHWC images; no bytes are moved."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


class Augmenter:
    """Random crops and flips of a whole batch at once."""

    def __init__(self, images, random):
        self.padded = np.pad(images, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
        self.random = random

    def batch(self, indices):
        count = len(indices)
        top, left = self.random.integers(0, 2 * PAD + 1, (2, count))
        flip = self.random.random(count) < 0.5
        rows = top[:, None] + np.arange(32)
        columns = np.where(flip[:, None], np.arange(31, -1, -1), np.arange(32)) + left[:, None]
        crops = self.padded[indices[:, None, None], rows[:, :, None], columns[:, None, :]]
        return to_tensor(normalise(crops))


def onecycle(step, steps, peak):
    """Linear warm-up over 30 % of the steps from peak/25, then cosine down to peak/25/1e4."""
    first, last = peak / 25, peak / 25 / 1e4
    top = 0.3 * steps - 1
    if step <= top:
        return first + (peak - first) * step / top
    done = (step - top) / (steps - 1 - top)
    return last + (peak - last) * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def evaluate(network, images, labels, memory_format, batch=200):
    """Top-1 in per cent and mean loss, with the stored batch statistics."""
    network.eval()
    hits, loss = 0, 0.0
    for i in range(0, len(labels), batch):
        target = torch.from_numpy(labels[i : i + batch])
        logits = network(to_tensor(images[i : i + batch]).contiguous(memory_format=memory_format))
        hits += int((logits.argmax(1) == target).sum())
        loss += float(nn.functional.cross_entropy(logits, target, reduction="sum"))
    network.train()
    return 100 * hits / len(labels), loss / len(labels)


def train(options):
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    random = np.random.default_rng(options.seed)
    memory_format = torch.channels_last if options.memory_format == "channels_last" else torch.contiguous_format

    folder = Path(options.data)
    images, labels = read_cifar10(sorted(folder.glob("data_batch_*.bin")))
    test_images, test_labels = read_cifar10([folder / "test_batch.bin"])
    test_images = normalise(test_images)
    augmenter = Augmenter(images, random)

    network = torch_models.create(options.model, classes=10)
    torch_models.init_weights(network)
    if options.model == "alexnet-cifar":
        assert torch_models.parameter_count(network) == ALEXNET_PARAMETERS
    network = network.to(memory_format=memory_format)
    optimizer = torch_models.create_sgd(network, options.lr)

    steps_per_epoch = len(labels) // options.batch
    steps = steps_per_epoch * options.epochs
    epochs, step, started = [], 0, time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        epoch_started, loss_sum = time.perf_counter(), 0.0
        order = random.permutation(len(labels))
        for i in range(steps_per_epoch):
            chosen = order[i * options.batch : (i + 1) * options.batch]
            inputs = augmenter.batch(chosen).contiguous(memory_format=memory_format)
            for group in optimizer.param_groups:
                group["lr"] = onecycle(step, steps, options.lr)
            loss = nn.functional.cross_entropy(network(inputs), torch.from_numpy(labels[chosen]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss_sum += float(loss.detach())
            step += 1
        top1, test_loss = evaluate(network, test_images, test_labels, memory_format)
        seconds = time.perf_counter() - epoch_started
        epochs.append({"loss": loss_sum / steps_per_epoch, "test_loss": test_loss, "top1": top1, "seconds": seconds})
        print(
            f"epoch {epoch}/{options.epochs} loss {epochs[-1]['loss']:.4f} top1 {top1:.2f} time {seconds:.1f} s",
            flush=True,
        )
    seconds = time.perf_counter() - started
    return {
        "model": options.model,
        "epochs": options.epochs,
        "lr": options.lr,
        "batch": options.batch,
        "seed": options.seed,
        "threads": options.threads,
        "memory_format": options.memory_format,
        "torch": torch.__version__,
        "train_images": len(labels),
        "test_images": len(test_labels),
        "top1": epochs[-1]["top1"],
        "loss": epochs[-1]["loss"],
        "images_per_s": steps * options.batch / seconds,
        "seconds": seconds,
        "per_epoch": epochs,
    }


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, choices=["alexnet-cifar", "resnet18-cifar", "mobilenetv2-cifar"])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10 in its binary version")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True, help="peak learning rate of the schedule")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory-format", default="channels_last", choices=["channels_last", "contiguous"])
    parser.add_argument("--json-out", help="also write the result to this file")
    return parser.parse_args()


def main():
    options = parse_options()
    text = json.dumps(train(options))
    if options.json_out:
        partial = Path(options.json_out + ".partial")
        partial.write_text(text + "\n")
        partial.replace(options.json_out)
    print(text)


if __name__ == "__main__":
    main()
