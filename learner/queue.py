"""The queue k⁻ of past keys (paper, IV-A; He et al., 1911.05722).

Rules:
- Keys enter in the order of the training batches, and the oldest leave first.
- A slot that was never filled is no negative: noise in it would make the loss rise as real
  keys replace it.
- A key of the same site and clock, within the exclusion window of the query's own stamp, is
  no negative either: it is a near copy of the positive.
- With `same_site`, only keys of the query's own site are negatives: pictures of two sites are
  told apart by their backgrounds, which says nothing of what is there.
- Any batch size fits any K, also a batch larger than K.
"""

import torch
from torch import Tensor

from rvsense.learner.place import sites_of


def near_in_time(
    stamps: Tensor, places: Tensor, other_stamps: Tensor, other_places: Tensor, window_ns: int
) -> Tensor:
    """(n, m) mask: which are of one place and at most the window apart; stamps in ns."""
    # Comparisons alone: an (n, m) table of differences took ten times as long.
    near = other_stamps[None] >= (stamps - window_ns)[:, None]
    near &= other_stamps[None] <= (stamps + window_ns)[:, None]
    near &= same(places, other_places)
    return near


def same(values: Tensor, others: Tensor) -> Tensor:
    """(n, m) mask: which are equal. A batch has few places, each of which is compared once."""
    distinct, which = torch.unique(values, return_inverse=True)
    mask: Tensor = (distinct[:, None] == others[None])[which]
    return mask


class KeyQueue:
    """K unit-length keys with the capture time and place of each."""

    def __init__(
        self,
        size: int,
        key_dim: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.size = size
        self.keys = torch.zeros(size, key_dim, dtype=dtype, device=device)
        # A place is a site and an epoch (see `place`); stamps of two places never compare.
        self.stamps = torch.zeros(size, dtype=torch.int64, device=device)
        self.places = torch.full((size,), -1, dtype=torch.int64, device=device)
        self.pointer = 0
        self.fill = 0

    def enqueue(self, keys: Tensor, stamps: Tensor, places: Tensor) -> None:
        """Take (n, D) unit keys, (n,) stamps in ns and (n,) places, oldest first.

        Tensors that are on the queue's device are copied into it, which takes no memory.
        """
        kept = min(len(keys), self.size)
        before_end = min(kept, self.size - self.pointer)
        for column, values in ((self.keys, keys), (self.stamps, stamps), (self.places, places)):
            newest = values[len(values) - kept :]
            column[self.pointer : self.pointer + before_end].copy_(newest[:before_end])
            column[: kept - before_end].copy_(newest[before_end:])
        self.pointer = (self.pointer + kept) % self.size
        self.fill = min(self.fill + kept, self.size)

    def admissible(
        self, stamps: Tensor, places: Tensor, exclusion_ns: int, *, same_site: bool = False
    ) -> Tensor:
        """(n, K) mask: which keys are negatives of queries with these stamps and places."""
        near = near_in_time(stamps, places, self.stamps, self.places, exclusion_ns)
        fit = (self.places >= 0)[None] & ~near
        if same_site:
            fit &= same(sites_of(places), sites_of(self.places))
        return fit

    def forget(self, site: int) -> None:
        """Keys of one site are no negatives any more; their slots are taken in turn."""
        self.places[sites_of(self.places) == site] = -1

    def clear(self) -> None:
        """Forget all keys."""
        self.places.fill_(-1)
        self.pointer = self.fill = 0

    def state(self) -> dict[str, Tensor]:
        """Keys in use from oldest to newest, so that a queue of another size can take them."""
        order = (self.pointer - self.fill + torch.arange(self.fill)) % self.size
        order = order.to(self.keys.device)
        return {
            "keys": self.keys[order].cpu(),
            "stamps": self.stamps[order].cpu(),
            "places": self.places[order].cpu(),
            "pointer": torch.tensor(self.pointer),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`, slot by slot where the size is the same."""
        self.clear()
        count = min(len(state["keys"]), self.size)
        self.pointer = (int(state["pointer"]) - count) % self.size
        self.enqueue(state["keys"], state["stamps"], state["places"])
