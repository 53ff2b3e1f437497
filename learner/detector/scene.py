"""Boxes to what a scene shows. Pure: numbers in, a reading out.

Rules:
1. A box lower than a share of the image is an object beyond the radar's reach: not there.
2. A box of at least `sure` is an object. One between `doubt` and `sure` is perhaps one, unless it
   lies on a sure box of its own family; anything below is nothing.
3. A person on a bicycle is a cyclist; other people are pedestrians; cars, buses and trucks are
   cars. A bicycle without a rider and a motorcycle belong to none of the classes.
4. Whatever is perhaps there, or belongs to none, makes the scene doubtful: no label.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from rvsense.frames import OBJECT_CLASSES, SceneClass
from rvsense.learner.detector.boxes import Boxes, shared

KINDS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
"""What a box may be, by number; all else that a detector knows is not looked at."""
_FAMILY = torch.tensor([0, 1, 2, 1, 2, 2])
"""Kinds that a detector takes for each other: people, two wheels, four."""
PERSON, _BICYCLE, _MOTORCYCLE = 0, 1, 3
SAME = 0.5
"""Share of the smaller box that two boxes of one object have in common."""
RIDING = 0.3
"""The same for a rider and the bicycle: hips and legs are on it, head and wheels are not."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores in 0..1, and the height of a box as a share of the image's."""

    sure: float
    doubt: float
    least_height: float


@dataclass(frozen=True, slots=True)
class Scene:
    """The classes of the objects that are surely there, and whether there may be others."""

    seen: frozenset[SceneClass]
    doubtful: bool

    @property
    def label(self) -> SceneClass | None:
        """The class of the whole scene; None when it is doubtful or shows several."""
        if self.doubtful or len(self.seen) > 1:
            return None
        return next(iter(self.seen), "empty")

    def to_bits(self) -> int:
        """As a small number, for a checkpoint."""
        names = sum(1 << i for i, name in enumerate(OBJECT_CLASSES) if name in self.seen)
        return 2 * names + self.doubtful

    @classmethod
    def from_bits(cls, bits: int) -> "Scene":
        """Back from `to_bits`."""
        seen = (name for i, name in enumerate(OBJECT_CLASSES) if bits >> (i + 1) & 1)
        return cls(frozenset(seen), bool(bits & 1))


def read_scene(boxes: Boxes, image_height: int, limits: Thresholds) -> Scene:
    """What the boxes of one image say; their kinds are positions in KINDS."""
    heights = boxes.corners[:, 3] - boxes.corners[:, 1]
    near = boxes.at(heights >= limits.least_height * image_height)
    sure = near.at(near.scores >= limits.sure)
    perhaps = near.at((near.scores < limits.sure) & (near.scores >= limits.doubt))
    doubtful = bool((~_same_object(perhaps, sure)).any())
    people, bicycles = sure.kinds == PERSON, sure.kinds == _BICYCLE
    riding = shared(sure.corners[people], sure.corners[bicycles]) >= RIDING
    doubtful |= bool((~riding.any(dim=0)).any()) or bool((sure.kinds == _MOTORCYCLE).any())
    seen = _named(
        pedestrian=~riding.any(dim=1),
        cyclist=riding.any(dim=1),
        car=_FAMILY[sure.kinds.cpu()] == 2,
    )
    return Scene(frozenset(seen), doubtful)


def _same_object(perhaps: Boxes, sure: Boxes) -> Tensor:
    """(n,): which of `perhaps` lie on a sure box of their own family."""
    family = _FAMILY[perhaps.kinds.cpu()][:, None] == _FAMILY[sure.kinds.cpu()][None]
    return (family & (shared(perhaps.corners, sure.corners) >= SAME)).any(dim=1)


def _named(**found: Tensor) -> Iterable[SceneClass]:
    return [name for name in OBJECT_CLASSES if bool(found[name].any())]
