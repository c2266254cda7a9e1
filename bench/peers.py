# SPDX-License-Identifier: Apache-2.0
"""Time a step of Pinion and of PyTorch in turn, on the same cores, in the same run.

Machines are noisy, so the two alternate for some rounds: PyTorch in both memory
formats within this process, then `pinion bench`.  The time of a side is the median
over rounds of the median step of a round; PyTorch's better format counts.  The
last line is Pinion's time over PyTorch's; with --max-ratio X the exit code is 1
where it is larger.

    python bench/peers.py --pinion build/pinion
    python bench/peers.py --pinion build/pinion --model alexnet-cifar --batch 64 --pass infer
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from torch import nn

import torch_models

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class TorchStep:
    """A network of PyTorch with a fixed batch; `run` does one step of the wanted pass."""

    def __init__(self, options, memory_format):
        torch.manual_seed(1)
        self.train = options.passes == "train"
        self.network = torch_models.create(options.model, classes=options.classes)
        torch_models.init_weights(self.network)
        self.network = self.network.to(memory_format=memory_format).train(self.train)
        self.optimizer = torch_models.create_sgd(self.network, lr=0.01)
        shape = (options.batch, 3, options.size, options.size)
        self.inputs = torch.randn(shape).contiguous(memory_format=memory_format)
        self.labels = torch.randint(0, options.classes, (options.batch,))

    def run(self):
        if not self.train:
            with torch.inference_mode():
                return self.network(self.inputs)
        self.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self.network(self.inputs), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def median_ms(self, warmup, reps):
        times = []
        for i in range(warmup + reps):
            started = time.perf_counter()
            self.run()
            if i >= warmup:
                times.append(1e3 * (time.perf_counter() - started))
        return median(times)


def bench_pinion(options):
    command = [options.pinion, "bench", "--model", options.model, "--batch", str(options.batch)]
    command += ["--pass", options.passes, "--threads", str(options.threads), "--reps", str(options.reps), "--json"]
    done = subprocess.run(command + options.extra.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def processor_name():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"(?:model name|Hardware)\s*:\s*(.+)", cpuinfo.read_text())
        if found:
            return found.group(1)
    return platform.processor() or platform.machine()


def print_versions(options):
    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    version = subprocess.run([options.pinion, "version"], stdout=subprocess.PIPE, text=True).stdout.splitlines()
    print(f"machine  {processor_name()}, {options.threads} threads")
    print(f"PyTorch  {torch.__version__}, oneDNN {onednn.group(1) if onednn else 'unavailable'}")
    print(f"Pinion   {version[0] if version else 'unavailable'}")


def measure(options):
    """Rounds in turn; {side: [median step in ms of each round]} and Pinion's last report."""
    steps = {name: TorchStep(options, memory_format) for name, memory_format in FORMATS.items()}
    times, report = {name: [] for name in (*steps, "pinion")}, {}
    for number in range(1, options.rounds + 1):
        for name, step in steps.items():
            times[name].append(step.median_ms(options.warmup, options.reps))
        report = bench_pinion(options)
        times["pinion"].append(report["step_ms"]["median"])
        line = "  ".join(f"{name} {values[-1]:.1f}" for name, values in times.items())
        print(f"round {number}/{options.rounds}: {line} ms", file=sys.stderr, flush=True)
    return times, report


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pinion", default="build/pinion", help="the command")
    parser.add_argument("--model", default="resnet18-cifar", choices=list(torch_models.MODELS))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pass", dest="passes", default="train", choices=["train", "infer"])
    parser.add_argument("--classes", type=int, default=0, help="default: 10, resnet18 1000")
    parser.add_argument("--size", type=int, default=0, help="height and width of the images; default: 32, resnet18 224")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reps", type=int, default=7, help="timed steps of a side in a round")
    parser.add_argument("--warmup", type=int, default=2, help="steps before PyTorch's timed ones")
    parser.add_argument("--extra", default="", help="further options of pinion bench, in one string")
    parser.add_argument("--max-ratio", type=float, help="exit with 1 above this ratio")
    parser.add_argument("--json", action="store_true", help="a JSON object as the last line")
    options = parser.parse_args()
    large = options.model == "resnet18"
    options.classes = options.classes or (1000 if large else 10)
    options.size = options.size or (224 if large else 32)
    return options


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    print_versions(options)
    times, report = measure(options)
    medians = {name: median(values) for name, values in times.items()}
    better = min(FORMATS, key=medians.get)
    each = sorted(p / t for p, t in zip(times["pinion"], times[better]))
    ratio = medians["pinion"] / medians[better]

    what = f"{options.model}, batch {options.batch}, {options.passes}"
    print(f"{what}: median step of {options.rounds} alternating rounds")
    for name, values in times.items():
        label = "Pinion" if name == "pinion" else f"PyTorch {name}"
        gflops = f"  {report['gflops']:.1f} GFLOP/s" if name == "pinion" and report.get("gflops") else ""
        print(f"  {label:22} {medians[name]:8.2f} ms  (rounds {min(values):.2f} .. {max(values):.2f}){gflops}")
    print(f"Pinion / PyTorch ({better}) = {ratio:.3f}  (rounds {each[0]:.3f} .. {each[-1]:.3f})")
    if options.json:
        result = {"ratio": ratio, "better": better, "median_ms": medians, "rounds_ms": times, "pinion": report}
        print(json.dumps(result))
    sys.exit(1 if options.max_ratio and ratio > options.max_ratio else 0)


if __name__ == "__main__":
    main()
