"""What sits on top of the frozen encoder: the linear classifier and its sense of the familiar.

Both are small tensors that travel in a published model; fitting them is the learner's work.
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


@dataclass(frozen=True, slots=True)
class Familiarity:
    """How far a frame lies from what the encoder has seen (deep nearest neighbours, 2204.06507).

    `reference` holds (R, F) unit-length features; `scale` is the 99th percentile of the
    distance to the k-th nearest of them over frames that are not among them.
    """

    reference: Tensor
    scale: float
    k: int = 5

    def score(self, features: Tensor) -> Tensor:
        """(n, F) features to (n,) scores; 1 is as far as the farthest hundredth of known frames."""
        unit = torch.nn.functional.normalize(features, dim=1)
        # Of unit vectors, |a - b|² = 2 - 2 a·b: one product instead of all differences.
        k = min(self.k, len(self.reference))
        similarity = (unit @ self.reference.T).topk(k, dim=1).values[:, -1]
        return (2 - 2 * similarity).clamp_min(0).sqrt() / self.scale
