"""The served weights: an exponential moving average of the trained ones (2411.18704)."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


RECENT = 8
"""While the run is short, the average is of its last eighth: it would lag behind otherwise."""


class Average(Generic[Network]):
    """A frozen copy of an encoder that follows it, buffers (normalisation statistics) too."""

    def __init__(self, encoder: Network, horizon_samples: int) -> None:
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self._horizon_samples = horizon_samples

    @torch.no_grad()
    def follow(self, encoder: Network, step: int, batch: int) -> None:
        """Move towards the weights after `step` updates of `batch` samples.

        The horizon grows with the run until it has its full length (polynomial decay, 1212.1824):
        at a constant rate the weights wander, and averaging pays, but what was learned in the
        first steps is soon outdated.
        """
        share = max(min(batch / max(self._horizon_samples, 1), 1.0), RECENT / (step + RECENT))
        new = encoder.state_dict()
        for name, mean in self.encoder.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(new[name], share)
            else:
                mean.copy_(new[name])
