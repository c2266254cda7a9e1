# SPDX-License-Identifier: Apache-2.0
"""One peer of a comparison, in a process of its own; peers.py starts it.

Each library has threads that spin for a while when they have nothing to do, and
brings an OpenMP or pool of its own: in processes of their own they cannot meet,
and a process that waits for its turn sleeps.  The process answers in lines of
JSON: first {"version": …} (or {"absent": why}), then {"median_ms": …, "steps": …}
for each line with a budget in seconds that it reads.  With --export it writes
the network as ONNX instead, with --memory it reports how resident memory grows.
"""

import argparse
import json
import re
import sys
import time
import warnings
from importlib import import_module
from statistics import median

OPSET = 17
LEAST_STEPS = 5


def quiet_import(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


def image_shape(options):
    return (options.batch, 3, options.size, options.size)


# -- PyTorch ---------------------------------------------------------------------------------------------------------


def torch_network(options, memory_format):
    """The network with the recipe's initial weights."""
    torch, models = quiet_import("torch"), quiet_import("torch_models")
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    network = models.create(options.model, classes=options.classes)
    models.init_weights(network)
    return network.to(memory_format=memory_format).train(options.passes == "train")


def torch_training(options, network, memory_format):
    """A function that does one step of training, and its optimiser."""
    import torch
    import torch_models

    optimizer = torch_models.create_sgd(network, lr=0.01)
    inputs = torch.randn(image_shape(options)).contiguous(memory_format=memory_format)
    labels = torch.randint(0, options.classes, (options.batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(network(inputs), labels)
        loss.backward()
        optimizer.step()

    return step, optimizer


def torch_inference(options, network, memory_format, frozen):
    """A function that does one inference; `frozen` folds batch norm and fuses (optimize_for_inference)."""
    import torch

    inputs = torch.randn(image_shape(options)).contiguous(memory_format=memory_format)
    if frozen:
        with torch.no_grad():
            network = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, inputs)))

    def step():
        with torch.inference_mode():
            network(inputs)

    return step


def torch_version(torch):
    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    return f"{torch.__version__}, oneDNN {onednn.group(1) if onednn else 'unavailable'}"


def torch_format(torch, name):
    return torch.channels_last if "channels_last" in name else torch.contiguous_format


def start_torch(options):
    torch = quiet_import("torch")
    memory_format = torch_format(torch, options.side)
    network = torch_network(options, memory_format)
    if options.passes == "train":
        step, _ = torch_training(options, network, memory_format)
    else:
        step = torch_inference(options, network, memory_format, "frozen" in options.side)
    return step, torch_version(torch)


def export_onnx(options):
    """The network in inference form, its batch norms folded by the exporter."""
    torch = quiet_import("torch")
    network = torch_network(options, torch.contiguous_format).eval()
    torch.onnx.export(network, torch.randn(image_shape(options)), options.export, opset_version=OPSET)


# -- ONNX Runtime and OpenVINO -----------------------------------------------------------------------------------------


def random_images(options):
    numpy = quiet_import("numpy")
    return numpy.random.default_rng(1).standard_normal(image_shape(options), dtype=numpy.float32)


def start_onnxruntime(options):
    runtime = quiet_import("onnxruntime")
    chosen = runtime.SessionOptions()
    chosen.intra_op_num_threads = options.threads
    chosen.inter_op_num_threads = 1
    chosen.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = runtime.InferenceSession(options.onnx, chosen, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: random_images(options)}
    return lambda: session.run(None, feed), runtime.__version__


def start_openvino(options):
    openvino = quiet_import("openvino")
    chosen = {
        "INFERENCE_NUM_THREADS": options.threads,
        "INFERENCE_PRECISION_HINT": "f32",  # on processors with bf16 it would compute in bf16
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    compiled = openvino.Core().compile_model(openvino.Core().read_model(options.onnx), "CPU", chosen)
    request, images = compiled.create_infer_request(), random_images(options)
    return lambda: request.infer([images], share_inputs=True, share_outputs=True), openvino.__version__


STARTERS = {"PyTorch": start_torch, "ONNX": start_onnxruntime, "OpenVINO": start_openvino}


# -- memory ------------------------------------------------------------------------------------------------------------


def status_bytes(key):
    """A line of /proc/self/status in bytes: VmRSS (resident memory), VmHWM (its peak)."""
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(rf"{key}:\s*(\d+) kB", status.read()).group(1))


def report_memory(options):
    """Peak of resident memory over some steps beyond what it was with weights, less momentum (as bench/memory.c)."""
    torch = quiet_import("torch")
    memory_format = torch_format(torch, options.side)
    network = torch_network(options, memory_format)
    before = status_bytes("VmRSS")
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")  # the peak counts from here
    step, optimizer = torch_training(options, network, memory_format)
    for _ in range(options.memory):
        step()
    growth = status_bytes("VmHWM") - before
    moments = [t for state in optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
    momentum = sum(t.numel() * t.element_size() for t in moments)
    return {"growth_bytes": growth, "momentum_bytes": momentum, "beyond_bytes": growth - momentum}


# -- the process -------------------------------------------------------------------------------------------------------


def timed(step, budget):
    """Median of the steps that fit into the budget, after a warm-up of a fifth of it (two steps at least)."""
    started, warm = time.perf_counter(), 0
    while warm < 2 or time.perf_counter() - started < budget / 5:
        step()
        warm += 1
    times, started = [], time.perf_counter()
    while len(times) < LEAST_STEPS or time.perf_counter() - started < budget:
        before = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - before))
    return {"median_ms": median(times), "steps": len(times)}


def answer(value):
    print(json.dumps(value), flush=True)


def serve(options):
    step, version = STARTERS[options.side.split()[0]](options)
    step()
    answer({"version": version})
    for line in sys.stdin:
        answer(timed(step, float(line)))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", default="PyTorch", help="PyTorch [contiguous|channels_last|frozen], ONNX …, OpenVINO")
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--pass", dest="passes", default="infer", choices=["train", "infer"])
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--onnx", help="the network for ONNX Runtime and OpenVINO")
    parser.add_argument("--export", help="write the network to this file as ONNX and end")
    parser.add_argument("--memory", type=int, default=0, help="report the growth of memory over this many steps and end")
    return parser.parse_args()


def main():
    options = parse_options()
    try:
        if options.export:
            answer({"exported": export_onnx(options) is None})
        elif options.memory:
            answer(report_memory(options))
        else:
            serve(options)
    except ModuleNotFoundError as missing:
        answer({"absent": f"not installed ({missing.name})"})


if __name__ == "__main__":
    main()
