#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Placement by batch size: what each way of placing a step was predicted to take, and what it took.

    PINION_WISDOM=w.json python3 bench/placement.py --processors cpu/1,opencl:0/1 --out placement.json
    python3 bench/placement.py --show placement.json

All predictions of a batch are written to the file before the first of its steps is measured, and so is each plan: what is
measured is the plan that was predicted. Runs alternate between the ways, several rounds; a figure is the median of the
rounds' medians. Beside them `--threads` runs the step on so many threads of the CPU alone: what the machine has to give
while its cores are busy at once. Batches that the file holds already are left alone, so a long table may be made in parts.
The command is $PINION_BINARY, else build/tools/pinion/pinion.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

WAYS = ["greedy", "layerwise", "serial", "concurrent", "unsliced"]
THREADS = "threads"


def pinion(arguments):
    binary = os.environ.get("PINION_BINARY", "build/tools/pinion/pinion")
    done = subprocess.run([binary] + arguments + ["--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("pinion %s: exit code %d" % (" ".join(arguments), done.returncode))
    return json.loads(done.stdout.decode().splitlines()[-1])


def predict(options, batch, folder):
    """The prediction of each way is that of its own plan, hand-overs and recomputation included."""
    common = ["--model", options.model, "--batch", str(batch), "--processors", options.processors]
    ways = options.processors.split(",") + WAYS
    pinion(["profile"] + common)
    plans = {way: pinion(["plan"] + common + ["--place", way, "--out", plan_file(folder, batch, way)]) for way in ways}
    bound = min(plan["bound_ms"] for plan in plans.values())
    return {
        "predicted": {way: plans[way]["predicted_ms"] for way in ways},
        "bound": bound,
        "measured": {},
        "copied": {},
        "power": {},
    }


def plan_file(folder, batch, way):
    return os.path.join(folder, "%d-%s.json" % (batch, way.replace("/", "-").replace(":", "-")))


def measure(options, batch, row, folder):
    common = ["--model", options.model, "--batch", str(batch), "--reps", str(options.reps)]
    times = {way: [] for way in list(row["predicted"]) + ([THREADS] if options.threads else [])}
    for _ in range(options.rounds):
        for way in times:
            placed = ["--processors", options.processors, "--place", plan_file(folder, batch, way)]
            run = pinion(["bench"] + common + (["--threads", str(options.threads)] if way == THREADS else placed))
            times[way].append(run["step_ms"]["median"])
            row["copied"][way] = run["copied_bytes"]
            row["power"][way] = run["power_w"]
    row["measured"] = {way: statistics.median(values) for way, values in times.items()}
    row["rounds"] = times


def show(table):
    rows = table["batches"]
    ways = list(next(iter(rows.values()))["predicted"])
    print("| batch | " + " | ".join(ways) + " | bound | threads |")
    print("|---" * (len(ways) + 3) + "|")
    for batch in sorted(rows, key=int):
        row = rows[batch]
        cells = ["%.1f / %.1f" % (row["predicted"][way], row["measured"][way]) for way in ways]
        threads = "%.1f" % row["measured"][THREADS] if THREADS in row["measured"] else ""
        print("| %s | %s | %.1f | %s |" % (batch, " | ".join(cells), row["bound"], threads))
    errors = {way: statistics.median(abs(rows[b]["predicted"][way] / rows[b]["measured"][way] - 1) for b in rows)
              for way in ways}
    print("\nmedian error of predictions: " + ", ".join("%s %.0f %%" % (way, 100 * errors[way]) for way in ways))
    watts = [row["power"][way] for row in rows.values() for way in ways]
    known = all(value is not None for value in watts)
    print("average power: " + ("%.2f to %.2f W" % (min(watts), max(watts)) if known else "unavailable"))
    print("bytes copied a step: " + ", ".join("%s %d" % (way, max(rows[b]["copied"][way] for b in rows)) for way in ways))


def keep(options, table):
    with open(options.out, "w") as file:
        json.dump(table, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18-cifar")
    parser.add_argument("--processors", default="cpu/1,opencl:0/1")
    parser.add_argument("--batches", default="1,2,4,8,16,32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reps", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2, help="0: without that column")
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
    with tempfile.TemporaryDirectory() as folder:
        for batch in options.batches.split(","):
            row = table["batches"].get(batch)
            if row and row["measured"]:
                continue
            table["batches"][batch] = row = predict(options, int(batch), folder)
            keep(options, table)
            measure(options, int(batch), row, folder)
            keep(options, table)
    show(table)


if __name__ == "__main__":
    main()
