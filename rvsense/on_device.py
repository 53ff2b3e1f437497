"""The numbers of an answer by torch alone, on whatever device: few and large calls for a GPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rvsense.device import Stage
from rvsense.encoders import RadarEncoder
from rvsense.familiar import Familiarity
from rvsense.features import squared_magnitude
from rvsense.graphed import Pass
from rvsense.head import HeadFit

Numbers = tuple[list[float], float | None]
"""Probabilities of the classes, empty without a head; score, None without familiarity."""


class DeviceAnswers:
    """One network pass, by `feature_map`, for all heatmaps with as many chirps."""

    def __init__(
        self,
        encoder: RadarEncoder,
        feature_map: Pass,
        head: HeadFit | None,
        familiarity: Familiarity | None,
        stage: Stage,
    ) -> None:
        self._encoder, self._feature_map = encoder, feature_map
        self._head, self._familiarity = head, familiarity
        self._stage = stage

    def __call__(self, heatmaps: Sequence[NDArray[np.floating[Any]]]) -> list[Numbers]:
        """The numbers of each (chirps, 128, 128, 2) heatmap, in their order."""
        found: dict[int, Numbers] = {}
        for chirps in {len(heatmap) for heatmap in heatmaps}:
            where = [i for i, heatmap in enumerate(heatmaps) if len(heatmap) == chirps]
            stacked = np.stack([heatmaps[i] for i in where], dtype=np.float32, casting="same_kind")
            found |= zip(where, self._batch(torch.from_numpy(stacked)), strict=True)
        return [found[i] for i in range(len(heatmaps))]

    def _batch(self, batch: Tensor) -> list[Numbers]:
        x = self._encoder.prepare(self._stage("heatmaps", batch))
        maps = self._feature_map(x)
        rows: list[list[float]] = [[]] * len(batch)
        confidence = None
        if self._head is not None:
            probabilities = self._head.probabilities(self._encoder.features_of(maps).float().cpu())
            confidence, rows = probabilities.amax(dim=1), probabilities.tolist()
        scores: list[float | None] = [None] * len(batch)
        if self._familiarity is not None:
            power = squared_magnitude(x, self._encoder.spec.channels).cpu()
            scores = self._familiarity.score(maps.float().cpu(), power, confidence).tolist()
        return list(zip(rows, scores, strict=True))
