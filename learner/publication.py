"""A trainer's served weights with a freshly fitted head, as a published model."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rvsense import published
from rvsense.errors import RvsenseError
from rvsense.familiar import Familiarity
from rvsense.features import squared_magnitude
from rvsense.head import HeadFit
from rvsense.learner import diagnostics
from rvsense.learner.familiarfit import fit_familiarity
from rvsense.learner.headchoice import fitted
from rvsense.learner.labels import GROUP_NS
from rvsense.learner.queue import near_in_time
from rvsense.learner.trainer import Trainer

REFERENCE_PAIRS = 512
"""Pool pairs that stand for the familiar: 0.1 MB in a model."""
MIN_REFERENCE_PAIRS = 32
LEFT_OUT_SHARE = 4
"""One stretch of the pool in so many is no reference: its frames measure how far is usual."""
DUPLICATE_PAIRS = 64
MIN_SCALE_PAIRS = 20
"""Fewer frames say nothing about their farthest hundredth."""


class NotFiniteError(RvsenseError):
    """The served weights are finite, and cannot be computed with."""


class GivenUpError(RvsenseError):
    """There is no time for this model."""


Hurried = Callable[[], bool]


def publish(
    trainer: Trainer,
    models_dir: Path,
    *,
    teacher_sha256: str,
    figures: Mapping[str, Any],
    hurried: Hurried = lambda: False,
) -> tuple[published.PublishedModel, dict[str, float | None]]:
    """Fit the head, measure, write; returns the model and the figures that were measured.

    `hurried` is asked several times a second while features are computed, which takes seconds.

    Raises:
        GivenUpError: we are hurried; nothing was written.
        NotFiniteError: of weights that are finite, what they make of a frame is not.
        OSError: from the disk.
    """

    def features_of(inputs: Tensor) -> Tensor:
        parts = [trainer.features(part) for part in _unhurried(inputs, hurried)]
        return _finite(torch.cat(parts))

    head, note = fitted(trainer, features_of)
    familiarity = _familiarity(trainer, head, hurried)
    measured = _measure(trainer, head)
    counters = trainer.counters
    model = published.publish(
        models_dir,
        weights={k: v.detach().cpu() for k, v in trainer.average.encoder.state_dict().items()},
        head=head,
        familiarity=familiarity,
        manifest={
            "step": counters.step,
            "created_ns": time.time_ns(),
            "encoder": trainer.encoder.spec.to_dict(),
            "preset": trainer.preset.name,
            "teacher": {
                "name": trainer.teacher.name,
                "weights": trainer.teacher.weights,
                "sha256": teacher_sha256,
            },
            "data": asdict(counters)
            | {
                "pool": trainer.pool.fill,
                "labels": len(trainer.labels),
                "pseudo_labels": len(trainer.pseudo),
            },
            "head_note": note,
            "figures": dict(figures) | measured,
            "config": asdict(trainer.learning),
        },
    )
    return model, measured


def _unhurried(inputs: Tensor, hurried: Hurried) -> Iterator[Tensor]:
    """(n, …) in parts of 64."""
    for part in torch.split(inputs, 64):
        if hurried():
            raise GivenUpError("a model was not finished: we are told to stop, and waited for")
        yield part


def _finite(features: Tensor) -> Tensor:
    if not torch.isfinite(features.square().sum()):  # their spread is computed with, too
        raise NotFiniteError(
            "what the encoder makes of known frames is not finite: its weights have grown too large"
        )
    return features


def _familiarity(trainer: Trainer, head: HeadFit | None, hurried: Hurried) -> Familiarity | None:
    """Of pool frames, measured on held-out ones and on stretches of the pool that are left out.

    None while there are too few of either. The ring alone is small and of few scenes: with 25
    frames of it, a quarter of new frames lay above 1 that should have been a hundredth.
    """
    pool = trainer.pool
    # Numbered one by one: an epoch's first stretch and its place may all be multiples of four.
    moments = torch.stack([pool.take("place"), pool.take("stamp") // GROUP_NS], dim=1)
    stretches = torch.unique(moments, dim=0, return_inverse=True)[1]
    left_out = (stretches % LEFT_OUT_SHARE == 0).nonzero()[:, 0]
    known = (stretches % LEFT_OUT_SHARE != 0).nonzero()[:, 0]
    known = known[_evenly(len(known), REFERENCE_PAIRS)]
    left_out = left_out[_evenly(len(left_out), REFERENCE_PAIRS // LEFT_OUT_SHARE)]
    unseen = torch.cat([trainer.ring.take("input"), pool.take("input", left_out)])
    if len(unseen) < MIN_SCALE_PAIRS or len(known) < MIN_REFERENCE_PAIRS:
        return None
    confidence = None
    if head is not None:
        confidence = head.probabilities(trainer.features(unseen)).amax(dim=1)
    seen = _seen_by(trainer, pool.take("input", known), hurried)
    return fit_familiarity(seen, _seen_by(trainer, unseen, hurried), confidence)


@torch.inference_mode()
def _seen_by(trainer: Trainer, inputs: Tensor, hurried: Hurried) -> tuple[Tensor, Tensor]:
    """Feature maps of (n, C, 128, 128) inputs by the served weights, and the inputs' power."""
    encoder = trainer.average.encoder
    parts = [
        encoder.feature_map(part.float().to(trainer.device)) for part in _unhurried(inputs, hurried)
    ]
    maps = _finite(torch.cat(parts).float().cpu())
    return maps, squared_magnitude(inputs, encoder.spec.channels)


def _measure(trainer: Trainer, head: HeadFit | None) -> dict[str, float | None]:
    measured: dict[str, float | None] = {
        "head_accuracy": None if head is None else head.accuracy,
        "ece": None if head is None else head.ece,
        "retrieval": None,
        "rankme": None,
        "near_duplicates": _near_duplicates(trainer),
    }
    if trainer.ring.fill >= 2:
        inputs = trainer.ring.take("input")
        keys = trainer.unit_keys(trainer.ring.take("key"), trainer.ring.take("place"))
        measured["retrieval"] = diagnostics.retrieval(trainer.queries(inputs), keys, _near(trainer))
        measured["rankme"] = diagnostics.rank_me(_finite(trainer.features(inputs)))
    return measured


def _near_duplicates(trainer: Trainer) -> float | None:
    """Share of negatives that show the scene of the positive, for pool pairs evenly spaced."""
    if not trainer.pool.fill or not trainer.queue.fill:
        return None
    slots = _evenly(trainer.pool.fill, DUPLICATE_PAIRS)
    admissible = trainer.queue.admissible(
        trainer.pool.take("stamp", slots).to(trainer.device),
        trainer.pool.take("place", slots).to(trainer.device),
        trainer.objective.exclusion_ns,
        same_site=trainer.objective.same_site,
    )
    places = trainer.pool.take("place", slots)
    keys = trainer.unit_keys(trainer.pool.take("key", slots), places).to(trainer.device)
    return diagnostics.near_duplicate_share(keys, trainer.queue.keys, admissible)


def _evenly(fill: int, count: int) -> Tensor:
    """At most `count` of `fill` slots. No draw: publishing leaves the random state alone."""
    return torch.linspace(0, fill - 1, min(count, fill)).long()


def _near(trainer: Trainer) -> Tensor:
    """(n, n): which ring pairs are near copies of each other, as the loss defines it."""
    stamps, places = trainer.ring.take("stamp"), trainer.ring.take("place")
    return near_in_time(stamps, places, stamps, places, trainer.objective.exclusion_ns)
