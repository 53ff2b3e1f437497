"""Outputs of NanoDet to boxes: expected distances from cell centres, then suppression.

Distribution focal regression (Li et al., 2006.04388): each side's distance from the centre of
its cell is the mean of a softmax over 0..REG_MAX, in strides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from rvsense.learner.detector.network import CLASSES, REG_MAX, STRIDES

OVERLAP = 0.6
"""Two boxes of one kind that overlap more (intersection over union) are one object."""
MOST_CANDIDATES = 300
"""Boxes that suppression looks at; a street scene has tens."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """(n, 4) corners x0, y0, x1, y1 in pixels, (n,) scores in 0..1, (n,) numbers of kinds."""

    corners: Tensor
    scores: Tensor
    kinds: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, which: Tensor) -> "Boxes":
        """Those of an index or a mask."""
        return Boxes(self.corners[which], self.scores[which], self.kinds[which])


def decode(levels: Sequence[Tensor], classes: Sequence[int], least_score: float) -> Boxes:
    """Boxes of one image out of its (OUTPUTS, h / s, w / s) levels, before suppression.

    `classes` are the channels to look at; the kind of a box is a position among them.
    """
    found = [
        _decode_level(level, stride, classes, least_score)
        for level, stride in zip(levels, STRIDES, strict=True)
    ]
    return Boxes(
        torch.cat([boxes.corners for boxes in found]),
        torch.cat([boxes.scores for boxes in found]),
        torch.cat([boxes.kinds for boxes in found]),
    )


def suppress(boxes: Boxes) -> Boxes:
    """The best box of every object, kind by kind, best first."""
    best = boxes.at(boxes.scores.sort(descending=True, stable=True).indices[:MOST_CANDIDATES])
    return best.at(batched_nms(best.corners, best.scores, best.kinds, OVERLAP))


def shared(first: Tensor, second: Tensor) -> Tensor:
    """(n, 4) and (m, 4) corners to (n, m): common area as a share of the smaller box of the two."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    common = (high - low).clamp_min(0).prod(dim=2)
    smaller = torch.minimum(_area(first)[:, None], _area(second)[None])
    return common / smaller.clamp_min(1e-6)


def _area(corners: Tensor) -> Tensor:
    return (corners[:, 2:] - corners[:, :2]).clamp_min(0).prod(dim=1)


def _decode_level(level: Tensor, stride: int, classes: Sequence[int], least: float) -> Boxes:
    scores = level[:CLASSES][list(classes)].float().sigmoid()  # (classes, rows, columns)
    kind, row, column = (scores >= least).nonzero(as_tuple=True)
    sides = level[CLASSES:, row, column].float().reshape(4, REG_MAX + 1, -1).softmax(dim=1)
    bins = torch.arange(REG_MAX + 1, device=level.device, dtype=torch.float32)
    left, top, right, bottom = stride * (sides * bins[:, None]).sum(dim=1)
    x, y = stride * (column + 0.5), stride * (row + 0.5)
    corners = torch.stack((x - left, y - top, x + right, y + bottom), dim=1)
    return Boxes(corners, scores[kind, row, column], kind)
