# SPDX-License-Identifier: Apache-2.0
"""Time Pinion beside PyTorch, ONNX Runtime and OpenVINO, in turn, on the same cores, in the same run.

Machines are noisy, so all sides alternate for some rounds; the time of a side is
the median over rounds of the median step of a round.  A ratio is the best peer's
time over Pinion's, each peer in its best form: above 1 Pinion is faster.
Peers come from their public Python packages; one that is not there is named as
not installed.  OpenVINO is told to compute in fp32 (it would choose bf16 where the
processor has it), everybody to use the same number of threads.

    python bench/peers.py --pinion build/tools/pinion/pinion --cases train-alexnet-cifar-64
    python bench/peers.py --pinion build/tools/pinion/pinion --all --keep results.json

A case is KIND-MODEL-BATCH with the kind
  train, infer   time of a step of training, of inference
  memory         growth of resident memory while training, beyond weights and momentum
  threads        Pinion's step of training with one thread over that with --threads
  limit          Pinion's step of training with memory for half of its activations and
                 gradients over that of the fastest plan: here less is better
  start          from the start of a process to its first step of training, with wisdom
Results are kept in the file --keep, so a table can be made from several runs: at
the end the table of all that the file holds is printed as Markdown.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median

ALL = (
    "train-resnet18-cifar-32",
    "train-resnet18-cifar-1",
    "train-alexnet-cifar-64",
    "train-mobilenetv2-cifar-32",
    "infer-resnet18-cifar-1",
    "infer-resnet18-cifar-32",
    "memory-resnet18-cifar-32",
    "threads-resnet18-cifar-32",
    "limit-resnet18-cifar-32",
    "start-resnet18-cifar-32",
)
KINDS = "train|infer|memory|threads|limit|start"
TORCH = ("PyTorch contiguous", "PyTorch channels_last")
INFERENCE = (*TORCH, "PyTorch frozen", "ONNX Runtime", "OpenVINO")
SIDES = Path(__file__).with_name("peer_sides.py")
MEMORY_STEPS = 5
LEAST_STEPS = 5
SETTLE = 0.2  # seconds in which the threads of the side before fall asleep


def say(text):
    print(text, file=sys.stderr, flush=True)


def run_json(command):
    """Run a command to its end; its last line of output as JSON."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


class Case:
    def __init__(self, text):
        found = re.fullmatch(rf"({KINDS})-([\w.-]+)-(\d+)", text)
        if not found:
            sys.exit(f"a case is KIND-MODEL-BATCH with the kind {KINDS}, not '{text}'")
        self.name, self.kind, self.model, self.batch = text, found[1], found[2], int(found[3])
        self.passes = "infer" if self.kind == "infer" else "train"

    def peer_command(self, options, side):
        large = self.model == "resnet18"
        command = [options.python, str(SIDES), "--side", side, "--model", self.model, "--batch", str(self.batch)]
        command += ["--pass", self.passes, "--threads", str(options.threads)]
        return command + (["--classes", "1000", "--size", "224"] if large else [])


class Peer:
    """A peer in its process; `absent` says why there is none."""

    def __init__(self, options, case, side, onnx):
        command = case.peer_command(options, side) + (["--onnx", onnx] if onnx else [])
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        first = self.read()
        self.absent, self.version = first.get("absent"), first.get("version")

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.process.args)}: ended with exit code {self.process.wait()}")
        return json.loads(line)

    def measure(self, budget):
        self.process.stdin.write(f"{budget}\n")
        self.process.stdin.flush()
        return self.read()["median_ms"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Pinion:
    """`pinion bench`, a process a round; as many steps as fit into the budget by what the round before took."""

    def __init__(self, options, case, threads=0, limit=0):
        self.command = [options.pinion, "bench", "--model", case.model, "--batch", str(case.batch)]
        self.command += ["--pass", case.passes, "--threads", str(threads or options.threads), "--json"]
        self.command += (["--mem-limit", str(limit)] if limit else []) + options.extra.split()
        self.steps, self.absent, self.version = LEAST_STEPS, None, None
        try:
            self.version = subprocess.run([options.pinion, "version"], stdout=subprocess.PIPE, text=True).stdout
        except OSError as error:
            self.absent = f"not built ({error.strerror})"
        else:
            self.measure(options.budget)  # leaves wisdom for the rounds

    def measure(self, budget):
        step = run_json([*self.command, "--reps", str(self.steps)])["step_ms"]["median"]
        self.steps = max(LEAST_STEPS, int(1e3 * budget / step))
        return step

    def close(self):
        pass


def version_of(side):
    return side.version.splitlines()[0] if side.version else side.absent


def export_onnx(options, case, folder):
    """The network as ONNX for the peers that read it; None where PyTorch, which writes it, is not installed."""
    file = str(Path(folder) / "network.onnx")
    report = run_json([*case.peer_command(options, "PyTorch"), "--export", file])
    return None if "absent" in report else file


def own_sides(options, case):
    """{label: settings} of Pinion's sides; the second one, where there is one, is what the first is compared with."""
    if case.kind == "threads":
        return {"Pinion": {}, "Pinion, 1 thread": {"threads": 1}}
    if case.kind == "limit":
        return {"Pinion": {"limit": "none"}, "Pinion, limited": {"limit": half_limit(options, case)}}
    return {"Pinion": {}}


def open_sides(options, case, folder):
    """{label: side} of those that are there, {label: version or why it is absent} of all."""
    sides, versions, onnx = {}, {}, None
    if case.kind == "infer":
        onnx = export_onnx(options, case, folder)
    labels = {"train": TORCH, "infer": INFERENCE}.get(case.kind, ())
    for label in labels:
        if not label.startswith("PyTorch") and not onnx:
            versions[label] = "without the network, which PyTorch would export"
            continue
        side = Peer(options, case, label, onnx)
        versions[label.split(" c")[0].split(" f")[0]] = version_of(side)
        if not side.absent:
            sides[label] = side
    for label, settings in own_sides(options, case).items():
        side = Pinion(options, case, **settings)
        versions["Pinion"] = version_of(side)
        if not side.absent:
            sides[label] = side
    return sides, versions


def run_rounds(options, sides):
    """{label: [median step in ms of each round]}, all sides in turn."""
    times = {label: [] for label in sides}
    for number in range(1, options.rounds + 1):
        for label, side in sides.items():
            time.sleep(SETTLE)
            times[label].append(side.measure(options.budget))
        line = "  ".join(f"{label} {values[-1]:.2f}" for label, values in times.items())
        say(f"round {number}/{options.rounds}: {line} ms")
    return times


def with_ratio(result, times=None, others=None):
    """Adds the best other side over Pinion, and the range of this ratio over rounds."""
    others = [label for label in others or result["median"] if label in result["median"] and label != "Pinion"]
    if others and "Pinion" in result["median"]:
        best = min(others, key=result["median"].get)
        result["best"], result["ratio"] = best, result["median"][best] / result["median"]["Pinion"]
        each = sorted(other / own for other, own in zip(times[best], times["Pinion"])) if times else []
        result["ratio_range"] = [each[0], each[-1]] if each else []
    return result


def compare(options, case):
    """One case of time: medians, ranges and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        sides, versions = open_sides(options, case, folder)
        times = run_rounds(options, sides)
        for side in sides.values():
            side.close()
    result = {"case": case.name, "unit": "ms", "rounds": options.rounds, "versions": versions}
    result["median"] = {label: median(values) for label, values in times.items()}
    result["range"] = {label: [min(values), max(values)] for label, values in times.items()}
    return with_ratio(result, times)


def memory_program(options, case, steps, limit="auto"):
    program = Path(options.bench or Path(options.pinion).resolve().parents[2] / "bench") / "memory"
    return [str(program), case.model, str(case.batch), str(options.threads), str(steps), str(limit)]


def half_limit(options, case):
    """Memory for weights, momentum and half of the rest of what the fastest plan takes."""
    report = run_json(memory_program(options, case, 0, "none"))
    return report["weight_bytes"] + report["momentum_bytes"] + report["arena_bytes"] // 2


def compare_memory(options, case):
    """Growth of resident memory over some steps of training, beyond weights and momentum, in MiB."""
    commands = {side: [*case.peer_command(options, side), "--memory", str(MEMORY_STEPS)] for side in TORCH}
    commands["Pinion"] = memory_program(options, case, MEMORY_STEPS)
    if Path(commands["Pinion"][0]).exists():
        commands["Pinion, fastest"] = memory_program(options, case, MEMORY_STEPS, "none")
        commands["Pinion, limited"] = memory_program(options, case, MEMORY_STEPS, half_limit(options, case))
    growth, versions = {}, {}
    for label, command in commands.items():
        try:
            reports = [run_json(command) for _ in range(3)]  # the first one of Pinion's may measure kernels
        except FileNotFoundError:
            reports = [{"absent": "not built"}]
        if "absent" in reports[-1]:
            versions[label] = reports[-1]["absent"]
        else:
            growth[label] = min(report["beyond_bytes"] for report in reports[1:]) / 2**20
            say(f"{label}: {reports[-1]}")
    return with_ratio({"case": case.name, "unit": "MiB", "versions": versions, "median": growth}, others=TORCH)


def measure_start(options, case):
    """From the start of a process until its network has weights, its plan is made and its memory is there."""
    command, times = memory_program(options, case, 0), []
    for _ in range(options.rounds + 1):
        started = time.perf_counter()
        run_json(command)
        times.append(1e3 * (time.perf_counter() - started))
    times = times[1:]  # the first one may measure kernels
    result = {"case": case.name, "unit": "ms", "versions": {}, "median": {"Pinion": median(times)}}
    return {**result, "rounds": len(times), "range": {"Pinion": [min(times), max(times)]}}


# -- what is printed ---------------------------------------------------------------------------------------------------


def processor_name():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"(?:model name|Hardware)\s*:\s*(.+)", cpuinfo.read_text())
        if found:
            return found.group(1)
    return platform.processor() or platform.machine()


def print_case(result):
    print(f"{result['case']}, {result['unit']}" + (f", {result['rounds']} rounds" if "rounds" in result else ""))
    for label, value in sorted(result["median"].items(), key=lambda item: item[1]):
        low, high = result.get("range", {}).get(label, (value, value))
        print(f"  {label:22} {value:9.2f}" + (f"  (rounds {low:.2f} .. {high:.2f})" if low != high else ""))
    for label, text in result["versions"].items():
        print(f"  {label:22} {text}")
    if "ratio" in result:
        spread = "  (rounds {:.2f} .. {:.2f})".format(*result["ratio_range"]) if result["ratio_range"] else ""
        print(f"  {result['best']} / Pinion = {result['ratio']:.2f}{spread}", flush=True)


def cell(result, kind):
    """The best side of a library in its best form."""
    found = {label: value for label, value in result["median"].items() if label.split()[0] == kind and "," not in label}
    if not found:
        return "–"
    best = min(found, key=found.get)
    form = best.partition(" ")[2] if kind == "PyTorch" else ""
    return f"{found[best]:.1f}" + (f" ({form})" if form else "")


def print_table(options, results):
    versions = {label: text for result in results for label, text in result["versions"].items()}
    named = "; ".join(f"{label} {text}".replace("Pinion pinion", "Pinion") for label, text in versions.items())
    print(f"\n{date.today():%d %B %Y}, {processor_name()}, {options.threads} threads, fp32; {named}.\n")
    print("| case | unit | PyTorch | ONNX Runtime | OpenVINO | Pinion | ratio | of rounds | ratio of |")
    print("|---|---|---|---|---|---|---|---|---|")
    for result in results:
        cells = [cell(result, kind) for kind in ("PyTorch", "ONNX", "OpenVINO", "Pinion")]
        ratio = f"{result['ratio']:.2f}" if "ratio" in result else "–"
        spread = " – ".join(f"{value:.2f}" for value in result.get("ratio_range", [])) or "–"
        best = result.get("best", "–")
        for label, value in result["median"].items():
            if label.startswith("Pinion,"):
                best = f"{best}; {label}: {value:.1f}" if label != best else f"{label}: {value:.1f}"
        print(f"| {result['case']} | {result['unit']} | {' | '.join(cells)} | {ratio} | {spread} | {best} |")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pinion", default="build/tools/pinion/pinion", help="the command")
    parser.add_argument("--bench", help="folder of Pinion's bench programs; default: beside the command's in its build")
    parser.add_argument("--python", default=sys.executable, help="a Python that has the peers' packages")
    parser.add_argument("--cases", nargs="+", default=[], metavar="KIND-MODEL-BATCH")
    parser.add_argument("--all", action="store_true", help="these cases: " + " ".join(ALL))
    parser.add_argument("--model", default="resnet18-cifar")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pass", dest="passes", default="train", choices=["train", "infer"])
    parser.add_argument("--memory", action="store_true", help="growth of memory instead of time")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=1.0, help="seconds of timed steps of a side in a round")
    parser.add_argument("--extra", default="", help="further options of pinion bench, in one string")
    parser.add_argument("--keep", type=Path, help="file of results, read and added to")
    parser.add_argument("--json", action="store_true", help="a JSON object as the last line")
    options = parser.parse_args()
    if options.all:
        options.cases = list(ALL)
    if not options.cases and not (options.keep and options.keep.exists() and len(sys.argv) == 3):
        options.cases = [f"{'memory' if options.memory else options.passes}-{options.model}-{options.batch}"]
    return options


def main():
    options = parse_options()
    kept = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    for case in map(Case, options.cases):
        result = {"memory": compare_memory, "start": measure_start}.get(case.kind, compare)(options, case)
        kept[case.name] = result
        print_case(result)
        if options.keep:
            options.keep.write_text(json.dumps(kept, indent=1) + "\n")
    order = sorted(kept.values(), key=lambda result: ALL.index(result["case"]) if result["case"] in ALL else len(ALL))
    print_table(options, order)
    if options.json:
        print(json.dumps(kept))


if __name__ == "__main__":
    main()
