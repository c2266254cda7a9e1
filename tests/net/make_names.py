#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes names/MODEL.txt: the state dict of each of the zoo's models in PyTorch, a name and a shape a line.

    python3 tests/net/make_names.py

Needs torch. The models are those of bench/torch_models.py, which are named as torchvision's.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "bench"))
import torch_models  # noqa: E402

for model in torch_models.MODELS:
    lines = []
    for name, value in torch_models.create(model).state_dict().items():
        if not name.endswith(".num_batches_tracked"):
            lines.append(" ".join([name, *map(str, value.shape)]))
    (HERE / "names" / f"{model}.txt").write_text("\n".join(sorted(lines)) + "\n")
