"""From slots of a table of pairs to the batch of a training step."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from rvsense.learner.augment import Augmentation, augment
from rvsense.learner.objective import Objective
from rvsense.learner.step import Batch
from rvsense.learner.temporal import swap_for_neighbours


class Pairs(Protocol):
    """A table of pairs with the columns input, key, stamp and place; `Rows` is one."""

    def take(self, name: str, slots: Tensor | None = None) -> Tensor:
        """The given rows of a column, or all of them."""


def draw(
    pairs: Pairs,
    slots: Tensor,
    *,
    unit: Callable[[Tensor, Tensor], Tensor],
    objective: Objective,
    how: Augmentation | None,
    generator: torch.Generator,
) -> Batch:
    """The pairs in `slots` (n,) as a batch on the CPU.

    `unit` makes raw keys of given places the unit keys of Eq. (1).

    All draws come from the generator, and
    a setting that is off draws nothing. `how` None leaves the inputs as they are.

    Raises:
        ValueError: for an intra-modal term without augmentation.
    """
    stamps, places = pairs.take("stamp"), pairs.take("place")
    positives = slots
    if objective.temporal_ns:
        positives = swap_for_neighbours(slots, stamps, places, objective.temporal_ns, generator)
    inputs = pairs.take("input", slots).float()
    if how is None and objective.intra_modal:
        raise ValueError("an intra-modal term is between augmented views: `how` is None")
    x = inputs if how is None else augment(inputs, how, generator)
    other_view = augment(inputs, how, generator) if how and objective.intra_modal else None
    return Batch(
        x=x,
        keys=unit(pairs.take("key", positives), places[positives]),
        stamps=stamps[slots],
        key_stamps=stamps[positives],
        places=places[slots],
        other_view=other_view,
    )
