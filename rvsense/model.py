"""A model that answers: heatmaps in, classes out, from radar alone."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rvsense.answer import Answer
from rvsense.device import stage_to
from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.errors import ModelError
from rvsense.folding import fold
from rvsense.frames import CLASSES
from rvsense.graphed import serving_pass
from rvsense.on_cpu import CpuAnswers
from rvsense.on_device import DeviceAnswers
from rvsense.packed import cpu_pass
from rvsense.published import PublishedModel

PROBE_SEED = 20_260_101


UNFIT = (RuntimeError, KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What torch and Python raise where manifest and tensors do not fit together."""


class ServableModel:
    """An encoder in eval mode with its head, ready to answer.

    `encoder`, `head` and `familiarity` are what the answers are made with; the last two may be
    None, as in the published model.

    Raises:
        ModelError: when the tensors do not fit the declared encoder or are not all finite, a
            trial answer is not finite or has the wrong shape, or the device cannot record a pass.
    """

    def __init__(self, published: PublishedModel, device: torch.device) -> None:
        self.published = published
        self.encoder = _encoder(published).to(device)
        try:
            self.head = published.head()
            self.familiarity = published.familiarity()
            self._numbers = self._made_for(device)
            self._check()
        except UNFIT as error:
            raise ModelError(
                f"{published.path}: head and encoder do not fit together ({error!r})"
            ) from None

    @torch.inference_mode()
    def classify(self, heatmaps: Sequence[NDArray[np.floating[Any]]]) -> list[Answer]:
        """Answer for each (chirps, 128, 128, 2) heatmap, in their order.

        Where a heatmap's values are so large that the arithmetic overflows, the answer is
        `out_of_distribution` without a score.
        """
        return [_answer(*numbers) for numbers in self._numbers(heatmaps)] if heatmaps else []

    @torch.inference_mode()
    def _made_for(self, device: torch.device) -> CpuAnswers | DeviceAnswers:
        encoder, head, familiarity = self.encoder, self.head, self.familiarity
        frame = encoder.prepare(torch.zeros(1, 1, 128, 128, 2, device=device))
        if device.type == "cpu":
            feature_map = serving_pass(cpu_pass(encoder, frame), frame)
            return CpuAnswers(encoder, feature_map, head, familiarity, frame)
        feature_map = serving_pass(encoder.feature_map, frame)
        return DeviceAnswers(encoder, feature_map, head, familiarity, stage_to(device))

    @torch.inference_mode()
    def _check(self) -> None:
        """A trial on noise: finite features, and an answer as whole as the model's parts."""
        noise = torch.randn(1, 4, 128, 128, 2, generator=torch.Generator().manual_seed(PROBE_SEED))
        weight = next(self.encoder.parameters())
        features = self.encoder.features(self.encoder.prepare(noise.to(weight.device)))
        if not torch.isfinite(features).all():
            raise ModelError(f"{self.published.path}: the encoder's output is not finite")
        (answer,) = self.classify(list(noise.numpy()))
        wanted = None if self.head is not None else "no_labels"
        if answer.abstain != wanted:
            raise ModelError(f"{self.published.path}: the answer to a trial frame is not finite")


def _answer(probabilities: list[float], score: float | None) -> Answer:
    if not all(map(math.isfinite, [*probabilities, score or 0.0])):
        return Answer(None, {}, None, "out_of_distribution")
    if not probabilities:
        return Answer(None, {}, score, "no_labels")
    probs: dict[str, float] = dict(zip(CLASSES, probabilities, strict=True))
    return Answer(CLASSES[probabilities.index(max(probabilities))], probs, score, None)


def _is_finite(tensor: torch.Tensor) -> bool:
    return not tensor.is_complex() and bool(torch.isfinite(tensor).all())


def _encoder(published: PublishedModel) -> RadarEncoder:
    weights = published.weights()
    try:
        bad = [name for name, tensor in weights.items() if not _is_finite(tensor)]
        if bad:
            raise ModelError(f"{published.path}: weights are not finite ({', '.join(bad[:3])})")
        spec = EncoderSpec.from_dict(published.manifest["encoder"])
        # What is declared may be of any size; what is built is as large as what there is.
        with torch.device("meta"):
            shapes = {name: tensor.to("meta") for name, tensor in weights.items()}
            build_encoder(spec, seed=0).load_state_dict(shapes, strict=True)
        encoder = build_encoder(spec, seed=0)
        encoder.load_state_dict(weights, strict=True)
    except UNFIT as error:
        raise ModelError(
            f"{published.path}: weights do not fit the declared encoder ({error})"
        ) from None
    fold(encoder.eval())
    return encoder
