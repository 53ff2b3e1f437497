"""The linear classifier on top of the frozen encoder.

A few small tensors that travel in a published model; fitting them is the learner's work.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class HeadFit:
    """A linear layer with a softmax (the paper's linear protocol), calibrated.

    Shapes: `weight` (4, F), `bias` (4,), `mean` and `std` (F,) standardise the features.
    `accuracy` and `ece` were measured on labels that the fit did not see; None = too few.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    std: Tensor
    temperature: float = 1.0
    accuracy: float | None = None
    ece: float | None = None
    labels: dict[str, int] = field(default_factory=dict)

    def logits(self, features: Tensor) -> Tensor:
        """(n, F) features to (n, 4) uncalibrated logits, in the order of CLASSES."""
        return torch.addmm(self.bias, (features - self.mean) / self.std, self.weight.T)

    def probabilities(self, features: Tensor) -> Tensor:
        """(n, F) features to (n, 4) calibrated probabilities."""
        return torch.softmax(self.logits(features) / self.temperature, dim=1)
