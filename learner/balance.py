"""A pool with as many pairs of each scene class as the stream allows: decisions over slots.

Class-balancing reservoir sampling (Chrysakis & Moens, ICML 2020): a class that has ever been the
largest of a full pool keeps a uniform sample of itself; any other class takes a slot from
whichever is the largest now.
"""

import torch
from torch import Tensor

from rvsense.learner.pool import NO_CLASS

NUMBERS = NO_CLASS + 1
"""The scene classes, and what has none."""


class ClassBalanced:
    """A pool policy; `scene` is a class number, or NO_CLASS, which is a class as any other."""

    def __init__(self, capacity: int, generator: torch.Generator) -> None:
        self._capacity, self._generator = capacity, generator
        self._scenes = torch.full((capacity,), NO_CLASS)
        self._seen = torch.zeros(NUMBERS, dtype=torch.int64)
        self._was_largest = torch.zeros(NUMBERS, dtype=torch.bool)

    def slot(self, key: Tensor, fill: int, scene: int = NO_CLASS) -> int | None:  # noqa: ARG002
        """A free slot, else one of the largest class, or of its own or none; chance decides."""
        self._seen[scene] += 1
        place = fill if fill < self._capacity else self._place_in_full(scene)
        if place is not None:
            self._scenes[place] = scene
        return place

    def counts(self, fill: int) -> list[int]:
        """How many of `fill` slots hold each class, those without a class last."""
        return self._scenes[:fill].bincount(minlength=NUMBERS).tolist()

    def state(self) -> dict[str, Tensor]:
        """The class of every slot, and what has been seen; `seen` is what a reservoir needs."""
        return {
            "scenes": self._scenes,
            "seen_by_class": self._seen,
            "was_largest": self._was_largest,
            "seen": self._seen.sum(),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`; pairs that a plain reservoir has kept are of no known class."""
        if "scenes" not in state:
            self._seen[NO_CLASS] = state["seen"]
            return
        n = min(len(state["scenes"]), self._capacity)
        self._scenes[:n] = state["scenes"][:n]
        self._seen = state["seen_by_class"].clone()
        self._was_largest = state["was_largest"].clone()

    def _place_in_full(self, scene: int) -> int | None:
        counts = self._scenes.bincount(minlength=NUMBERS)
        self._was_largest |= counts == counts.max()
        loser = int(counts.argmax())
        if self._was_largest[scene] and counts[scene] > 0:
            if self._draw(int(self._seen[scene])) >= counts[scene]:
                return None
            loser = scene
        members = (self._scenes == loser).nonzero()[:, 0]
        return int(members[self._draw(len(members))])

    def _draw(self, below: int) -> int:
        return int(torch.randint(below, (1,), generator=self._generator))
