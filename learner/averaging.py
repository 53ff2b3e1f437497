"""The served weights: an exponential moving average of the trained ones (2411.18704)."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Average(Generic[Network]):
    """A frozen copy of an encoder that follows it, buffers (normalisation statistics) too."""

    def __init__(self, encoder: Network, horizon_samples: int) -> None:
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self._horizon_samples = horizon_samples

    @torch.no_grad()
    def follow(self, encoder: Network, step: int, batch: int) -> None:
        """Move towards the weights after `step` updates of `batch` samples.

        The first updates are averaged evenly, so that the random start weighs no more than
        any other point.
        """
        share = max(min(batch / max(self._horizon_samples, 1), 1.0), 1.0 / (step + 1))
        new = encoder.state_dict()
        for name, mean in self.encoder.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(new[name], share)
            else:
                mean.copy_(new[name])
