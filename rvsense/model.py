"""A model that answers: heatmaps in, classes out, from radar alone."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rvsense.answer import Answer
from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.errors import ModelError
from rvsense.features import squared_magnitude
from rvsense.frames import CLASSES
from rvsense.published import PublishedModel

PROBE_SEED = 20_260_101


UNFIT = (RuntimeError, KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What torch and Python raise where manifest and tensors do not fit together."""


class ServableModel:
    """An encoder in eval mode with its head, ready to answer.

    Raises:
        ModelError: when the tensors do not fit the declared encoder or are not all finite, or
            a trial answer is not finite or has the wrong shape.
    """

    def __init__(self, published: PublishedModel, device: torch.device) -> None:
        self.published = published
        self._device = device
        self._encoder = _encoder(published).to(device)
        try:
            self._head = published.head()
            self._familiarity = published.familiarity()
            self._check()
        except UNFIT as error:
            raise ModelError(
                f"{published.path}: head and encoder do not fit together ({error!r})"
            ) from None

    @torch.inference_mode()
    def classify(self, heatmaps: Sequence[NDArray[np.floating[Any]]]) -> list[Answer]:
        """Answer for each (chirps, 128, 128, 2) heatmap; one batch per number of chirps.

        Where a heatmap's values are so large that the arithmetic overflows, the answer is
        `out_of_distribution` without a score.
        """
        answers: list[Answer | None] = [None] * len(heatmaps)
        for chirps in {len(heatmap) for heatmap in heatmaps}:
            where = [i for i, heatmap in enumerate(heatmaps) if len(heatmap) == chirps]
            batch = torch.from_numpy(np.stack([heatmaps[i] for i in where]).astype(np.float32))
            for i, answer in zip(where, self._answers(batch.to(self._device)), strict=True):
                answers[i] = answer
        return [answer for answer in answers if answer is not None]

    def _answers(self, batch: Tensor) -> list[Answer]:
        x = self._encoder.prepare(batch)
        maps = self._encoder.feature_map(x)
        rows: list[list[float]] = [[]] * len(batch)
        confidence = None
        if self._head is not None:
            probabilities = self._head.probabilities(self._encoder.features_of(maps).float().cpu())
            confidence, rows = probabilities.amax(dim=1), probabilities.tolist()
        scores: list[float | None] = [None] * len(batch)
        if self._familiarity is not None:
            power = squared_magnitude(x, self._encoder.spec.channels).cpu()
            scores = self._familiarity.score(maps.float().cpu(), power, confidence).tolist()
        return [_answer(*numbers) for numbers in zip(rows, scores, strict=True)]

    @torch.inference_mode()
    def _check(self) -> None:
        """A trial on noise: finite features, and an answer as whole as the model's parts."""
        noise = torch.randn(1, 4, 128, 128, 2, generator=torch.Generator().manual_seed(PROBE_SEED))
        features = self._encoder.features(self._encoder.prepare(noise.to(self._device)))
        if not torch.isfinite(features).all():
            raise ModelError(f"{self.published.path}: the encoder's output is not finite")
        (answer,) = self._answers(noise.to(self._device))
        wanted = None if self._head is not None else "no_labels"
        if answer.abstain != wanted:
            raise ModelError(f"{self.published.path}: the answer to a trial frame is not finite")


def _answer(probabilities: list[float], score: float | None) -> Answer:
    if not all(map(math.isfinite, [*probabilities, score or 0.0])):
        return Answer(None, {}, None, "out_of_distribution")
    if not probabilities:
        return Answer(None, {}, score, "no_labels")
    probs: dict[str, float] = dict(zip(CLASSES, probabilities, strict=True))
    return Answer(CLASSES[probabilities.index(max(probabilities))], probs, score, None)


def _encoder(published: PublishedModel) -> RadarEncoder:
    weights = published.weights()
    bad = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise ModelError(f"{published.path}: weights are not finite ({', '.join(bad[:3])})")
    try:
        encoder = build_encoder(EncoderSpec.from_dict(published.manifest["encoder"]), seed=0)
        encoder.load_state_dict(weights, strict=True)
    except UNFIT as error:
        raise ModelError(
            f"{published.path}: weights do not fit the declared encoder ({error})"
        ) from None
    return encoder.eval()
