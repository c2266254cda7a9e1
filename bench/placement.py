#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Placement by batch size: what each way of placing a step was predicted to take, and what it took.

    PINION_WISDOM=w.json python3 bench/placement.py --processors cpu/1,opencl:0/1 --out placement.json
    python3 bench/placement.py --show placement.json

All predictions of a batch are written to the file before the first of its steps is measured. Measured runs alternate
between the ways, several rounds; a figure is the median of the rounds' medians. Batches that the file holds already are
left alone, so a long table may be made in parts. The command is $PINION_BINARY, else build/tools/pinion/pinion.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

WAYS = ["greedy", "layerwise", "serial", "concurrent"]


def pinion(arguments):
    binary = os.environ.get("PINION_BINARY", "build/tools/pinion/pinion")
    done = subprocess.run([binary] + arguments + ["--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("pinion %s: exit code %d" % (" ".join(arguments), done.returncode))
    return json.loads(done.stdout.decode().splitlines()[-1])


def predict(options, batch):
    """The prediction of each way is that of its own plan, hand-overs and recomputation included."""
    common = ["--model", options.model, "--batch", str(batch), "--processors", options.processors]
    ways = options.processors.split(",") + WAYS
    plans = {way: pinion(["plan"] + common + ["--place", way]) for way in ways}
    bound = min(plan["bound_ms"] for plan in plans.values())
    return {"predicted": {way: plans[way]["predicted_ms"] for way in ways}, "bound": bound, "measured": {}, "copied": {}}


def measure(options, batch, row):
    common = ["--model", options.model, "--batch", str(batch), "--processors", options.processors, "--reps",
              str(options.reps)]
    times = {way: [] for way in row["predicted"]}
    for _ in range(options.rounds):
        for way in times:
            run = pinion(["bench"] + common + ["--place", way])
            times[way].append(run["step_ms"]["median"])
            row["copied"][way] = run["copied_bytes"]
    row["measured"] = {way: statistics.median(values) for way, values in times.items()}


def show(table):
    rows = table["batches"]
    ways = list(next(iter(rows.values()))["predicted"])
    print("| batch | " + " | ".join(ways) + " | bound |")
    print("|---" * (len(ways) + 2) + "|")
    for batch in sorted(rows, key=int):
        row = rows[batch]
        cells = ["%.1f / %.1f" % (row["predicted"][way], row["measured"][way]) for way in ways]
        print("| %s | %s | %.1f |" % (batch, " | ".join(cells), row["bound"]))
    errors = {way: statistics.median(abs(rows[b]["predicted"][way] / rows[b]["measured"][way] - 1) for b in rows)
              for way in ways}
    print("\nmedian error of predictions: " + ", ".join("%s %.0f %%" % (way, 100 * errors[way]) for way in ways))
    print("bytes copied a step: " + ", ".join("%s %d" % (way, max(rows[b]["copied"][way] for b in rows)) for way in ways))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18-cifar")
    parser.add_argument("--processors", default="cpu/1,opencl:0/1")
    parser.add_argument("--batches", default="1,2,4,8,16,32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reps", type=int, default=7)
    parser.add_argument("--out", default="placement.json")
    parser.add_argument("--show", metavar="FILE")
    options = parser.parse_args()
    if options.show:
        with open(options.show) as file:
            show(json.load(file))
        return
    table = {"model": options.model, "processors": options.processors, "batches": {}}
    if os.path.exists(options.out):
        with open(options.out) as file:
            table = json.load(file)
    for batch in options.batches.split(","):
        row = table["batches"].get(batch)
        if row and row["measured"]:
            continue
        table["batches"][batch] = row = predict(options, int(batch))
        with open(options.out, "w") as file:
            json.dump(table, file, indent=1)
        measure(options, int(batch), row)
        with open(options.out, "w") as file:
            json.dump(table, file, indent=1)
    show(table)


if __name__ == "__main__":
    main()
