"""From raw teacher keys to the unit-length keys of Eq. (1).

Raw features of unrelated images are nearly parallel. With `standardise` they are centred and
scaled by the statistics of the first pairs. With `short` they are centred and brought to that
many principal axes of the first pairs, so that a long queue costs little; with `whiten` each
axis then has the same variance (Jégou and Chum, ECCV 2012). All is frozen after the warm-up: if
it went on moving, keys in the queue and keys in the batch would be measured with different
rulers. The paper's form is without.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

WARMUP_PAIRS = 512
PAIRS_PER_AXIS = 4
"""A variance along an axis takes a few keys to know."""
LEAST_DEVIATION = 1e-3
"""Of the largest: an axis along which the warm-up hardly varied is not blown up further."""


class KeyScale:
    """Statistics of the first keys, and the map they give once frozen."""

    def __init__(
        self, key_dim: int, *, standardise: bool, short: int = 0, whiten: bool = False
    ) -> None:
        if short > key_dim:
            raise ValueError(f"{short} axes of keys with {key_dim} dimensions")
        self._standardise, self._short, self._whiten = standardise, short, whiten
        self._needed = max(WARMUP_PAIRS, PAIRS_PER_AXIS * short)
        self._count = 0
        self._mean = torch.zeros(key_dim, dtype=torch.float64)
        self._squares = torch.zeros(key_dim, dtype=torch.float64)
        self._warmup: list[Tensor] = []
        self._axes: Tensor | None = None

    def see(self, key: Tensor) -> bool:
        """Take one (D,) raw key into account; True when that froze the scale."""
        if not (self._standardise or self._short) or self.frozen:
            return False
        self._count += 1
        delta = key.double() - self._mean
        self._mean += delta / self._count
        self._squares += delta * (key.double() - self._mean)
        enough = self._count >= self._needed
        if self._short:
            self._warmup.append(key.float().clone())
        if self._short and enough:
            self._axes = self._fit_axes()
            self._warmup.clear()
        return enough

    @property
    def frozen(self) -> bool:
        """Whether enough keys have been seen."""
        return self._count >= self._needed

    @property
    def ready(self) -> bool:
        """Whether `unit` gives keys of the encoder's dimension: short ones only once frozen."""
        return not self._short or self.frozen

    def unit(self, keys: Tensor) -> Tensor:
        """(n, D) raw keys to (n, D), or (n, short), float32 keys of length 1.

        Raises:
            RuntimeError: when they are to be short and are not `ready`.
        """
        keys = keys.float()
        if self._short:
            if self._axes is None:
                raise RuntimeError(f"short keys: only {self._count} pairs of the warm-up are seen")
            keys = (keys - self._mean.to(keys)) @ self._axes.to(keys)
        elif self._standardise and self.frozen:
            keys = (keys - self._mean.to(keys)) / self._deviation().to(keys)
        return F.normalize(keys, dim=1)

    def state(self) -> dict[str, Tensor]:
        """Count, mean and sum of squared deviations; keys of the warm-up, later the axes."""
        state = {
            "count": torch.tensor(self._count),
            "mean": self._mean,
            "squares": self._squares,
        }
        if self._warmup:
            state["warmup"] = torch.stack(self._warmup)
        if self._axes is not None:
            state["axes"] = self._axes
        return state

    def frozen_since(self, state: dict[str, Tensor]) -> bool:
        """Whether it is frozen now and was not yet in `state`."""
        return self.frozen and int(state["count"]) < self._needed

    def load(self, state: dict[str, Tensor]) -> bool:
        """Continue from `state`; True when that gave keys on another scale than this will."""
        if not (self._standardise or self._short):
            return int(state["count"]) > 0
        self._count = int(state["count"])
        self._mean, self._squares = state["mean"].clone(), state["squares"].clone()
        self._warmup = [key.clone() for key in state.get("warmup", ())]
        self._axes = state["axes"].clone() if "axes" in state else None
        return False

    def _deviation(self) -> Tensor:
        return (self._squares / self._count).sqrt().clamp_min(1e-6)

    def _fit_axes(self) -> Tensor:
        """(D, short) float32: what takes keys less their mean to their principal axes."""
        scale = self._deviation() if self._standardise else torch.ones_like(self._mean)
        centred = (torch.stack(self._warmup).double() - self._mean) / scale
        _, lengths, rows = torch.linalg.svd(centred, full_matrices=False)
        axes: Tensor = rows[: self._short].T
        if self._whiten:
            deviations = lengths / self._count**0.5
            least = LEAST_DEVIATION * float(deviations[0]) + 1e-12
            axes = axes / deviations[: self._short].clamp_min(least)
        return (axes / scale[:, None]).float()
