# SPDX-License-Identifier: Apache-2.0
"""Accuracy per width of dynamic networks, beside the networks that they stand in for.

Trains, for each seed: the groups of `alexnet-cifar` one after another
(incremental), all widths at once (joint), and joint after incremental, as towers
and nested; networks of their own with the multiply-adds of each width
(static); and the ungrouped network (dense).  All have the same total of epochs.
1,000 images are held back from training; the weights that are best on them are
kept.  With --test these are evaluated on the test part, once.

    python bench/dynamic.py --pinion build/tools/pinion/pinion --data shared/data/cifar10 --results DIR [--test]

Results are kept in --results, a folder a run; runs whose result is there are not
repeated.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

MODEL, GROUPS, BATCH, HELD_BACK = "alexnet-cifar", 4, 64, 1000
CONNECTIONS = ("towers", "nested")
LR = 0.05
FIRST = 1 / 3  # share of the epochs that are incremental before joint ones


def runs(epochs, distillation_weight):
    """{name: list of the option lists of its commands}; a command begins from the weights of the one before it."""
    each = str(epochs // GROUPS)
    before = max(1, round(FIRST * epochs / GROUPS))
    weight = ["--distillation-weight", distillation_weight]
    found = {"dense": [["--epochs", str(epochs)]]}
    found["static(1)"] = [["--groups", str(GROUPS), "--static", "1", "--epochs", str(epochs)]]  # the same for both
    for connect in CONNECTIONS:
        cut = ["--groups", str(GROUPS), "--connect", connect]
        found[connect + " incremental"] = [cut + ["--incremental", "--epochs", each]]
        found[connect + " joint"] = [cut + ["--joint", "--epochs", str(epochs)] + weight]
        found[connect + " incremental + joint"] = [
            cut + ["--incremental", "--epochs", str(before)],
            cut + ["--finetune-joint", "--epochs", str(epochs - GROUPS * before)] + weight,
        ]
        for width in range(2, GROUPS + 1):
            found[f"{connect} static({width})"] = [cut + ["--static", str(width), "--epochs", str(epochs)]]
    return found


def call(command):
    """Run a command with its progress on our standard error; returns its last line of output as JSON."""
    print("$ " + " ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with exit code {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def keep(path, value):
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    partial.replace(path)


def train(options, folder, commands, seed):
    """The results of the commands of a run; the last one's best weights stay in the folder."""
    results, before = [], None
    for number, extra in enumerate(commands):
        out = folder / f"{number}.safetensors"
        command = [options.pinion, "train", "--model", MODEL, "--data", f"cifar10:{options.data}"]
        command += ["--val-split", str(HELD_BACK), "--batch", str(BATCH), "--seed", str(seed)]
        command += ["--schedule", "onecycle", "--lr", str(LR), "--threads", str(options.threads)]
        command += ["--out", str(out), "--json"]
        if before:
            command += ["--weights", str(before)]
        results.append(call(command + extra))
        before = folder / f"{number}.best.safetensors"
    return {"runs": results, "weights": before.name, "seconds": sum(r.get("seconds", 0) for r in results)}


def run(options, name, commands, seed):
    folder = options.results / f"{name.replace(' ', '-')}-seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    trained, tested = folder / "trained.json", folder / "tested.json"
    if not trained.exists() and not options.no_runs:
        keep(trained, train(options, folder, commands, seed))
    if not trained.exists():
        return None
    result = json.loads(trained.read_text())
    if options.test and not tested.exists():
        weights = folder / result["weights"]
        keep(tested, call([options.pinion, "eval", "--weights", str(weights), "--data", f"cifar10:{options.data}", "--json"]))
    return json.loads(tested.read_text()) if tested.exists() else {"best": result["runs"][-1].get("best_validation_top1")}


def cell(values):
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{spread}"


def width_of(name):
    """The width that a network without groups stands beside."""
    return int(name.split("(")[1][0]) if "static(" in name else GROUPS


def show(table, seeds):
    print(f"{MODEL}, {GROUPS} groups: top-1 on the test part, mean and standard deviation of seeds {seeds}\n")
    print("| network | " + " | ".join(f"width {w}" for w in range(1, GROUPS + 1)) + " |")
    print("|---" * (GROUPS + 1) + "|")
    for name, results in table.items():
        tested = [r for r in results if r and "top1" in r]
        if 0 < len(tested) < len(results):
            name = f"{name} ({len(tested)} of {len(results)} seeds)"
        if not tested:
            best = [r["best"] for r in results if r and r.get("best") is not None]
            print(f"| {name} | best on the held-back images: {cell(best)} |" if best else f"| {name} | not there |")
        else:
            columns = [cell(values) for values in zip(*(r.get("top1_per_width") or [r["top1"]] for r in tested))]
            if len(columns) == 1:
                columns = [""] * (width_of(name) - 1) + columns
            print(f"| {name} | " + " | ".join(columns + [""] * (GROUPS - len(columns))) + " |")
    print("\nSummed confidence of the right class, per cent of the images:\n")
    for name, results in table.items():
        tested = [r for r in results if r and r.get("confidence_per_width")]
        if tested:
            shares = zip(*([100 * c / r["count"] for c in r["confidence_per_width"]] for r in tested))
            print(f"| {name} | " + " | ".join(cell(v) for v in shares) + " |")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pinion", default="build/tools/pinion/pinion", help="the command")
    parser.add_argument("--data", required=True, help="folder of CIFAR-10 in its binary version")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=24, help="in all, of every run")
    parser.add_argument("--distillation-weight", default="0.3", help="of joint training")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", help="names of runs")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--test", action="store_true", help="evaluate on the test part")
    parser.add_argument("--no-runs", action="store_true", help="only report what is there")
    return parser.parse_args()


def main():
    options = parse_options()
    possible = runs(options.epochs, options.distillation_weight)
    chosen = {name: commands for name, commands in possible.items() if not options.only or name in options.only}
    table = {name: [] for name in chosen}
    for seed in options.seeds:
        for name, commands in chosen.items():
            table[name].append(run(options, name, commands, seed))
    show(table, ", ".join(map(str, options.seeds)))


if __name__ == "__main__":
    main()
