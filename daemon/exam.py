"""Held-out labelled frames that a new model must pass before it serves (S4). Pure decisions.

A share of the labels is kept from the learner for this. The comparison is on the same frames
for both models, so only those that one gets right and the other wrong tell them apart; a new
model fails when it loses more than the margin beyond what that coin-tossing would explain.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvsense.frames import SceneClass

LEARN_FIRST = 8
"""Labels of a class that the learner gets before the exam takes its first of that class."""

Item = tuple[NDArray[np.floating[Any]], SceneClass]


@dataclass(slots=True)
class Exam:
    """The newest `most` held-out frames; `share` of the labels goes here."""

    share: float
    most: int
    _items: tuple[Item, ...] = ()
    _seen: Counter[SceneClass] = field(default_factory=Counter)
    _owed: float = 0.0

    def wants(self, label: SceneClass) -> bool:
        """Whether the next label of this class is to be kept for the exam."""
        self._seen[label] += 1
        if self._seen[label] <= LEARN_FIRST or self.most == 0:
            return False
        self._owed += self.share
        if self._owed < 1.0:
            return False
        self._owed -= 1.0
        return True

    def add(self, heatmap: NDArray[np.floating[Any]], label: SceneClass) -> None:
        """Keep a frame; the oldest leaves when there is no room."""
        # Replaced, never changed: the model loader reads it from another thread.
        self._items = (*self._items, (heatmap, label))[-self.most :] if self.most else ()

    def items(self) -> list[Item]:
        """The frames and their classes, as they stand now."""
        return list(self._items)


def verdict(new: Sequence[bool], old: Sequence[bool], margin: float) -> str | None:
    """Why the new model fails against the old one, or None when it passes.

    `new` and `old` say of each exam frame whether that model answered it rightly.
    """
    if not new:
        return None
    lost = sum(b and not a for a, b in zip(new, old, strict=True))
    won = sum(a and not b for a, b in zip(new, old, strict=True))
    chance = math.sqrt(lost + won)
    if lost - won > margin * len(new) + chance:
        return (
            f"right on {sum(new)} of {len(new)} held-out frames, "
            f"the serving model on {sum(old)}; margin {margin:g}"
        )
    return None
