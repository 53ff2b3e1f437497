"""From a radar heatmap to the encoder's input. Shared by learning and serving.

The paper's input is the magnitude alone, resampled and replicated (`paper_input`). The edge
input adds motion: the chirps of a CRUW frame span 23 ms, so what differs between them moved,
and what a fixed basestation always sees cancels out.

Both are log-compressed, because 20 to 40 dB lie between noise and targets, and scaled by
fixed constants to about zero mean and unit variance. The constants come from the statistics
of one real CRUW frame and of simulated ones; they need to be near, not exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

CHANNELS = ("magnitude", "motion")
PAPER_SIZE = 224

# log(0.01) is below the noise floor of the median CRUW cell (0.023).
FLOOR = 0.01
LARGEST_POWER = 2e18
"""Of a valid value that is finite and huge, the square is not."""
MAGNITUDE_MEAN, MAGNITUDE_STD = -3.4, 0.7
MOTION_MEAN, MOTION_STD = -3.7, 0.6


def encoder_input(heatmaps: Tensor | NDArray[np.floating[Any]], channels: Sequence[str]) -> Tensor:
    """(n, chirps, 128, 128, 2) heatmaps, real and imaginary parts, to (n, C, 128, 128) float32.

    `magnitude` is of chirp 0; `motion` is the root mean square deviation of the chirps from
    their mean, and 0 everywhere for a single chirp.

    Raises:
        ValueError: for a channel that is not in CHANNELS.
    """
    x = torch.as_tensor(heatmaps).float()
    makers = {"magnitude": _magnitude, "motion": _motion}
    unknown = [name for name in channels if name not in makers]
    if unknown:
        raise ValueError(f"channels {unknown}: only {CHANNELS} exist")
    return torch.stack([makers[name](x) for name in channels], dim=1)


def paper_input(magnitude: Tensor) -> Tensor:
    """(n, 1, 128, 128) magnitude to the (n, 3, 224, 224) that VGG-16 takes (paper, IV-C)."""
    resampled = F.interpolate(
        magnitude, size=(PAPER_SIZE, PAPER_SIZE), mode="bilinear", align_corners=False
    )
    return resampled.expand(-1, 3, -1, -1)


def squared_magnitude(inputs: Tensor, channels: Sequence[str]) -> Tensor:
    """(n, C, 128, 128) encoder inputs back to the (n, 128, 128) power of chirp 0.

    Raises:
        ValueError: when `magnitude` is not among the channels.
    """
    logarithm = inputs[:, list(channels).index("magnitude")].float()
    return ((logarithm * MAGNITUDE_STD + MAGNITUDE_MEAN).exp() - FLOOR).clamp_min(0).square()


def _magnitude(x: Tensor) -> Tensor:
    first = x[:, 0]  # (n, 128, 128, 2)
    power = first[..., 0].square().add_(first[..., 1].square())
    return _compressed(power, MAGNITUDE_MEAN, MAGNITUDE_STD)


def _motion(x: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return torch.zeros(x.shape[0], *x.shape[2:4], device=x.device)
    power = (x - x.mean(dim=1, keepdim=True)).square_().mean(dim=1)  # (n, 128, 128, 2)
    return _compressed(power[..., 0] + power[..., 1], MOTION_MEAN, MOTION_STD)


def _compressed(power: Tensor, mean: float, std: float) -> Tensor:
    """The standardised logarithm of the amplitude, in the place of `power`: no new memory."""
    # Of values whose squares or sums overflow, power may also be the difference of infinities.
    power.nan_to_num_(nan=LARGEST_POWER).clamp_max_(LARGEST_POWER)
    return power.sqrt_().add_(FLOOR).log_().sub_(mean).div_(std)
