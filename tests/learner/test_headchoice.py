"""What the published head was fitted to: labels, and pairs that the camera spread them over."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rvsense.head import HeadFit
from rvsense.learner import publication
from rvsense.learner.headchoice import labels_alone_are_better, stretches_of
from rvsense.learner.labels import GROUP_NS, Taught
from rvsense.learner.spreading import Spread
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair

NOTHING = torch.zeros(4)


def head(accuracy: float | None) -> HeadFit:
    """Measured, and otherwise empty."""
    return HeadFit(torch.zeros(4, 1), NOTHING, NOTHING[:1], NOTHING[:1], accuracy=accuracy)


@pytest.mark.parametrize("spread", [True, False])
def test_the_manifest_says_how_the_head_was_fitted(
    make_trainer: Callable[..., Trainer],
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
    tmp_path: Path,
    *,
    spread: bool,
) -> None:
    """Labels are counted as they are; the pairs that they were spread over are told."""
    trainer = make_trainer(heldout_pairs=0, spread_labels=spread)
    for i in range(24):
        trainer.ingest(make_pair(i))
    for i in range(0, 24, 3):
        trainer.add_label(make_label(i))
    model, _ = publication.publish(trainer, tmp_path, teacher_sha256="ab", figures={})
    note = model.manifest["head_note"]
    assert note.startswith("8 labels")
    assert ("spread through the camera over" in note) == spread
    served = model.head()
    assert served is not None
    assert sum(served.labels.values()) == 8
    again, _ = publication.publish(trainer, tmp_path / "2", teacher_sha256="ab", figures={})
    assert again.sha256 == model.sha256


def test_one_class_makes_no_head(
    make_trainer: Callable[..., Trainer],
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
    tmp_path: Path,
) -> None:
    """Whatever the camera saw."""
    trainer = make_trainer()
    for i in range(12):
        trainer.ingest(make_pair(i))
    trainer.add_label(make_label(0))
    model, _ = publication.publish(trainer, tmp_path, teacher_sha256="ab", figures={})
    assert model.head() is None
    assert model.manifest["head_note"].startswith("no head: 1 labels")


@pytest.mark.parametrize(
    ("alone", "spread", "stretches", "wanted"),
    [
        (0.9, 0.5, 40, True),
        (0.9, 0.5, 1, False),
        (0.9, 0.88, 40, False),
        (0.5, 0.9, 40, False),
        (None, 0.2, 40, False),
        (0.9, None, 40, False),
    ],
)
def test_a_camera_that_misleads_is_not_followed(
    alone: float | None, spread: float | None, stretches: int, wanted: bool
) -> None:
    """Where the labels say so by more than chance; unmeasured, the camera is trusted."""
    other = Spread(head(spread), pairs=9, named=NOTHING)
    assert labels_alone_are_better(head(alone), other, stretches=stretches) == wanted


def test_a_blind_camera_leaves_the_labels_their_head(
    make_trainer: Callable[..., Trainer],
    make_pair: Callable[[int], Pair],
    make_label: Callable[[int], Label],
    tmp_path: Path,
) -> None:
    """All pictures alike: there is a head, and nothing in it is past computing with."""
    trainer = make_trainer(heldout_pairs=0, pool_pairs=48)
    one = make_pair(0)
    for i in range(48):
        trainer.ingest(replace(make_pair(i), image=one.image))
    for i in range(48):
        trainer.add_label(make_label(i))
    model, _ = publication.publish(trainer, tmp_path, teacher_sha256="ab", figures={})
    served = model.head()
    assert served is not None
    assert served.weight.isfinite().all()


def test_a_labelled_frame_and_a_pair_of_one_stretch_are_numbered_alike() -> None:
    """By place and ten seconds; old labels, without a place, by their own numbers."""
    place, other = 5 << 32, 6 << 32
    taught = Taught(
        inputs=torch.zeros(4, 1),
        labels=torch.zeros(4),
        groups=torch.tensor([1, 2, 77, 77]),
        keys=torch.zeros(4, 1),
        places=torch.tensor([place, other, 0, 0]),
        stamps_ns=torch.tensor([GROUP_NS - 1, 3, 0, 0]),
    )
    pairs = torch.tensor([place, place, other]), torch.tensor([0, GROUP_NS, 8])
    found = stretches_of(taught, *pairs).tolist()
    assert found[0] == found[4]
    assert found[1] == found[6]
    assert found[2] == found[3]
    assert len(set(found)) == 4
