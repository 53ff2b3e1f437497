"""Which pairs stay for sampling: decisions over slots, without the data (L3).

The pool decouples batch order from ingest order: neighbouring frames of a stream are near
copies, and a batch of them teaches almost nothing.

Every policy answers `slot(key, fill, scene) -> slot | None` for the next pair, None to let it go. A
new pair takes the next free slot until the table is full. How full it is, only the table
knows: after a restore it may be larger or smaller than the one that a policy has filled.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from rvsense.frames import CLASSES

NO_CLASS = len(CLASSES)
"""The number of a scene that shows several classes, is uncertain, or was not looked at."""
SEARCHED_AT_ONCE = 256
"""Keys compared with all others in one product."""


class Policy(Protocol):
    """What the three policies share. State is tensors, for the checkpoint."""

    def slot(self, key: Tensor, fill: int, scene: int = NO_CLASS) -> int | None:
        """Where the next pair goes, with `fill` slots in use.

        `key` is its (D,) teacher key, `scene` the number of what a detector saw in its image.
        """

    def state(self) -> dict[str, Tensor]:
        """Everything that the next decision depends on."""

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""


class Reservoir:
    """Every pair ever seen is in the pool with equal probability (Vitter 1985, algorithm R)."""

    def __init__(self, capacity: int, generator: torch.Generator) -> None:
        self._capacity = capacity
        self._generator = generator
        self._seen = 0

    def slot(self, key: Tensor, fill: int, scene: int = NO_CLASS) -> int | None:  # noqa: ARG002
        """A free slot, else a uniformly drawn one or none."""
        place = fill
        if fill >= self._capacity:
            place = int(torch.randint(self._seen + 1, (1,), generator=self._generator))
        self._seen += 1
        return place if place < self._capacity else None

    def state(self) -> dict[str, Tensor]:
        """The number of pairs seen."""
        return {"seen": torch.tensor(self._seen)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        self._seen = int(state["seen"])


def ring_slot(seen: int, fill: int, capacity: int) -> int:
    """The next free slot, else the oldest, of a ring that has taken `seen` rows.

    Where the capacity has changed since it was filled, slots come in turn for one round, and
    by age again after it.
    """
    return fill if fill < capacity else seen % capacity


class Fifo:
    """The newest pairs, whatever they show."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._seen = 0

    def slot(self, key: Tensor, fill: int, scene: int = NO_CLASS) -> int | None:  # noqa: ARG002
        """A free slot, else that of the oldest pair."""
        place = ring_slot(self._seen, fill, self._capacity)
        self._seen += 1
        return place

    def state(self) -> dict[str, Tensor]:
        """The number of pairs seen."""
        return {"seen": torch.tensor(self._seen)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        self._seen = int(state["seen"])


class MinRedundancy:
    """Of the two most alike pairs, the older leaves (after Purushwalkam et al., 2203.12710).

    Alike means the cosine of teacher keys; the teacher never moves, so nearest neighbours are
    exact and only those whose neighbour has left are searched again.
    """

    def __init__(self, capacity: int, key_dim: int) -> None:
        self._keys = torch.zeros(capacity, key_dim, dtype=torch.float16)
        self._nearest = torch.full((capacity,), -1)
        self._likeness = torch.full((capacity,), -torch.inf)
        self._age = torch.zeros(capacity, dtype=torch.int64)
        self._seen = 0
        self._fill = 0

    def slot(self, key: Tensor, fill: int, scene: int = NO_CLASS) -> int | None:  # noqa: ARG002
        """A free slot, else that of the older of the two most alike, the new one included."""
        unit = F.normalize(key.float(), dim=0).half()
        likeness = self._likeness_to(unit)
        place = fill if fill < len(self._keys) else self._oldest_twin(likeness)
        self._fill = max(self._fill, place + 1)
        self._keys[place] = unit
        self._age[place] = self._seen
        self._seen += 1
        self._renew_neighbours(place, likeness)
        return place

    def state(self) -> dict[str, Tensor]:
        """Neighbours and ages; keys too, since their last bits decide ties."""
        used = slice(0, self._fill)
        return {
            "seen": torch.tensor(self._seen),
            "keys": self._keys[used],
            "nearest": self._nearest[used],
            "likeness": self._likeness[used],
            "age": self._age[used],
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`; when the pool has shrunk, neighbours are searched anew.

        Where another policy filled the pool, only `seen` and the pool's `keys` are known: all
        neighbours are searched then, and slots count as filled in turn.
        """
        self._seen = int(state["seen"])
        self._fill = min(len(state["keys"]), len(self._keys))
        used = slice(0, self._fill)
        if "nearest" not in state:
            self._keys[used] = F.normalize(state["keys"][used].float(), dim=1).half()
            self._age[used] = torch.arange(self._fill) - self._fill + self._seen
            self._search_all()
            return
        self._keys[used] = state["keys"][used]
        self._age[used] = state["age"][used]
        self._nearest[used] = state["nearest"][used]
        self._likeness[used] = state["likeness"][used]
        for place in (self._nearest[used] >= self._fill).nonzero()[:, 0].tolist():
            self._search(place)

    def _likeness_to(self, unit: Tensor) -> Tensor:
        return self._keys[: self._fill].float() @ unit.float()

    def _oldest_twin(self, likeness: Tensor) -> int:
        """The slot to give up: the pool's closest pair, or the new key and its neighbour."""
        closest = int(self._likeness[: self._fill].argmax())
        if likeness.max() >= self._likeness[closest]:
            return int(likeness.argmax())
        twin = int(self._nearest[closest])
        return closest if self._age[closest] <= self._age[twin] else twin

    def _renew_neighbours(self, place: int, likeness: Tensor) -> None:
        orphans = (self._nearest[: self._fill] == place).nonzero()[:, 0].tolist()
        n = len(likeness)
        closer = likeness > self._likeness[:n]
        if place < n:
            closer[place] = False
        self._likeness[:n][closer] = likeness[closer]
        self._nearest[:n][closer] = place
        for other in {*orphans, place}:
            self._search(other)

    def _search_all(self) -> None:
        units = self._keys[: self._fill].float()
        for first in range(0, self._fill if self._fill > 1 else 0, SEARCHED_AT_ONCE):
            rows = torch.arange(first, min(first + SEARCHED_AT_ONCE, self._fill))
            likeness = units[rows] @ units.T
            likeness[torch.arange(len(rows)), rows] = -torch.inf
            self._likeness[rows], self._nearest[rows] = likeness.max(dim=1)

    def _search(self, place: int) -> None:
        likeness = self._likeness_to(self._keys[place])
        likeness[place] = -torch.inf
        self._nearest[place] = likeness.argmax() if self._fill > 1 else -1
        self._likeness[place] = likeness.max()


def make_policy(name: str, capacity: int, key_dim: int, generator: torch.Generator) -> Policy:
    """The policy of that name: reservoir, fifo or min_redundancy."""
    if name == "reservoir":
        return Reservoir(capacity, generator)
    if name == "fifo":
        return Fifo(capacity)
    if name == "min_redundancy":
        return MinRedundancy(capacity, key_dim)
    raise ValueError(f"pool policy {name!r}")
