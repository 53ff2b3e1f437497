"""The linear protocol once more, with the few labels spread through the camera before.

Nothing else differs from `probe.linear`: the same frozen features, the same draws of labels, a
linear layer, and tests on radar alone.
"""

from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from rvsense.encoders import RadarEncoder
from rvsense.head import HeadFit
from rvsense.learner.headfit import calibration_error, fit_head
from rvsense.learner.offline import probe
from rvsense.learner.offline.samples import UNLABELLED, Samples
from rvsense.learner.offline.task import Task, label_draw
from rvsense.learner.spreading import Frames, fit_spread_head

MOST_PAIRS = 4096
"""Frames that labels are spread over, evenly taken where there are more."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What both sides see of the frames that are not held out, and radar of those that are."""

    known: Frames
    """Of every frame that is not held out, labelled or not."""
    labels: Tensor
    """(n,) of these."""
    train: Tensor
    """Row numbers, within these, that labels are drawn from."""
    test: Tensor
    """(m, F) features of the test side."""
    test_labels: Tensor

    @staticmethod
    def of(encoder: RadarEncoder, data: Samples, task: Task) -> "Sides":
        """From the samples, by a frozen encoder."""
        rows = task.pretrain
        return Sides(
            Frames(
                probe.features_of(encoder, data, rows),
                data.keys[rows],
                data.sites[rows],
                data.sequences[rows],
            ),
            data.labels[rows],
            torch.searchsorted(rows, task.train),
            probe.features_of(encoder, data, task.test),
            data.labels[task.test],
        )


@dataclass(frozen=True, slots=True)
class SpreadScored:
    """Means over draws of labels."""

    accuracy: float
    ece: float
    named: float | None
    """Share of the frames without a label whose class the camera gave rightly; None where there
    are none."""


def spread_linear(sides: Sides, share: float, draws: int, seed: int) -> SpreadScored:
    """The linear protocol with a share of the labels, over the draws that `probe.linear` makes."""
    generator = torch.Generator().manual_seed(seed)
    accuracies, errors, named = [], [], []
    for _ in range(1 if share >= 1 else draws):
        rows = label_draw(sides.train, sides.labels, share, generator)
        rest = _evenly(_others(rows, len(sides.labels)), MOST_PAIRS)
        spread = fit_spread_head(sides.known.take(rows), sides.labels[rows], sides.known.take(rest))
        head = spread.head if spread is not None else _unspread(sides, rows)
        answers = head.probabilities(sides.test)
        accuracies.append(_right(answers.argmax(dim=1), sides.test_labels))
        errors.append(calibration_error(answers.double(), sides.test_labels))
        truth = sides.labels[rest]
        if spread is not None and bool((truth != UNLABELLED).any()):
            named.append(_right(spread.named[truth != UNLABELLED], truth[truth != UNLABELLED]))
    return SpreadScored(fmean(accuracies), fmean(errors), fmean(named) if named else None)


def _unspread(sides: Sides, rows: Tensor) -> HeadFit:
    """Of labels alone, where every frame has one."""
    own = sides.known.take(rows)
    head = fit_head(own.features, sides.labels[rows], own.groups)
    assert head is not None  # a balanced draw has every class
    return head


def _others(rows: Tensor, count: int) -> Tensor:
    rest = torch.ones(count, dtype=torch.bool)
    rest[rows] = False
    return rest.nonzero()[:, 0]


def _evenly(rows: Tensor, count: int) -> Tensor:
    if not len(rows):
        return rows
    return rows[torch.linspace(0, len(rows) - 1, min(count, len(rows))).long()]


def _right(answers: Tensor, truth: Tensor) -> float:
    return float((answers == truth).double().mean())
