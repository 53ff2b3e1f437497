"""NanoDet-g in plain torch: 34 convolutions, their batch norms folded into them.

After RangiLyu/nanodet (Apache-2.0), config `nanodet-g`: a CSP backbone, a feature pyramid of
three 1×1 convolutions and resized sums, and one small head for each stride. The convolutions
stand in one list in graph order, because that is how the file of weights names them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 80
"""Those of COCO; which number is what stands in objects.py."""
REG_MAX = 10
"""The distance to a side of a box is a distribution over 0..REG_MAX strides."""
STRIDES = (8, 16, 32)
OUTPUTS = CLASSES + 4 * (REG_MAX + 1)
_BLOCKS = (1, 2, 2, 3)
"""Residual parts of each CSP block; each block doubles the width, each but the first halves."""
_PYRAMID = 128
_SLOPE = 0.1


class NanoDet(nn.Module):
    """Images to class logits and box distributions."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(3, 32, 3, 2)]  # inputs, outputs, kernel, stride
        width = 32
        for block, parts in enumerate(_BLOCKS):
            shapes.append((width, width, 3, 1 if block == 0 else 2))
            shapes += [(width, width // 2, 3, 1), (width // 2, width // 2, 3, 1)] * parts
            shapes.append((width, width, 3, 1))
            width *= 2
        shapes += [(width // share, _PYRAMID, 1, 1) for share in (4, 2, 1)]
        shapes += [(_PYRAMID, _PYRAMID, 3, 1), (_PYRAMID, OUTPUTS, 1, 1)] * len(STRIDES)
        self.c = nn.ModuleList(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
            for inputs, outputs, kernel, stride in shapes
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, 3, h, w), sides multiples of 32, to (n, OUTPUTS, h / s, w / s) for each stride s."""
        rest = iter(self.c)
        levels = _pyramid(_backbone(x, rest), rest)
        return [_head(level, rest) for level in levels]


def _backbone(x: Tensor, rest: Iterator[nn.Module]) -> list[Tensor]:
    """The outputs of the last three blocks: strides 8, 16 and 32."""
    x = F.max_pool2d(_active(next(rest), x), 3, 2, 1)
    found = []
    for parts in _BLOCKS:
        skip = inner = _active(next(rest), x)
        for _ in range(parts):
            half = _active(next(rest), inner)
            inner = torch.cat((_active(next(rest), half), half), dim=1)
        x = torch.cat((_active(next(rest), inner), skip), dim=1)
        found.append(x)
    return found[1:]


def _pyramid(levels: list[Tensor], rest: Iterator[nn.Module]) -> list[Tensor]:
    """What is coarse is added to what is fine, then what is fine to what is coarse."""
    levels = [next(rest)(level) for level in levels]
    for i in (1, 0):
        levels[i] = levels[i] + _resized(levels[i + 1], 2.0)
    for i in (1, 2):
        levels[i] = levels[i] + _resized(levels[i - 1], 0.5)
    return levels


def _head(level: Tensor, rest: Iterator[nn.Module]) -> Tensor:
    inner = _active(next(rest), level)
    outputs: Tensor = next(rest)(inner)
    return outputs


def _active(convolution: nn.Module, x: Tensor) -> Tensor:
    return F.leaky_relu(convolution(x), _SLOPE)


def _resized(x: Tensor, scale: float) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
