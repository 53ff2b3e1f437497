"""The paper's downstream task (V-A): scenes of one class, classes balanced, 80/20. Pure.

By `sequence` no recording is on both sides, which is the figure to trust: neighbouring frames
are near copies. By `frame` is the split that the paper seems to have used. By `site` no place
is on both sides.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rvsense.errors import DatasetError
from rvsense.frames import CLASSES
from rvsense.learner.offline.samples import UNLABELLED

SPLITS = ("sequence", "frame", "site")
TEST_SHARE = 0.2
MIN_FRAMES = 20
"""Of each class, on each side: fewer make a difference of one frame look like one of methods."""
MIN_GROUPS = 2
"""Sequences (or sites) of each class: one for each side."""


@dataclass(frozen=True, slots=True)
class Task:
    """Row numbers of each side. `pretrain` has every row that is not of the test side."""

    pretrain: Tensor
    train: Tensor
    test: Tensor


def make_task(labels: Tensor, groups: Tensor, split: str, seed: int) -> Task:
    """(n,) labels and (n,) sequence or site numbers to a balanced task.

    With `frame`, groups are ignored. The same seed gives the same task.

    Raises:
        DatasetError: with what was found and what is needed.
    """
    generator = torch.Generator().manual_seed(seed)
    held = _held_frames(labels, generator)
    if split != "frame":
        held = _held_groups(labels, groups, split, generator)
    train = balanced((~held).nonzero()[:, 0], labels, generator)
    test = balanced(held.nonzero()[:, 0], labels, generator)
    for side, rows in (("training", train), ("testing", test)):
        each = len(rows) // len(CLASSES)
        if each < MIN_FRAMES:
            raise DatasetError(
                f"{each} frames of each class for {side}, at least {MIN_FRAMES} needed: "
                f"labelled frames are {_counts(labels)}; annotate more of the rarest"
            )
    return Task(pretrain=(~held).nonzero()[:, 0], train=train, test=test)


def balanced(rows: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """As many rows of each class as the rarest has, drawn at random, in ascending order."""
    members = [rows[labels[rows] == c] for c in range(len(CLASSES))]
    count = min(len(m) for m in members)
    drawn = [m[torch.randperm(len(m), generator=generator)[:count]] for m in members]
    return torch.cat(drawn).sort().values


def label_draw(rows: Tensor, labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """The labelled `share` of balanced `rows`, the same number of each class, at least one."""
    if share >= 1:
        return rows
    members = [rows[labels[rows] == c] for c in range(len(CLASSES))]
    count = max(round(share * len(rows) / len(CLASSES)), 1)
    drawn = [m[torch.randperm(len(m), generator=generator)[:count]] for m in members]
    return torch.cat(drawn).sort().values


def _held_frames(labels: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(len(labels), generator=generator) < TEST_SHARE


def _held_groups(labels: Tensor, groups: Tensor, split: str, generator: torch.Generator) -> Tensor:
    """A fifth of the groups of each class; a group counts for its commonest class."""
    common = {int(g): _commonest(labels[groups == g].tolist()) for g in torch.unique(groups)}
    if split == "site":  # a site shows every class: draw among all
        common = dict.fromkeys(common, 0)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for name in sorted(set(common.values()) - {UNLABELLED}):
        members = torch.tensor([g for g, own in common.items() if own == name])
        if len(members) < MIN_GROUPS:
            what = f"{split}s" if split == "site" else f"{split}s of class {CLASSES[name]}"
            raise DatasetError(
                f"{len(members)} {what}, at least {MIN_GROUPS} needed to train and test apart "
                f"(labelled frames: {_counts(labels)}); add recordings or use --split frame"
            )
        order = members[torch.randperm(len(members), generator=generator)]
        held |= torch.isin(groups, order[: max(round(TEST_SHARE * len(order)), 1)])
    return held


def _commonest(labels: Sequence[int]) -> int:
    known = Counter(label for label in labels if label != UNLABELLED)
    return known.most_common(1)[0][0] if known else UNLABELLED


def _counts(labels: Tensor) -> str:
    return ", ".join(f"{name} {int((labels == c).sum())}" for c, name in enumerate(CLASSES))
