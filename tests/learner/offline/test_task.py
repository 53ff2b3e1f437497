"""The downstream task: balanced, 80/20, and no sequence or site on both sides."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rvsense.errors import DatasetError
from rvsense.frames import CLASSES
from rvsense.learner.offline.samples import UNLABELLED
from rvsense.learner.offline.task import SPLITS, balanced, label_draw, make_task

FRAMES = 30


def dataset(per_class: tuple[int, ...] = (10, 15, 10, 20)) -> tuple[Tensor, Tensor, Tensor]:
    """Labels, sequences and sites; in each sequence, a frame has no label."""
    classes = [c for c, n in enumerate(per_class) for _ in range(n)]
    labels = torch.tensor(classes).repeat_interleave(FRAMES)
    labels[::FRAMES] = UNLABELLED
    sequences = torch.arange(len(classes)).repeat_interleave(FRAMES)
    return labels, sequences, sequences % 5


def counts(labels: Tensor) -> list[int]:
    """Of each class."""
    return torch.bincount(labels, minlength=len(CLASSES)).tolist()


@pytest.mark.parametrize("split", SPLITS)
def test_both_sides_are_balanced_and_apart(split: str) -> None:
    """No row is on both sides, none without a label is in the task, about a fifth is tested on."""
    labels, sequences, sites = dataset()
    task = make_task(labels, sites if split == "site" else sequences, split, seed=0)
    train, test = counts(labels[task.train]), counts(labels[task.test])
    assert len(set(train)) == len(set(test)) == 1
    assert 0.15 < test[0] / (test[0] + train[0]) < 0.25
    assert not set(task.train.tolist()) & set(task.test.tolist())
    assert not set(task.pretrain.tolist()) & set(task.test.tolist())
    assert set(task.train.tolist()) <= set(task.pretrain.tolist())


@pytest.mark.parametrize(("split", "column"), [("sequence", 1), ("site", 2)])
def test_no_group_is_on_both_sides(split: str, column: int) -> None:
    """Neither trained on with labels nor without."""
    labels, groups = dataset()[0], dataset()[column]
    task = make_task(labels, groups, split, seed=3)
    tested = set(groups[task.test].tolist())
    assert tested
    assert not tested & set(groups[task.train].tolist())
    assert not tested & set(groups[task.pretrain].tolist())


def test_by_frame_sequences_are_on_both_sides() -> None:
    """Which is why it flatters."""
    labels, sequences, _ = dataset()
    task = make_task(labels, sequences, "frame", seed=0)
    assert set(sequences[task.test].tolist()) & set(sequences[task.train].tolist())


@pytest.mark.parametrize("split", SPLITS)
def test_the_seed_decides(split: str) -> None:
    """Same seed, same task; another one, another."""
    labels, sequences, sites = dataset()
    groups = sites if split == "site" else sequences
    one, same, other = (make_task(labels, groups, split, seed) for seed in (1, 1, 2))
    assert torch.equal(one.train, same.train)
    assert torch.equal(one.test, same.test)
    assert one.test.tolist() != other.test.tolist()


def test_unlabelled_sequences_are_for_pre_training_alone() -> None:
    """A sequence that nobody annotated is on no side of the task, and is not held back."""
    labels, sequences, _ = dataset()
    labels[sequences == 7] = UNLABELLED
    task = make_task(labels, sequences, "sequence", seed=0)
    rows = set((sequences == 7).nonzero()[:, 0].tolist())
    assert rows <= set(task.pretrain.tolist())
    assert not rows & set(torch.cat([task.train, task.test]).tolist())


@pytest.mark.parametrize("split", SPLITS)
def test_a_class_that_never_occurs_is_named_with_its_count(split: str) -> None:
    """Found, needed, and what to do."""
    labels, sequences, sites = dataset((10, 10, 0, 10))
    with pytest.raises(DatasetError, match=r"^0 frames .* at least 20 needed: .*cyclist 0, car 29"):
        make_task(labels, sites if split == "site" else sequences, split, seed=0)


def test_a_class_with_one_sequence_cannot_be_split_by_sequence() -> None:
    """But by frame it can."""
    labels, sequences, _ = dataset((10, 10, 10, 1))
    labels = labels.repeat_interleave(5)
    sequences = sequences.repeat_interleave(5)
    with pytest.raises(DatasetError, match=r"^1 sequences of class car, at least 2 needed"):
        make_task(labels, sequences, "sequence", seed=0)
    assert len(make_task(labels, sequences, "frame", seed=0).test) >= 80


def test_one_site_cannot_be_split_by_site() -> None:
    """The count and the way out."""
    labels, _, sites = dataset()
    with pytest.raises(DatasetError, match=r"^1 sites, at least 2 needed .*--split frame"):
        make_task(labels, sites * 0, "site", seed=0)


def test_too_few_labelled_frames_are_counted() -> None:
    """Enough sequences, hardly a label in them."""
    labels, sequences, _ = dataset()
    labels[torch.arange(len(labels)) % FRAMES > 5] = UNLABELLED
    with pytest.raises(DatasetError, match=r"^10 frames of each class for testing, at least 20"):
        make_task(labels, sequences, "sequence", seed=0)


@given(
    sizes=st.lists(st.integers(1, 60), min_size=4, max_size=4),
    share=st.floats(0.005, 1.0),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_draws_of_labels_are_stratified(sizes: list[int], share: float, seed: int) -> None:
    """As many of each class, the share that was asked for, and at least one of each."""
    labels = torch.arange(4).repeat_interleave(torch.tensor(sizes))
    generator = torch.Generator().manual_seed(seed)
    rows = balanced(torch.arange(len(labels)), labels, generator)
    drawn = label_draw(rows, labels, share, generator)
    each = counts(labels[drawn])
    assert each == [max(round(share * min(sizes)), 1)] * 4
    assert set(drawn.tolist()) <= set(rows.tolist())
    assert len(set(drawn.tolist())) == len(drawn)


def test_a_draw_among_rows_is_the_draw_among_their_positions() -> None:
    """So that a linear layer on a table of features learns from the labels of all methods."""
    labels, sequences, _ = dataset()
    train = make_task(labels, sequences, "sequence", seed=0).train
    one, other = (torch.Generator().manual_seed(4) for _ in range(2))
    positions = label_draw(torch.arange(len(train)), labels[train], 0.1, other)
    assert torch.equal(label_draw(train, labels, 0.1, one), train[positions])
