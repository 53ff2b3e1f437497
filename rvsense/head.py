"""The linear classifier on top of the frozen encoder.

A few small tensors that travel in a published model; fitting them is the learner's work.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class HeadFit:
    """A linear layer with a softmax (the paper's linear protocol), calibrated.

    Shapes: `weight` (4, F), `bias` (4,), `mean` and `std` (F,) standardise the features.
    `accuracy` and `ece` were measured on labels that the fit did not see; None = too few.

    `known` (R, F) and `doubt` give the variance of the logits of standardised features z as
    doubt (|z|² - |known z|²): large where no label has been. Without `known` it counts as none.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    std: Tensor
    temperature: float = 1.0
    accuracy: float | None = None
    ece: float | None = None
    labels: dict[str, int] = field(default_factory=dict)
    known: Tensor | None = None
    doubt: float = 0.0

    def logits(self, features: Tensor) -> Tensor:
        """(n, F) features to (n, 4) uncalibrated logits, in the order of CLASSES."""
        return torch.addmm(self.bias, (features - self.mean) / self.std, self.weight.T)

    def probabilities(self, features: Tensor) -> Tensor:
        """(n, F) features to (n, 4) calibrated probabilities."""
        return torch.softmax(self.moderated(features) / self.temperature, dim=1)

    def moderated(self, features: Tensor) -> Tensor:
        """(n, F) features to (n, 4) logits, made smaller by their own uncertainty.

        The mean of a sigmoid over a normal logit, nearly (MacKay 1992): the answer stays.
        """
        logits = self.logits(features)
        if self.known is None:
            return logits
        z = (features - self.mean) / self.std
        unknown = z.square().sum(dim=1) - (z @ self.known.T).square().sum(dim=1)
        variance = self.doubt * unknown.clamp_min(0)
        return logits / (1 + math.pi / 8 * variance).sqrt()[:, None]
