# SPDX-License-Identifier: Apache-2.0
"""The networks of Pinion's zoo in PyTorch, without torchvision.

Parameter names, their order and the layers are torchvision's where torchvision
has the model, so that a state dict of either side loads into the other by name.
`create(model)` builds one, `init_weights` gives it the initial weights of the
training recipe.  Used by the benchmarks, the golden values and the
interoperability test; nothing here is part of the library.
"""

import torch
from torch import nn


def conv3x3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class AlexNetCifar(nn.Module):
    """Five 3x3 convolutions with batch norm; 2x2 max-pooling after 1, 2 and 5."""

    def __init__(self, classes=10):
        super().__init__()
        layers, inputs = [], 3
        for number, outputs in enumerate((64, 192, 384, 256, 256), start=1):
            layers += [conv3x3(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            if number in (1, 2, 5):
                layers.append(nn.MaxPool2d(2))
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(256 * 4 * 4, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + shortcut)


class ResNet18(nn.Module):
    """torchvision's resnet18; `small` has a 3x3 stride-1 stem and no max-pooling."""

    def __init__(self, classes=10, small=False):
        super().__init__()
        stem = dict(kernel_size=3, stride=1, padding=1) if small else dict(kernel_size=7, stride=2, padding=3)
        self.conv1 = nn.Conv2d(3, 64, bias=False, **stem)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        inputs = 64
        for number, outputs in enumerate((64, 128, 256, 512), start=1):
            stride = 1 if number == 1 else 2
            blocks = nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1))
            setattr(self, f"layer{number}", blocks)
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def conv_bn_relu6(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expand):
        super().__init__()
        hidden = inputs * expand
        self.residual = stride == 1 and inputs == outputs
        layers = [conv_bn_relu6(inputs, hidden, 1)] if expand != 1 else []
        layers += [
            conv_bn_relu6(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2Cifar(nn.Module):
    """torchvision's mobilenet_v2 with the strides that suit 32x32 images."""

    # expansion, output channels, blocks, stride of the first block
    TABLE = (
        (1, 16, 1, 1),
        (6, 24, 2, 1),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, classes=10, dropout=0.2):
        super().__init__()
        layers, inputs = [conv_bn_relu6(3, 32, 3)], 32
        for expand, outputs, blocks, first_stride in self.TABLE:
            for block in range(blocks):
                layers.append(InvertedResidual(inputs, outputs, first_stride if block == 0 else 1, expand))
                inputs = outputs
        layers.append(conv_bn_relu6(inputs, 1280, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


MODELS = {
    "alexnet-cifar": AlexNetCifar,
    "resnet18-cifar": lambda classes=10: ResNet18(classes, small=True),
    "resnet18": lambda classes=1000: ResNet18(classes),
    "mobilenetv2-cifar": MobileNetV2Cifar,
}


def create(model, **options):
    """Build a network of the zoo by name; options are `classes` and, for MobileNetV2, `dropout`."""
    return MODELS[model](**options)


def init_weights(network):
    """He initialisation of convolutions (fan out), 1 and 0 for batch norm, PyTorch's own for linear layers."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def parameter_count(network):
    return sum(p.numel() for p in network.parameters())


def decayed_and_plain(network):
    """Split parameters: weights of convolutions and linear layers are decayed, all others are not."""
    decayed, plain = [], []
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            is_weight = name == "weight" and isinstance(module, (nn.Conv2d, nn.Linear))
            (decayed if is_weight else plain).append(parameter)
    return decayed, plain


def create_sgd(network, lr, momentum=0.9, weight_decay=5e-4):
    """SGD with Nesterov momentum as the command's defaults have it."""
    decayed, plain = decayed_and_plain(network)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)
