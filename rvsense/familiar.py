"""How far a frame lies from what the encoder has seen: the out-of-distribution score.

Three things are measured; each finds what the others are blind to.

1. *Place*: the distance to the k-th nearest known frame (2204.06507) between feature maps. Where
   things lie counts, so another site's clutter and a mirrored array lie far off. Averages over
   space, which the classifier uses, are the same for both.
2. *Beam*: |F|x|²| along azimuth, by row, is the autocorrelation over the antennas. Its size at
   lags 1 to 7 depends on the array and its window, hardly on the scene; noise and exchanged
   antennas change it. Mahalanobis distance of its logarithms' statistics over the rows.
3. *Doubt*: -ln of the confidence. Frames that are known well and understood badly are as little
   to be relied upon; feature distance and logits together do better than either (2203.10807).

The score is the larger of the first two, each in units of its spread over known frames, plus
the third with a weight, divided by the 99th percentile over frames that are not the reference.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

LAGS = 7
"""Eight virtual antennas in a row have seven distances between them."""
RANGES = 3
"""Near, middle and far are looked at apart: leakage, targets and noise reign in one each."""
BEAM_NUMBERS = 3 * RANGES * LAGS
DOUBT_WEIGHT = 2.5
"""Above 2, leaving out the least familiar tenth of known sites' frames raised the accuracy at
every share of labels; above 3, exchanged antennas were found less often (bench/trust.py)."""
SHORTEST = 1e-12
"""What lengths and powers are divided by at least."""
EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What is usual of a distance: its median over known frames, and one deviation above."""

    middle: float
    spread: float

    def measure(self, distances: Tensor) -> Tensor:
        """Deviations above the middle."""
        return (distances - self.middle) / self.spread


@dataclass(frozen=True, slots=True)
class Familiarity:
    """What is known, as tensors that travel in a published model.

    Shapes: `map_mean` (D,) and `map_basis` (D, P) reduce a flattened feature map, `reference`
    (R, P) holds unit vectors of known frames; `beam_mean` (63,) and `beam_whitening` (63, 63).
    `scale` is the 99th percentile of the sum over known frames that are not in the reference.
    """

    map_mean: Tensor
    map_basis: Tensor
    reference: Tensor
    beam_mean: Tensor
    beam_whitening: Tensor
    place: Yardstick
    beam: Yardstick
    scale: float
    k: int = 5

    def score(self, maps: Tensor, power: Tensor, confidence: Tensor | None) -> Tensor:
        """(n,) scores; 1 is as far as the farthest hundredth of known frames, 0 the least.

        Args:
            maps: (n, ...) feature maps of the encoder.
            power: (n, rows, azimuth) squared magnitude of the heatmaps' first chirp.
            confidence: (n,) probability of the likeliest class; None without a classifier.
        """
        place = self.place.measure(self.place_distances(maps))
        beam = self.beam.measure(self.beam_distances(power))
        total = torch.maximum(place, beam).clamp_min(0)
        if confidence is not None:
            total = total - DOUBT_WEIGHT * confidence.clamp_min(1e-6).log()
        return total / self.scale

    def place_distances(self, maps: Tensor) -> Tensor:
        """(n, ...) feature maps to the (n,) distances to the k-th nearest known frame."""
        found = (maps.flatten(1) - self.map_mean) @ self.map_basis  # (n, P)
        length = torch.linalg.vector_norm(found, dim=1).clamp_min(SHORTEST)
        # Of unit vectors, |a - b|² = 2 - 2 a·b: one product instead of all differences.
        k = min(self.k, len(self.reference))
        similarity = (found @ self.reference.T).topk(k, dim=1).values[:, -1] / length
        distances: Tensor = (2 - 2 * similarity).clamp_min(0).sqrt()
        return distances

    def beam_distances(self, power: Tensor) -> Tensor:
        """(n, rows, azimuth) power to (n,) Mahalanobis distances from the usual array."""
        whitened = (beam_numbers(power) - self.beam_mean) @ self.beam_whitening
        distances: Tensor = torch.linalg.vector_norm(whitened, dim=1)
        return distances


def reduced(maps: Tensor, mean: Tensor, basis: Tensor) -> Tensor:
    """(n, ...) feature maps to (n, P) unit vectors."""
    return F.normalize((maps.flatten(1) - mean) @ basis, dim=1, eps=SHORTEST)


def beam_numbers(power: Tensor) -> Tensor:
    """(n, rows, azimuth) power to (n, 63): logarithms of figures by third of the range and lag.

    They are the mean coherence of two antennas so far apart, the same weighted by the rows'
    power, and how much it varies between rows.
    """
    # A frame is small and every call costs: few large products, not many small sums.
    lagged = power @ waves(power.shape[2], power.dtype, power.device)
    cosines, sines = torch.split(lagged, LAGS + 1, dim=2)
    lags = torch.hypot(cosines, sines)  # (n, rows, 8); squares of huge values would overflow
    weight = lags[:, :, :1]
    coherence = lags[:, :, 1:] / weight.clamp_min(SHORTEST)  # (n, rows, 7), from 0 to 1
    third, share = _thirds(power.shape[1], power.dtype, power.device)
    means = share @ torch.cat([coherence, coherence * weight, weight], dim=2)  # (n, 3, 15)
    mean, weighted = means[:, :, :LAGS], means[:, :, LAGS:-1] / means[:, :, -1:].clamp_min(SHORTEST)
    spread = (share @ (coherence - mean[:, third]).square_()).sqrt_()
    return torch.cat([mean, weighted, spread], dim=2).flatten(1).add_(EPSILON).log_()


@cache
def waves(columns: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(columns, 16): cosines, then sines, of which a product with rows gives F at lags 0 to 7.

    A whole FFT for 8 of its 65 values takes three times as long.
    """
    with torch.inference_mode(False):
        turns = torch.outer(torch.arange(columns), torch.arange(LAGS + 1)).double() / columns
        angles = 2 * torch.pi * turns
        return torch.cat([angles.cos(), angles.sin()], dim=1).to(device, dtype)


@cache
def _thirds(rows: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(rows,) which of the RANGES a row lies in, and the (RANGES, rows) that takes their means."""
    with torch.inference_mode(False):  # kept for callers of every mode
        parts = torch.tensor_split(torch.arange(rows, device=device), RANGES)
        third = torch.cat([torch.full_like(part, i) for i, part in enumerate(parts)])
        members = F.one_hot(third, RANGES).T.to(dtype)
        return third, members / members.sum(dim=1, keepdim=True)
