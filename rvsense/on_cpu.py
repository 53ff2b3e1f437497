"""The numbers of an answer on a CPU: `features`, `head` and `familiar` in calls that cost little.

Around the network lie ninety small steps. Between two frames at 30 fps their code and data leave
the caches; a call of torch then costs 5 to 40 µs, and one of NumPy a third of that. So NumPy does
here what is no product of matrices. The products stay with torch, which has as many threads as
serving was given; NumPy would start its own. What the formulas mean is said where they stand in
torch, for training, exports and CUDA; tests hold the two to each other.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rvsense.encoders import RadarEncoder
from rvsense.familiar import DOUBT_WEIGHT, EPSILON, LAGS, RANGES, SHORTEST, Familiarity, waves
from rvsense.features import (
    FLOOR,
    LARGEST_POWER,
    MAGNITUDE_MEAN,
    MAGNITUDE_STD,
    MOTION_MEAN,
    MOTION_STD,
)
from rvsense.graphed import Pass
from rvsense.head import HeadFit
from rvsense.on_device import Numbers

Floats = NDArray[np.float32]


class CpuAnswers:
    """One network pass, by `feature_map`, for all heatmaps.

    Args:
        frame: (1, C, 128, 128), any input of the network.
    """

    def __init__(
        self,
        encoder: RadarEncoder,
        feature_map: Pass,
        head: HeadFit | None,
        familiarity: Familiarity | None,
        frame: Tensor,
    ) -> None:
        self._encoder, self._feature_map = encoder, feature_map
        self._prepare = Preparation(encoder.spec.channels)
        self._head = None if head is None else Head(head)
        maps = feature_map(frame)
        self._familiarity = None if familiarity is None else Known(familiarity, maps, frame)

    def __call__(self, heatmaps: Sequence[NDArray[np.floating[Any]]]) -> list[Numbers]:
        """The numbers of each (chirps, 128, 128, 2) heatmap, in their order."""
        # No warnings: the caller looks whether the numbers that come out are finite.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            inputs, power = self._prepare(heatmaps)
            maps = self._feature_map(torch.from_numpy(inputs))
            rows: list[list[float]] = [[]] * len(heatmaps)
            confidence = None
            if self._head is not None:
                features = self._encoder.features_of(maps).numpy()
                probabilities = self._head.probabilities(features)
                confidence, rows = probabilities.max(axis=1), probabilities.tolist()
            scores: list[float | None] = [None] * len(heatmaps)
            if self._familiarity is not None:
                scores = self._familiarity.score(maps, power, confidence).tolist()
        return list(zip(rows, scores, strict=True))


class Preparation:
    """`features.encoder_input`, frame by frame: what is at hand stays within a core's cache."""

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = list(channels)
        means = {"magnitude": MAGNITUDE_MEAN, "motion": MOTION_MEAN}
        deviations = {"magnitude": MAGNITUDE_STD, "motion": MOTION_STD}
        self._mean, self._std = (
            np.array([values[name] for name in channels], np.float32)[:, None, None]
            for values in (means, deviations)
        )

    def __call__(self, heatmaps: Sequence[NDArray[np.floating[Any]]]) -> tuple[Floats, Floats]:
        """(n, C, 128, 128) encoder inputs, and the (n, 128, 128) power of chirp 0."""
        rows, columns = heatmaps[0].shape[1:3]
        inputs = np.empty((len(heatmaps), len(self._channels), rows, columns), np.float32)
        power = np.empty((len(heatmaps), rows, columns), np.float32)
        for heatmap, into, of_first in zip(heatmaps, inputs, power, strict=True):
            x = heatmap.astype(np.float32, casting="same_kind", copy=False)
            _first_power(x, of_first)
            for name, channel in zip(self._channels, into, strict=True):
                if name == "magnitude":
                    channel[:] = of_first
                else:
                    _deviation_power(x, channel)
            self._compress(into)
            if len(x) == 1 and "motion" in self._channels:
                into[self._channels.index("motion")] = 0
        return inputs, power

    def _compress(self, power: Floats) -> None:
        """The standardised logarithms of the amplitudes, in the place of (C, 128, 128) powers."""
        np.minimum(power, LARGEST_POWER, out=power)
        np.sqrt(power, out=power)
        np.add(power, FLOOR, out=power)
        np.log(power, out=power)
        np.subtract(power, self._mean, out=power)
        np.divide(power, self._std, out=power)


def _first_power(x: Floats, power: Floats) -> None:
    squares = np.square(x[0])
    np.add(squares[..., 0], squares[..., 1], out=power)
    np.minimum(power, LARGEST_POWER, out=power)


def _deviation_power(x: Floats, power: Floats) -> None:
    # Chirp by chirp: all deviations at once would not fit into the cache beside the frame.
    mean = np.add.reduce(x)
    mean /= len(x)
    deviation = x[0] - mean
    total = np.square(deviation)
    for chirp in x[1:]:
        np.subtract(chirp, mean, out=deviation)
        np.square(deviation, out=deviation)
        total += deviation
    np.add(total[..., 0], total[..., 1], out=power)
    power /= len(x)


class Head:
    """`HeadFit.probabilities`."""

    def __init__(self, head: HeadFit) -> None:
        self._head = head
        self._mean, self._std, self._bias = (
            tensor.float().numpy() for tensor in (head.mean, head.std, head.bias)
        )
        rows = [head.weight] if head.known is None else [head.weight, head.known]
        self._rows = torch.cat(rows).float().T.contiguous()  # one product for both

    def probabilities(self, features: Floats) -> Floats:
        """(n, F) features to (n, 4) calibrated probabilities."""
        head, classes = self._head, len(self._head.weight)
        z = (features - self._mean) / self._std
        products = (torch.from_numpy(z) @ self._rows).numpy()
        logits = products[:, :classes] + self._bias
        if head.known is not None:
            unknown = np.square(z).sum(axis=1) - np.square(products[:, classes:]).sum(axis=1)
            variance = head.doubt * np.maximum(unknown, 0)
            logits /= np.sqrt(1 + math.pi / 8 * variance)[:, None]
        logits /= np.float32(head.temperature)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
        return probabilities


class Known:
    """`Familiarity.score`, for feature maps and frames of the sizes of `maps` and `frame`."""

    def __init__(self, familiarity: Familiarity, maps: Tensor, frame: Tensor) -> None:
        self._familiarity = familiarity
        # In the order that channels_last maps lie in, so that nothing is copied.
        basis = familiarity.map_basis.float()
        by_channel = basis.view(maps.shape[1], -1, basis.shape[1])
        self._basis = by_channel.transpose(0, 1).flatten(0, 1).contiguous()
        self._minus_mean = -(familiarity.map_mean.float() @ basis)
        self._reference = familiarity.reference.float().T.contiguous()
        self._whitening = familiarity.beam_whitening.float()
        self._minus_beam = -(familiarity.beam_mean.float() @ self._whitening)
        self._waves = waves(frame.shape[3], torch.float32, frame.device)
        sizes = [len(part) for part in np.array_split(np.arange(frame.shape[2]), RANGES)]
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._sizes = np.array(sizes, np.float32)[:, None]
        self._third = np.repeat(np.arange(RANGES), sizes)

    def score(self, maps: Tensor, power: Floats, confidence: Floats | None) -> Floats:
        """(n,) scores of (n, D, rows, columns) maps and (n, rows, azimuth) power."""
        known = self._familiarity
        place = (self._place_distances(maps) - known.place.middle) / known.place.spread
        beam = (self._beam_distances(power) - known.beam.middle) / known.beam.spread
        total: Floats = np.maximum(np.maximum(place, beam), 0)
        if confidence is not None:
            total -= DOUBT_WEIGHT * np.log(np.maximum(confidence, 1e-6))
        total /= known.scale
        return total

    def _place_distances(self, maps: Tensor) -> Floats:
        flat = maps.permute(0, 2, 3, 1).flatten(1)
        found = torch.addmm(self._minus_mean, flat, self._basis)
        similarity = (found @ self._reference).numpy()
        length = np.sqrt(np.square(found.numpy()).sum(axis=1))
        k = min(self._familiarity.k, similarity.shape[1])
        nearest = np.partition(similarity, -k, axis=1)[:, -k] / np.maximum(length, SHORTEST)
        distances: Floats = np.sqrt(np.maximum(2 - 2 * nearest, 0))
        return distances

    def _beam_distances(self, power: Floats) -> Floats:
        numbers = torch.from_numpy(self._beam_numbers(power))
        whitened = torch.addmm(self._minus_beam, numbers, self._whitening).numpy()
        distances: Floats = np.sqrt(np.square(whitened).sum(axis=1))
        return distances

    def _beam_numbers(self, power: Floats) -> Floats:
        products = (torch.from_numpy(power) @ self._waves).numpy()
        lags = np.hypot(products[..., : LAGS + 1], products[..., LAGS + 1 :])
        weight = lags[..., :1]
        coherence = lags[..., 1:] / np.maximum(weight, SHORTEST)
        means = self._by_third(np.concatenate([coherence, coherence * weight, weight], axis=2))
        mean = means[..., :LAGS]
        weighted = means[..., LAGS:-1] / np.maximum(means[..., -1:], SHORTEST)
        spread = np.sqrt(self._by_third(np.square(coherence - mean[:, self._third])))
        numbers = np.concatenate([mean, weighted, spread], axis=2).reshape(len(power), -1)
        logarithms: Floats = np.log(numbers + np.float32(EPSILON))
        return logarithms

    def _by_third(self, values: Floats) -> Floats:
        """(n, rows, m) to the (n, RANGES, m) means over near, middle and far rows."""
        means: Floats = np.add.reduceat(values, self._starts, axis=1)
        means /= self._sizes
        return means
