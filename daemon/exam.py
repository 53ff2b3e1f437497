"""Held-out labelled frames that a new model must pass before it serves (S4). Pure decisions.

A share of the labels is kept from the learner for this. The comparison is on the same frames
for both models, so only those that one gets right and the other wrong tell them apart; a new
model fails when it loses more than the margin beyond what that coin-tossing would explain.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvsense.frames import SceneClass

LEARN_FIRST = 2
"""Labels of a class that the learner gets before the exam takes its first of that class."""
LEAST_LOST = 3
"""One or two frames fewer are what tossing a coin gives one time in four."""

Item = tuple[NDArray[np.floating[Any]], SceneClass]


@dataclass(slots=True)
class Exam:
    """At most `most` held-out frames; `share` of the labels of each class goes here.

    The third label of a class is the first that is kept, so that no class goes unexamined for
    long where labels are few. Frames are numbered in the order in which they came.
    """

    share: float
    most: int
    _kept: dict[int, Item] = field(default_factory=dict)
    _seen: Counter[SceneClass] = field(default_factory=Counter)
    _taken: Counter[SceneClass] = field(default_factory=Counter)

    def wants(self, label: SceneClass) -> bool:
        """Whether the next label of this class is to be kept for the exam."""
        self._seen[label] += 1
        if self._seen[label] <= LEARN_FIRST or self.most == 0 or self.share == 0:
            return False
        owed = max(1, int(self.share * self._seen[label]))
        if self._taken[label] >= owed:
            return False
        self._taken[label] += 1
        return True

    def add(self, heatmap: NDArray[np.floating[Any]], label: SceneClass) -> None:
        """Keep a frame; without room, the oldest of the most numerous class leaves."""
        # Replaced, never changed: the model loader and the store read it from other threads.
        kept = {**self._kept, max(self._kept, default=-1) + 1: (heatmap, label)}
        while len(kept) > self.most:
            counts = Counter(name for _, name in kept.values())
            commonest = max(counts.values())
            del kept[next(n for n, (_, name) in kept.items() if counts[name] == commonest)]
        self._kept = kept

    def restore(self, kept: Mapping[int, Item]) -> None:
        """Go on with what was kept before a restart, the newest of it where there is less room."""
        newest = sorted(kept)[-self.most :] if self.most else []
        self._kept = {number: kept[number] for number in newest}

    def kept(self) -> Mapping[int, Item]:
        """The frames and their classes by number, as they stand now."""
        return self._kept

    def items(self) -> list[Item]:
        """The frames and their classes, oldest first, as they stand now."""
        return list(self._kept.values())


def verdict(new: Sequence[bool], old: Sequence[bool], margin: float) -> str | None:
    """Why the new model fails against the old one, or None when it passes.

    `new` and `old` say of each exam frame whether that model answered it rightly.
    """
    if not new:
        return None
    lost = sum(b and not a for a, b in zip(new, old, strict=True))
    won = sum(a and not b for a, b in zip(new, old, strict=True))
    chance = math.sqrt(lost + won)
    if lost >= LEAST_LOST and lost - won > margin * len(new) + chance:
        return (
            f"right on {sum(new)} of {len(new)} held-out frames, "
            f"the serving model on {sum(old)}; margin {margin:g}"
        )
    return None
