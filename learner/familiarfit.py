"""What is familiar, fitted from known frames and measured on frames held out from learning."""

from dataclasses import replace

import torch
from torch import Tensor

from rvsense.familiar import Familiarity, Yardstick, beam_numbers, reduced

NEIGHBOUR = 5
DIMENSIONS = 64
"""Principal directions of a feature map that are compared; 128 told frames apart no better."""
SHRINKAGE = 0.01
"""Share of the mean variance in the beam's covariance: no direction counts beyond measure."""
FAMILIAR_QUANTILE = 0.99
DEVIATION_QUANTILE = 0.84
"""One standard deviation above the median, were it a normal distribution. Farther out, a few
dozen held-out frames say little."""
LEAST_SPREAD = 1e-6


def fit_familiarity(
    known: tuple[Tensor, Tensor], unseen: tuple[Tensor, Tensor], confidence: Tensor | None
) -> Familiarity:
    """From feature maps (n, ...) and power (n, rows, azimuth) of known and of unseen frames.

    `confidence` is that of the answers to the unseen frames; None without a classifier. Which
    frames are known and unseen is the caller's choice: at least two and one of them.
    """
    maps, power = known
    flat = maps.flatten(1).float()
    mean, spread = flat.mean(dim=0), flat.std(dim=0, correction=0)
    # A value that known frames never show has no direction of its own.
    weight = torch.where(spread > LEAST_SPREAD, 1 / spread.clamp_min(LEAST_SPREAD), 0.0)
    basis = weight[:, None] * _principal((flat - mean) * weight)
    beam_mean, beam_whitening = _whitening(beam_numbers(power))
    usual = Yardstick(middle=0.0, spread=1.0)
    raw = Familiarity(
        map_mean=mean,
        map_basis=basis,
        reference=reduced(flat, mean, basis),
        beam_mean=beam_mean,
        beam_whitening=beam_whitening,
        place=usual,
        beam=usual,
        scale=1.0,
        k=NEIGHBOUR,
    )
    measured = replace(
        raw,
        place=_yardstick(raw.place_distances(unseen[0].float())),
        beam=_yardstick(raw.beam_distances(unseen[1])),
    )
    scores = measured.score(unseen[0].float(), unseen[1], confidence)
    scale = float(torch.quantile(scores, FAMILIAR_QUANTILE).clamp_min(LEAST_SPREAD))
    return replace(measured, scale=scale)


def _principal(centred: Tensor) -> Tensor:
    """(n, D) centred rows to the (D, P) unit directions of most variance."""
    # Rows are fewer than columns: their Gram matrix has the same non-zero spectrum.
    values, vectors = torch.linalg.eigh((centred @ centred.T).double())
    most = min(DIMENSIONS, len(centred) - 1)
    kept = values[-most:].clamp_min(1e-9).sqrt()
    directions: Tensor = centred.T.double() @ (vectors[:, -most:] / kept)
    return directions.float()


def _whitening(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of (n, 63) numbers, and the (63, 63) matrix that gives them unit covariance."""
    x = numbers.double()
    covariance = torch.cov(x.T, correction=0)
    ridge = covariance.diagonal().mean().clamp_min(LEAST_SPREAD)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * ridge * torch.eye(len(covariance))
    values, vectors = torch.linalg.eigh(shrunk)
    return x.mean(dim=0).float(), (vectors / values.sqrt()).float()


def _yardstick(distances: Tensor) -> Yardstick:
    """Of distances of frames that are not in the reference."""
    middle, above = torch.quantile(distances, torch.tensor([0.5, DEVIATION_QUANTILE])).tolist()
    return Yardstick(middle, max(above - middle, LEAST_SPREAD))
