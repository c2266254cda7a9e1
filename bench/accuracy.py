# SPDX-License-Identifier: Apache-2.0
"""Compare what Pinion and PyTorch reach with the same recipe on the same data.

For each model and seed runs `pinion train --json` and bench/recipe.py, prints both
means with their spread and the difference, and ends with exit code 1 where the
means differ by more than the bar of 1.5 points.  One standard error of a single
top-1 over 2,000 test images is about 1 point.

    python bench/accuracy.py --pinion build/tools/pinion/pinion --data shared/data/cifar10 --results DIR

Results are kept in the folder --results, one file a run, named
SIDE-MODEL-seedN.json; runs whose file is there are not repeated.  Results of
other folders are taken with --torch-results DIR and --pinion-results DIR.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

RECIPES = {  # epochs, peak learning rate
    "alexnet-cifar": (12, 0.05),
    "resnet18-cifar": (6, 0.1),
}
BATCH = 64
BAR = 1.5


def last_json_line(text):
    return json.loads(text.strip().splitlines()[-1])


def run(command):
    """Run a command with its progress on our standard error; returns its last line of output as JSON."""
    print("$ " + " ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with exit code {done.returncode}")
    return last_json_line(done.stdout)


def run_pinion(options, model, epochs, lr, seed):
    with tempfile.TemporaryDirectory() as folder:
        command = [options.pinion, "train", "--model", model, "--data", f"cifar10:{options.data}"]
        command += ["--epochs", str(epochs), "--lr", str(lr), "--batch", str(BATCH), "--seed", str(seed)]
        command += ["--schedule", "onecycle", "--threads", str(options.threads)]
        command += ["--out", str(Path(folder) / "weights.safetensors"), "--json"]
        return run(command)


def run_torch(options, model, epochs, lr, seed):
    script = Path(__file__).with_name("recipe.py")
    command = [options.python, str(script), "--model", model, "--data", options.data]
    command += ["--epochs", str(epochs), "--lr", str(lr), "--batch", str(BATCH), "--seed", str(seed)]
    command += ["--threads", str(options.threads)]
    return run(command)


RUNNERS = {"pinion": run_pinion, "torch": run_torch}


def stored(folders, side, model, recipe):
    """{seed: result} of the files of one side and model; a file of another recipe is an error."""
    found = {}
    for folder in folders:
        for file in sorted(Path(folder).glob(f"{side}-{model}-seed*.json")):
            result = json.loads(file.read_text())
            kept = {key: result.get(key) for key in recipe}
            if kept != recipe:
                sys.exit(f"{file} is of another recipe: {kept}, expected {recipe}")
            found.setdefault(int(result["seed"]), result)
    return found


def store(folder, side, model, seed, result):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{side}-{model}-seed{seed}.json"
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(result) + "\n")
    partial.replace(file)


def results_of(options, side, model):
    """{seed: result} for each seed asked for: from files where there are any, else from new runs."""
    epochs, lr = RECIPES[model]
    recipe = {"model": model, "epochs": epochs, "lr": lr, "batch": BATCH}
    folders = [f for f in (options.results, getattr(options, side + "_results")) if f]
    found = stored(folders, side, model, recipe)
    for seed in options.seeds:
        if seed in found or options.no_runs:
            continue
        found[seed] = {**RUNNERS[side](options, model, epochs, lr, seed), **recipe, "seed": seed}
        if options.results:
            store(options.results, side, model, seed, found[seed])
    return {seed: found[seed] for seed in options.seeds if seed in found}


def summary(side, results):
    values = [result["top1"] for result in results.values()]
    sd = stdev(values) if len(values) > 1 else math.nan
    each = " ".join(f"{value:.2f}" for value in values)
    print(f"  {side:8} mean {mean(values):6.2f} %  min {min(values):.2f}  max {max(values):.2f}  sd {sd:.2f}  ({each})")
    return mean(values)


def compare(options, model):
    """Print the comparison of one model; returns whether it holds."""
    epochs, lr = RECIPES[model]
    results = {side: results_of(options, side, model) for side in ("torch", "pinion")}
    seeds = ", ".join(map(str, options.seeds))
    print(f"{model}: top-1, batch {BATCH}, {epochs} epochs, onecycle to {lr}, seeds {seeds}")
    for side, found in results.items():
        if len(found) < len(options.seeds):
            print(f"  {side}: {len(found)} of {len(options.seeds)} runs are there")
    if not all(results.values()):
        return False
    means = {side: summary(side, found) for side, found in results.items()}
    difference = means["pinion"] - means["torch"]
    complete = all(len(found) == len(options.seeds) for found in results.values())
    holds = complete and abs(difference) <= BAR
    verdict = "within" if abs(difference) <= BAR else "beyond"
    so_far = "" if complete else " so far"
    print(f"  Pinion - PyTorch {difference:+.2f} points: {verdict} the bar of {BAR} points{so_far}")
    return holds


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pinion", default="build/tools/pinion/pinion", help="the command")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--data", help="folder of CIFAR-10 in its binary version")
    parser.add_argument("--models", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, help="folder where results are kept and looked for")
    parser.add_argument("--torch-results", type=Path, help="folder of earlier results of PyTorch")
    parser.add_argument("--pinion-results", type=Path, help="folder of earlier results of Pinion")
    parser.add_argument("--no-runs", action="store_true", help="only report what the files hold")
    options = parser.parse_args()
    if not options.data and not options.no_runs:
        parser.error("--data is needed unless --no-runs is given")
    return options


def main():
    options = parse_options()
    held = [compare(options, model) for model in options.models]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
