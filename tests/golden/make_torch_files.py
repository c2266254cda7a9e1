# SPDX-License-Identifier: Apache-2.0
"""Write a resnet18 state dict as PyTorch users save it, and what PyTorch computes with it.

The weights come from the counter function of this folder, so the 45 MB file is
made when the test needs it and never stored.  Needs PyTorch and safetensors.

    python tests/golden/make_torch_files.py --out DIR

writes into DIR
    resnet18.safetensors   torchvision's names, with num_batches_tracked (int64)
    resnet18.input.f32     --batch images, normal random, NHWC float32 (batch stream 0)
    resnet18.logits.f32    --batch rows of --classes logits in evaluation mode
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import shared
from shared import torch_models


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    parser.add_argument("--seed", type=int, default=2**32 + 1)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=64, help="height and width of the images")
    return parser.parse_args()


@torch.no_grad()
def main():
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    network = torch_models.create("resnet18", classes=options.classes)
    shared.fill_weights(network, options.seed)
    network.eval()
    x = shared.inputs(options.seed, 0, options.batch, options.size, options.size)

    save_file(network.state_dict(), options.out / "resnet18.safetensors", metadata={"format": "pt"})
    x.permute(0, 2, 3, 1).numpy().astype("<f4").tofile(options.out / "resnet18.input.f32")
    network(x.contiguous()).numpy().astype(np.dtype("<f4")).tofile(options.out / "resnet18.logits.f32")
    for file in sorted(options.out.glob("resnet18.*")):
        print(file, file.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
