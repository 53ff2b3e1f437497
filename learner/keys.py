"""From raw teacher keys to the unit-length keys of Eq. (1).

Raw features of unrelated images are nearly parallel. With `standardise` they are centred and
scaled by the statistics of the first WARMUP_PAIRS keys, which are then frozen: if they went on
moving, keys in the queue and keys in the batch would be measured with different rulers.
The paper's form is without.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

WARMUP_PAIRS = 512


class KeyScale:
    """Running mean and variance of keys, frozen after the warm-up."""

    def __init__(self, key_dim: int, *, standardise: bool) -> None:
        self._standardise = standardise
        self._count = 0
        self._mean = torch.zeros(key_dim, dtype=torch.float64)
        self._squares = torch.zeros(key_dim, dtype=torch.float64)

    def see(self, key: Tensor) -> bool:
        """Take one (D,) raw key into account; True when that froze the scale."""
        if not self._standardise or self.frozen:
            return False
        self._count += 1
        delta = key.double() - self._mean
        self._mean += delta / self._count
        self._squares += delta * (key.double() - self._mean)
        return self.frozen

    @property
    def frozen(self) -> bool:
        """Whether enough keys have been seen."""
        return self._count >= WARMUP_PAIRS

    def unit(self, keys: Tensor) -> Tensor:
        """(n, D) raw keys to (n, D) float32 keys of length 1."""
        keys = keys.float()
        if self._standardise and self.frozen:
            deviation = (self._squares / self._count).sqrt().clamp_min(1e-6)
            keys = (keys - self._mean.to(keys)) / deviation.to(keys)
        return F.normalize(keys, dim=1)

    def state(self) -> dict[str, Tensor]:
        """Count, mean and sum of squared deviations."""
        return {
            "count": torch.tensor(self._count),
            "mean": self._mean,
            "squares": self._squares,
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        self._count = int(state["count"])
        self._mean, self._squares = state["mean"].clone(), state["squares"].clone()
