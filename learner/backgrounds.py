"""What every picture of a site has in common, taken off its keys.

The teacher's features of two pictures of one fixed camera are nearly parallel: most of what
they say is the place. Less the mean key of their site, they say what is there now.

Rules:
- A site's background is the mean of all its keys, taken anew whenever their number has doubled
  from FIRST on: early ones are soon replaced, and later ones move ever more rarely, so that keys
  in the queue and keys in the batch are measured with one ruler.
- Before its first, a site's keys are left as they are.
- Of very many sites those that were seen last are remembered, and no more.
"""

import torch
from torch import Tensor

from rvsense.learner.place import site_of, sites_of

FIRST = 32
"""Pairs: six seconds of a site at 5 Hz, one scene or two."""
MOST_SITES = 4096
"""Of all daemons; a site costs the memory of two or three keys."""


class Backgrounds:
    """The mean key of every site; changes nothing unless `centre`."""

    def __init__(self, key_dim: int, *, centre: bool) -> None:
        self._key_dim, self._centre = key_dim, centre
        self._counts: dict[int, int] = {}
        self._sums: dict[int, Tensor] = {}
        self._means: dict[int, Tensor] = {}

    def see(self, key: Tensor, place: int) -> bool:
        """Take one (D,) raw key into account; True when that renewed its site's background."""
        if not self._centre:
            return False
        site = site_of(place)
        count = self._counts.get(site, 0) + 1
        total = key.double() + self._sums.get(site, 0.0)
        renewed = count >= FIRST and count.bit_count() == 1
        means = {site: (total / count).float()} if renewed else {}
        # Only now is anything changed: memory may have run out above.
        self._counts.pop(site, None)  # the dictionary's order is that of the last sight
        self._counts[site], self._sums[site] = count, total
        self._means |= means
        if len(self._counts) > MOST_SITES:
            self._forget(next(iter(self._counts)))
        return renewed

    def _forget(self, site: int) -> None:
        del self._counts[site], self._sums[site]
        self._means.pop(site, None)

    def known(self, place: int) -> bool:
        """Whether `less` gives keys of this place as it will: without their background."""
        return not self._centre or site_of(place) in self._means

    def less(self, keys: Tensor, places: Tensor) -> Tensor:
        """(n, D) raw keys of (n,) places to float32 keys without their sites' backgrounds."""
        keys = keys.float()
        if not self._centre:
            return keys
        keys = keys.clone()
        sites = sites_of(places)
        for site in torch.unique(sites).tolist():
            if site in self._means:
                keys[sites == site] -= self._means[site].to(keys)
        return keys

    def state(self) -> dict[str, Tensor]:
        """Sites in the order of the last sight of each, how many keys of each were seen, their
        sums, and the means in use.
        """
        sites = list(self._counts)
        nothing = torch.zeros(self._key_dim)
        rows = [self._means.get(site, nothing) for site in sites]
        return {
            "sites": torch.tensor(sites, dtype=torch.int64),
            "counts": torch.tensor([self._counts[site] for site in sites], dtype=torch.int64),
            "sums": _stack([self._sums[site] for site in sites], self._key_dim).double(),
            "means": _stack(rows, self._key_dim),
        }

    def renewed_since(self, state: dict[str, Tensor]) -> list[int]:
        """The sites whose background is not what it was in `state`."""
        before = dict(zip(state["sites"].tolist(), state["means"], strict=True))
        return [
            site
            for site, mean in self._means.items()
            if site not in before or not torch.equal(mean, before[site])
        ]

    def load(self, state: dict[str, Tensor]) -> bool:
        """Continue from `state`; True when that took off backgrounds and this will not."""
        if not self._centre:
            return bool((state["counts"] >= FIRST).any())
        sites = state["sites"].tolist()
        self._counts = dict(zip(sites, state["counts"].tolist(), strict=True))
        self._sums = {site: row.clone() for site, row in zip(sites, state["sums"], strict=True)}
        means = zip(sites, state["means"], strict=True)
        self._means = {s: row.clone() for s, row in means if self._counts[s] >= FIRST}
        return False


def _stack(rows: list[Tensor], width: int) -> Tensor:
    return torch.stack(rows) if rows else torch.zeros(0, width)
