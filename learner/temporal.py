"""Positives from nearby in time: what the scene shows a moment later is its key too.

The paper names temporal mutual information as future work (VI, i). With probability one half
the key of a drawn pair is exchanged for that of a pool pair of the same place within the
window, so the loss stays Eq. (1), and its bound a bound, of radar and *a key of that moment*.
A loss of several positives would need all neighbours of each query in the batch.
"""

import torch
from torch import Tensor

from rvsense.learner.queue import near_in_time

SWAP_PROBABILITY = 0.5


def swap_for_neighbours(
    slots: Tensor, stamps: Tensor, places: Tensor, window_ns: int, generator: torch.Generator
) -> Tensor:
    """(n,) drawn slots to the (n,) slots whose keys are the positives.

    `stamps` and `places` (P,) are those of the whole pool. Of a slot's neighbours, itself not
    counted, one is drawn with equal chances; a slot without any keeps its own key. On the CPU,
    two draws of the generator for each slot whatever the pool holds.
    """
    chance = torch.rand(2, len(slots), generator=generator, dtype=torch.float64)
    near = near_in_time(stamps[slots], places[slots], stamps, places, window_ns)
    near[torch.arange(len(slots)), slots] = False
    count = near.sum(dim=1)
    wanted = (chance[0] * count).long() + 1  # the first, second, ... neighbour in slot order
    rank = near.cumsum(dim=1, dtype=torch.int32) == wanted[:, None]
    neighbour = (rank & near).int().argmax(dim=1)
    swapped = (chance[1] < SWAP_PROBABILITY) & (count > 0)
    return torch.where(swapped, neighbour, slots)
