"""A published model as one network: raw heatmaps in, calibrated answers out.

What the daemon does around its encoder (preparing, classifying, calibrating, measuring how
familiar a frame is) is part of it, so that whoever runs an export repeats none of it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rvsense.features import squared_magnitude
from rvsense.model import ServableModel
from rvsense.published import PublishedModel

INPUT = "heatmaps"
PROBABILITIES, LOGITS, FEATURES, OOD_SCORE = "probabilities", "logits", "features", "ood_score"


class Whole(nn.Module):
    """(n, chirps, 128, 128, 2) float32 heatmaps to the outputs that `outputs` names, in order.

    `probabilities` (n, 4) are calibrated, `logits` (n, 4) their logarithms up to a constant,
    `features` (n, F) what the classifier sees, `ood_score` (n,) as in a result.

    Raises:
        ModelError: the model is damaged or does not fit.
    """

    def __init__(self, published: PublishedModel) -> None:
        super().__init__()
        self.model = ServableModel(published, torch.device("cpu"))
        self.encoder = self.model.encoder
        self.outputs = (
            *((PROBABILITIES, LOGITS) if self.model.head is not None else ()),
            FEATURES,
            *((OOD_SCORE,) if self.model.familiarity is not None else ()),
        )

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        head, familiarity = self.model.head, self.model.familiarity
        x = self.encoder.prepare(heatmaps)
        x = _still(x, heatmaps, self.encoder.spec.channels)
        maps = self.encoder.feature_map(x)
        features = self.encoder.features_of(maps)
        found: list[Tensor] = []
        confidence = None
        if head is not None:
            logits = head.moderated(features) / head.temperature
            probabilities = torch.softmax(logits, dim=1)
            confidence = probabilities.amax(dim=1)
            found += [probabilities, logits]
        found.append(features)
        if familiarity is not None:
            power = squared_magnitude(x, self.encoder.spec.channels)
            found.append(familiarity.score(maps, power, confidence))
        return tuple(found)

    @torch.inference_mode()
    def reference(self, heatmaps: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """What the daemon's own model says of (n, chirps, 128, 128, 2): each output by name."""
        model = self.model
        maps = model.encoder.feature_map(model.encoder.prepare(heatmaps))
        features = model.encoder.features_of(maps)
        found = {FEATURES: features.numpy()}
        answers = model.classify(list(heatmaps))
        if model.head is not None:
            found[PROBABILITIES] = np.array([list(answer.probs.values()) for answer in answers])
            found[LOGITS] = (model.head.moderated(features) / model.head.temperature).numpy()
        if model.familiarity is not None:
            found[OOD_SCORE] = np.array([answer.ood_score for answer in answers])
        return {name: found[name].astype(np.float32) for name in self.outputs}


def _still(x: Tensor, heatmaps: Tensor, channels: Sequence[str]) -> Tensor:
    """`motion` is 0 where a heatmap has a single chirp, for any number in a traced network."""
    if "motion" not in channels:
        return x
    chirps = torch.ones_like(heatmaps[:, :, 0, 0, 0]).sum(dim=1)
    at = list(channels).index("motion")
    is_motion = torch.arange(len(channels)) == at
    single = (chirps == 1)[:, None, None, None] & is_motion[:, None, None]
    return torch.where(single, torch.zeros_like(x), x)
