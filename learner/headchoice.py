"""Which head is published: of the labels alone, or of labels that the camera has spread."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rvsense.head import HeadFit
from rvsense.learner.headfit import fit_head
from rvsense.learner.labels import GROUP_NS, Taught
from rvsense.learner.place import sites_of
from rvsense.learner.spreading import Frames, Spread, fit_spread_head
from rvsense.learner.trainer import Trainer

SPREAD_PAIRS = 1024
"""Of the pool, evenly taken: their features are computed for every model. On simulated data 512
were 2 points worse with 32 labels, and all of 3,448 one point better."""


def fitted(trainer: Trainer, features_of: Callable[[Tensor], Tensor]) -> tuple[HeadFit | None, str]:
    """The head for the served weights, and in words what it was fitted to.

    `features_of` takes (n, C, 128, 128) inputs to the (n, F) features of these weights.
    """
    taught = trainer.taught()
    features = features_of(taught.inputs)
    alone = fit_head(features, taught.labels, taught.groups)
    if alone is None:
        return None, f"no head: {len(taught.labels)} labels, of fewer than two classes"
    spread = None
    if trainer.learning.spread_labels:
        spread = _spread(trainer, taught, features, features_of)
    if spread is None or labels_alone_are_better(alone, spread, stretches=_count(taught.groups)):
        return alone, _note(alone)
    return spread.head, _note(spread.head, spread)


def labels_alone_are_better(alone: HeadFit, spread: Spread, *, stretches: int) -> bool:
    """By more than chance, on labels that neither had seen: the camera may be blind, or elsewhere.

    One standard error of a share among so many stretches of recording, whose frames are near
    copies, is chance. Where too few labels measure it, the camera is trusted.
    """
    ours, theirs = alone.accuracy, spread.head.accuracy
    if ours is None or theirs is None:
        return False
    chance = math.sqrt(max(ours * (1 - ours), theirs * (1 - theirs)) / stretches)
    return ours > theirs + chance


def _spread(
    trainer: Trainer,
    taught: Taught,
    features: Tensor,
    features_of: Callable[[Tensor], Tensor],
) -> Spread | None:
    pool = trainer.pool
    slots = torch.linspace(0, pool.fill - 1, min(SPREAD_PAIRS, pool.fill)).long()
    places, stamps_ns = pool.take("place", slots), pool.take("stamp", slots)
    stretches = stretches_of(taught, places, stamps_ns)
    count = len(taught.labels)
    labelled = Frames(features, taught.keys, sites_of(taught.places), stretches[:count])
    pairs = Frames(
        features_of(pool.take("input", slots)),
        pool.take("key", slots),
        sites_of(places),
        stretches[count:],
    )
    return fit_spread_head(labelled, taught.labels, pairs)


def stretches_of(taught: Taught, places: Tensor, stamps_ns: Tensor) -> Tensor:
    """Numbers of the stretches of recording of n labelled frames, then of m pairs (n + m,).

    A labelled frame and a pair of one stretch have the same number; of labels that an earlier
    version kept, only those among themselves.
    """
    labelled = torch.stack([taught.places, taught.stamps_ns // GROUP_NS], dim=1)
    old = taught.places == 0
    labelled[old] = torch.stack([taught.places - 1, taught.groups], dim=1)[old]
    pairs = torch.stack([places, stamps_ns // GROUP_NS], dim=1)
    numbers: Tensor = torch.unique(torch.cat([labelled, pairs]), dim=0, return_inverse=True)[1]
    return numbers


def _note(head: HeadFit, spread: Spread | None = None) -> str:
    labels = f"{sum(head.labels.values())} labels"
    if spread is not None:
        labels += f", spread through the camera over {spread.pairs} pairs"
    if head.accuracy is None:
        return f"{labels}: too few to measure accuracy or to calibrate"
    return f"{labels}, accuracy and calibration error out of fold"


def _count(groups: Tensor) -> int:
    return len(torch.unique(groups))
