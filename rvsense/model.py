"""A model that answers: heatmaps in, classes out, from radar alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rvsense.answer import Answer
from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.errors import ModelError
from rvsense.frames import CLASSES
from rvsense.published import PublishedModel

PROBE_SEED = 20_260_101


class ServableModel:
    """An encoder in eval mode with its head, ready to answer.

    Raises:
        ModelError: when the tensors do not fit the declared encoder, or a trial answer is
            not finite or has the wrong shape.
    """

    def __init__(self, published: PublishedModel, device: torch.device) -> None:
        self.published = published
        self._device = device
        self._encoder = _encoder(published).to(device)
        self._head = published.head()
        self._familiarity = published.familiarity()
        self._check()

    @torch.inference_mode()
    def classify(self, heatmaps: Sequence[NDArray[np.floating[Any]]]) -> list[Answer]:
        """Answer for each (chirps, 128, 128, 2) heatmap; one batch per number of chirps."""
        answers: list[Answer | None] = [None] * len(heatmaps)
        for chirps in {len(heatmap) for heatmap in heatmaps}:
            where = [i for i, heatmap in enumerate(heatmaps) if len(heatmap) == chirps]
            batch = torch.from_numpy(np.stack([heatmaps[i] for i in where]).astype(np.float32))
            for i, answer in zip(where, self._answers(batch.to(self._device)), strict=True):
                answers[i] = answer
        return [answer for answer in answers if answer is not None]

    def _answers(self, batch: Tensor) -> list[Answer]:
        features = self._encoder.features(self._encoder.prepare(batch)).float()
        scores: list[float | None] = [None] * len(batch)
        if self._familiarity is not None:
            scores = self._familiarity.score(features.cpu()).tolist()
        if self._head is None:
            return [Answer(None, {}, score, "no_labels") for score in scores]
        rows = self._head.probabilities(features.cpu()).tolist()
        return [
            Answer(CLASSES[row.index(max(row))], dict(zip(CLASSES, row, strict=True)), score, None)
            for row, score in zip(rows, scores, strict=True)
        ]

    @torch.inference_mode()
    def _check(self) -> None:
        """A trial on noise: finite, of the declared width, and the same twice."""
        noise = torch.randn(1, 4, 128, 128, 2, generator=torch.Generator().manual_seed(PROBE_SEED))
        name = self.published.id
        try:
            features = self._encoder.features(self._encoder.prepare(noise.to(self._device)))
            if not torch.isfinite(features).all():
                raise ModelError(f"{name}: the encoder's output is not finite")
            for answer in self._answers(noise.to(self._device)):
                numbers = [*answer.probs.values(), answer.ood_score or 0.0]
                if not np.isfinite(numbers).all():
                    raise ModelError(f"{name}: the answer to a trial frame is not finite")
        except RuntimeError as error:
            raise ModelError(f"{name}: head and encoder do not fit together ({error})") from None


def _encoder(published: PublishedModel) -> RadarEncoder:
    try:
        encoder = build_encoder(EncoderSpec.from_dict(published.manifest["encoder"]), seed=0)
        encoder.load_state_dict(published.weights(), strict=True)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{published.id}: weights do not fit the declared encoder ({error})"
        ) from None
    return encoder.eval()
