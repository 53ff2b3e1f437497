"""What always stands in a camera's view: parked cars, and what a detector takes for something.

A fixed radar cancels what stands still; a label that tells of parked cars would teach it
nothing, and with one car parked in view no other scene would ever be told apart. Pure.

Rules:
- A box that a look finds where one was before counts up, one that a look does not find counts
  down and is forgotten at 0; above `after` looks it is standing.
- A sure person is never standing: people who wait are what the radar is to learn.
"""

import zlib
from collections import OrderedDict

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rvsense.learner.detector.boxes import Boxes
from rvsense.learner.detector.scene import PERSON

SAME_PLACE = 0.7
"""Intersection over union of one standing thing in two looks; a walker's is lower in a second."""
LEAST_SCORE = 0.15
"""A parked car is remembered also in looks that hardly find it."""
MOST_SITES, MOST_BOXES = 256, 32


class Standing:
    """The memory of every site; with `after` 0 it remembers nothing."""

    def __init__(self, after: int, sure: float) -> None:
        self._after, self._sure = after, sure
        self._sites: OrderedDict[int, tuple[Tensor, Tensor]] = OrderedDict()

    def without(self, site: str, boxes: Boxes) -> Boxes:
        """The boxes of a look at `site` that are not standing; they are remembered."""
        if self._after == 0:
            return boxes
        number = zlib.crc32(site.encode())
        nothing = torch.zeros(0, 4), torch.zeros(0).long()
        corners, counts = self._sites.get(number, nothing)
        same = box_iou(boxes.corners, corners) >= SAME_PLACE
        standing = (same & (counts > self._after)).any(dim=1)
        self._sites[number] = _remember(corners, counts, boxes, same, most=2 * self._after)
        self._sites.move_to_end(number)
        if len(self._sites) > MOST_SITES:
            self._sites.popitem(last=False)
        sure_people = (boxes.kinds == PERSON) & (boxes.scores >= self._sure)
        return boxes.at(~standing | sure_people)

    def state(self) -> dict[str, Tensor]:
        """(n, 4) corners, and (n, 2) site and count of each, in order."""
        facts = [
            torch.stack((torch.full_like(counts, number), counts), dim=1)
            for number, (_, counts) in self._sites.items()
        ]
        corners = [corners for corners, _ in self._sites.values()]
        return {
            "corners": torch.cat([torch.zeros(0, 4), *corners]),
            "facts": torch.cat([torch.zeros(0, 2).long(), *facts]),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        sites, counts = state["facts"].unbind(dim=1)
        numbers = dict.fromkeys(sites.tolist())
        self._sites = OrderedDict(
            (number, (state["corners"][sites == number], counts[sites == number]))
            for number in numbers
        )


def _remember(
    corners: Tensor, counts: Tensor, boxes: Boxes, same: Tensor, *, most: int
) -> tuple[Tensor, Tensor]:
    """What is known after a look: counted up or down, and what is new."""
    counts = torch.where(same.any(dim=0), (counts + 1).clamp_max(most), counts - 1)
    new = ~same.any(dim=1) & (boxes.scores >= LEAST_SCORE)
    kept = counts > 0
    corners = torch.cat((corners[kept], boxes.corners[new]))
    counts = torch.cat((counts[kept], torch.ones(int(new.sum()), dtype=torch.int64)))
    longest = counts.sort(descending=True, stable=True).indices[:MOST_BOXES].sort().values
    return corners[longest], counts[longest]
