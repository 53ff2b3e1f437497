"""Few labels, spread through the camera, for the linear head alone.

The teacher's keys tell classes apart by a handful of labelled pictures; features of radar do not.
So a linear layer on the keys of the labelled frames says what the pool's pairs show that nobody
has labelled, and the head is fitted to the radar features of both. It answers from radar alone,
as ever; the encoder never sees a label, and nobody labels more frames than before.

Rules:
- The camera's layer sees what a picture shows beside its site, on one scale for all directions:
  so its few labels suffice, and its probabilities are calibrated as they are.
- Pairs that the camera is not sure of teach nothing: scenes of several classes are among them.
- The head is calibrated on stretches of recording that neither it nor the camera's layer was
  fitted on: first against the camera's word for the pool's pairs, of which there are many, then
  against the labels, of which there are few.
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rvsense.frames import CLASSES
from rvsense.head import HeadFit
from rvsense.learner import headfit
from rvsense.learner.backgrounds import FIRST

CAMERA_STRENGTH = 0.1
"""L2 penalty of the camera's layer. With 8, 32 and 330 labels of simulated pictures it was as sure
as it was right, within 1.5 points."""
STRENGTH = 0.01
"""L2 penalty of the head, which has frames enough."""
SURE = 0.9
"""The camera's confidence from which a pair teaches the head."""
LEAST_SHARE = 0.5
"""Of the pairs, the surest, that teach it whatever their confidence."""
TEMPERATURE_SPREAD = 0.25
"""Standard deviation of log T before any label: the camera's word has set most of it."""
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames as both sides see them; every field has n rows."""

    features: Tensor
    """(n, F) of the radar encoder."""
    keys: Tensor
    """(n, D) raw keys of the teacher; zeros where no picture is at hand."""
    sites: Tensor
    """(n,) site numbers."""
    groups: Tensor
    """(n,) numbers of stretches of recording, each of near copies."""

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, rows: Tensor) -> "Frames":
        """The given rows, in that order."""
        return Frames(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Spread:
    """A head that the camera helped to fit."""

    head: HeadFit
    pairs: int
    """Of the pool, that taught it."""
    named: Tensor
    """(m,) the class that the camera gives each pair of the pool."""


def fit_spread_head(taught: Frames, labels: Tensor, pool: Frames) -> Spread | None:
    """A calibrated head from labelled frames of (n,) classes and the unlabelled ones of a pool.

    None where nothing can be spread: fewer than two classes are labelled with a picture at hand,
    or the pool is empty.
    """
    if not len(pool) or len(torch.unique(labels[_shown(taught)])) < 2:
        return None
    lesson = Lesson.of(taught, labels, pool)
    every = torch.ones(len(lesson.groups), dtype=torch.bool)
    targets = lesson.targets(every)
    rows = lesson.teaching(every, targets)
    logits, measured = _out_of_fold(lesson, targets)
    own = lesson.labelled
    temperature, accuracy, error = 1.0, None, None
    if bool((measured & ~own).any()):
        rest = measured & ~own
        temperature = headfit.best_temperature(logits[rest], targets[rest])
    if int((measured & own).sum()) >= headfit.MIN_LABELS:
        mine, truth = logits[measured & own], labels[measured[: len(labels)]]
        stretches = len(torch.unique(lesson.groups[measured & own]))
        pull = 1 / (TEMPERATURE_SPREAD**2 * stretches)
        temperature *= headfit.best_temperature(mine / temperature, truth, pull)
        accuracy = float((mine.argmax(dim=1) == truth).double().mean())
        error = headfit.calibration_error(torch.softmax(mine / temperature, dim=1), truth)
    head = headfit.finished(
        _head(lesson.features[rows], targets[rows]),
        labels,
        temperature=temperature,
        accuracy=accuracy,
        ece=error,
    )
    return Spread(head, int((rows & ~own).sum()), targets[~own].argmax(dim=1))


def foreground(keys: Tensor, sites: Tensor) -> Tensor:
    """(n, D) raw keys of (n,) sites to float64: what each picture shows beside its site.

    Less the mean key of their site, or of all where their site has fewer than FIRST; of length 1,
    centred, and with a mean square of 1 over all directions together.
    """
    keys = keys.double()
    shown = keys - keys.mean(dim=0)
    for site in torch.unique(sites):
        own = sites == site
        if int(own.sum()) >= FIRST:
            shown[own] = keys[own] - keys[own].mean(dim=0)
    shown = F.normalize(shown, dim=1)
    shown -= shown.mean(dim=0)
    return shown / shown.square().mean().sqrt().clamp_min(TINY)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Labelled frames, then the pool's pairs: n + m rows of which any part can be learned from."""

    features: Tensor
    """(n + m, F) float64."""
    pictures: Tensor
    """(n + m, D) `foreground`; zeros where there is none."""
    known: Tensor
    """(n, 4) what the labels say."""
    groups: Tensor
    """(n + m,) stretches of recording."""

    @staticmethod
    def of(taught: Frames, labels: Tensor, pool: Frames) -> "Lesson":
        """From both, with (n,) labels."""
        keys = torch.cat([taught.keys, pool.keys])
        shown = keys.any(dim=1)
        pictures = torch.zeros(keys.shape, dtype=torch.float64)
        pictures[shown] = foreground(keys[shown], torch.cat([taught.sites, pool.sites])[shown])
        return Lesson(
            torch.cat([taught.features, pool.features]).double(),
            pictures,
            F.one_hot(labels, len(CLASSES)).double(),
            torch.cat([taught.groups, pool.groups]),
        )

    @property
    def labelled(self) -> Tensor:
        """(n + m,) which rows a label speaks for."""
        return torch.arange(len(self.groups)) < len(self.known)

    def targets(self, seen: Tensor) -> Tensor:
        """(n + m, 4) labels, and for the pool what the camera says by the `seen` labels alone."""
        rows = (seen & self.labelled & self.pictures.any(dim=1)).nonzero()[:, 0]
        dim = self.pictures.shape[1]
        as_they_are = (torch.zeros(dim).double(), torch.ones(dim).double())
        layer = headfit.fit_linear(
            self.pictures[rows], self.known[rows], CAMERA_STRENGTH, as_they_are
        )
        said = torch.softmax(layer.logits(self.pictures[~self.labelled]), dim=1)
        return torch.cat([self.known, said])

    def teaching(self, seen: Tensor, targets: Tensor) -> Tensor:
        """(n + m,) which of the `seen` rows teach the head: labels, and what is sure enough."""
        confidence = targets.amax(dim=1)
        pool = seen & ~self.labelled
        least = torch.quantile(confidence[pool], 1 - LEAST_SHARE) if bool(pool.any()) else SURE
        return seen & (self.labelled | (confidence >= min(SURE, float(least))))


def _out_of_fold(lesson: Lesson, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(n + m, 4) logits of heads that know nothing of a row's stretch, and which rows have any.

    Not of the label either: the camera's layer is fitted anew without it.
    """
    folds = headfit.assign_folds(targets.argmax(dim=1), lesson.groups)
    logits, measured = torch.zeros_like(targets), torch.zeros(len(targets), dtype=torch.bool)
    pictured = lesson.labelled & lesson.pictures.any(dim=1)
    for fold in torch.unique(folds):
        out = folds == fold
        if len(torch.unique(targets[pictured & ~out].argmax(dim=1))) < 2:
            continue
        said = lesson.targets(~out)
        rows = lesson.teaching(~out, said)
        logits[out] = _head(lesson.features[rows], said[rows]).moderated(lesson.features[out])
        measured |= out
    return logits, measured


def _head(x: Tensor, targets: Tensor) -> HeadFit:
    known, doubt = headfit.directions(x).uncertainty(STRENGTH)
    return replace(headfit.fit_linear(x, targets, STRENGTH), known=known, doubt=doubt)


def _shown(frames: Frames) -> Tensor:
    return frames.keys.any(dim=1)
