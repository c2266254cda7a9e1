# SPDX-License-Identifier: Apache-2.0
"""Makes known.h: answers of PyTorch in float64 that the specification must give (test_known.c).

Operand number o of a pass holds ((i * 37 + o * 29 + 11) mod 101 - 50) / 32 at element i, counted as in memory
(NHWC, KRSC). An answer is the sum of a result's elements, each times ((i * 13 + 5) mod 17 - 8) / 8.
Run: python3 tests/kernel/known.py > tests/kernel/known.h
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def pattern(operand, *shape):
    i = torch.arange(torch.Size(shape).numel())
    return (((i * 37 + operand * 29 + 11) % 101 - 50) / 32.0).reshape(shape)


def image(operand, n, h, w, c):
    return pattern(operand, n, h, w, c).permute(0, 3, 1, 2)


def answer(name, result):
    if result.dim() == 4:
        result = result.permute(0, 2, 3, 1)
    flat = result.detach().reshape(-1)
    weight = ((torch.arange(len(flat)) * 13 + 5) % 17 - 8) / 8.0
    print(f"#define {name} {float((flat * weight).sum())!r}")


def convolutions():
    weight = pattern(1, 4, 3, 2, 3).permute(0, 3, 1, 2)
    answer("CONV2D_Y", F.conv2d(image(0, 2, 5, 6, 3), weight, pattern(2, 4), (2, 1), (1, 2)))
    weight = pattern(1, 3, 2, 5).permute(2, 0, 1).unsqueeze(1)
    answer("DEPTHWISE_Y", F.conv2d(image(0, 2, 5, 6, 5), weight, pattern(2, 5), (2, 1), (1, 2), groups=5))
    answer("LINEAR_Y", F.linear(pattern(0, 3, 7), pattern(1, 4, 7), pattern(2, 4)))


def normalisation():
    x, gamma, beta = image(0, 3, 2, 4, 5), pattern(1, 5), pattern(2, 5)
    mean, var = pattern(3, 5), pattern(4, 5).abs() + 0.25
    y = F.batch_norm(x, mean, var, gamma, beta, False, 0.0, 1e-3)
    answer("BATCHNORM_STORED_Y", y)
    y = F.batch_norm(x, mean, var, gamma, beta, True, 0.25, 1e-3)
    answer("BATCHNORM_Y", y)
    answer("BATCHNORM_RUNNING_MEAN", mean)
    answer("BATCHNORM_RUNNING_VAR", var)


def pools():
    answer("MAXPOOL_Y", F.max_pool2d(image(0, 2, 7, 6, 3), (3, 2), (2, 2), (1, 1)))
    x = image(0, 2, 7, 6, 3).clamp(min=0).requires_grad_()
    F.max_pool2d(x, (3, 2), (2, 2), (1, 1)).backward(image(0, 2, 4, 4, 3))
    answer("MAXPOOL_TIES_DX", x.grad)
    answer("AVGPOOL_Y", F.avg_pool2d(image(0, 2, 7, 6, 3), (3, 2), (2, 2), (1, 1)))
    answer("GLOBAL_AVGPOOL_Y", F.adaptive_avg_pool2d(image(0, 2, 7, 6, 3), 1))
    answer("RELU6_Y", F.relu6(4 * image(0, 2, 7, 6, 3)))


def loss():
    x = pattern(0, 4, 6).requires_grad_()
    labels = torch.tensor([5, 0, 3, 3])
    answer("LOSS_Y", F.cross_entropy(x, labels, label_smoothing=0.125, reduction="none"))
    F.cross_entropy(x, labels, label_smoothing=0.125).backward()
    answer("LOSS_DX", x.grad)
    x, t = pattern(0, 4, 6).requires_grad_(), F.softmax(pattern(1, 4, 6), dim=1)
    answer("DISTILLATION_Y", F.cross_entropy(x, t, reduction="none"))
    (F.cross_entropy(x, t) / 2).backward()
    answer("DISTILLATION_DX", x.grad)


def three_steps(name, make, states):
    w = torch.nn.Parameter(pattern(0, 2, 3, 3, 5))
    optimizer = make([w])
    for _ in range(3):
        w.grad = pattern(1, 2, 3, 3, 5).clone()
        optimizer.step()
    answer(f"{name}_W", w.reshape(-1))
    for state, suffix in states:
        answer(f"{name}_{suffix}", optimizer.state[w][state].reshape(-1))


def optimisers():
    rate = 0.125
    velocity = [("momentum_buffer", "VELOCITY")]
    three_steps("SGD", lambda p: torch.optim.SGD(p, rate, 0.5, weight_decay=0.0625), velocity)
    three_steps("NESTEROV", lambda p: torch.optim.SGD(p, rate, 0.5, weight_decay=0.0625, nesterov=True), velocity)
    moments = [("exp_avg", "M"), ("exp_avg_sq", "V")]
    three_steps("ADAMW", lambda p: torch.optim.AdamW(p, rate, (0.875, 0.75), 2.0**-10, 0.0625), moments)
    a, b = torch.nn.Parameter(torch.zeros(70)), torch.nn.Parameter(torch.zeros(30))
    a.grad, b.grad = pattern(0, 70), pattern(1, 30)
    before = a.grad.clone()
    torch.nn.utils.clip_grad_norm_([a, b], 2.0)
    print(f"#define CLIP_SCALE {float(a.grad[0] / before[0])!r}")


if __name__ == "__main__":
    print("/* SPDX-License-Identifier: Apache-2.0")
    print(" *")
    print(" * Made by known.py: answers of PyTorch, see there.")
    print(" */")
    print("#ifndef TESTS_KERNEL_KNOWN_H")
    print("#define TESTS_KERNEL_KNOWN_H\n")
    for make in (convolutions, normalisation, pools, loss, optimisers):
        make()
    print("\n#endif")
