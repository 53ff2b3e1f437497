"""EfficientNet-Lite0 up to its 1280 pooled features, as a plain definition.

Architecture: EfficientNet (1905.11946) without squeeze-and-excitation and with ReLU6, as in
TensorFlow's `lite` models. Parameter names are those of the weights package, so that its file
loads strictly. Input: (x - 127)/128, RGB, 224 × 224.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KEY_DIM = 1280
# (expansion, kernel, stride, output channels, repeats) of the seven stages.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: the odd pixel goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, outputs, ceil(h / stride), ceil(w / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]
        )
        padding = (width // 2, width - width // 2, height // 2, height - height // 2)
        return F.conv2d(
            F.pad(x, padding), self.weight, None, self.stride, 0, self.dilation, self.groups
        )


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to its input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(inputs, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = SameConv(inner, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return torch.add(y, x) if self.adds else y


class Lite0(nn.Module):
    """The network with its ImageNet classifier, which is loaded but not used."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks, inputs = [], 32
        for expansion, kernel, stride, outputs, repeats in STAGES:
            for i in range(repeats):
                first = stride if i == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel, first))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(inputs, KEY_DIM, 1, bias=False)
        self._bn1 = _norm(KEY_DIM)
        self._fc = nn.Linear(KEY_DIM, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 224, 224) to the (n, 1280) pooled features."""
        y = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            y = block(y)
        y = F.relu6(self._bn1(self._conv_head(y)))  # (n, 1280, 7, 7)
        return torch.mean(y, dim=(2, 3))

    def classify(self, x: Tensor) -> Tensor:
        """(n, 3, 224, 224) to (n, 1000) ImageNet logits: a check that the weights are right."""
        logits: Tensor = self._fc(self(x))
        return logits


def preprocess(images: Tensor) -> Tensor:
    """(n, 3, 224, 224) uint8 RGB to what Lite0 was trained on; not ImageNet's mean and std."""
    return ((images.float() - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)
