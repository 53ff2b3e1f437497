"""A labelled frame's picture: of the pair nearest in time, whichever of the two comes first."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rvsense.learner import checkpoint, state
from rvsense.learner.place import place_of
from rvsense.learner.rows import Column, Rows
from rvsense.learner.sightings import REACH_NS, REMEMBERED, Sightings
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]
MakeLabel = Callable[[int], Label]


def key_of(trainer: Trainer, row: int) -> torch.Tensor:
    """What is kept of the picture of a labelled frame."""
    return trainer.labels.rows.take("key")[row]


def test_the_picture_is_that_of_the_same_moment_in_either_order(
    make_trainer: MakeTrainer, make_pair: MakePair, make_label: MakeLabel
) -> None:
    """A label after its pair, and one before, have the key that the pool has of that pair."""
    trainer = make_trainer(heldout_pairs=0)
    trainer.ingest(make_pair(0))
    trainer.add_label(make_label(0))
    trainer.add_label(make_label(3))
    assert not key_of(trainer, 1).any()
    trainer.ingest(make_pair(3))
    for row in range(2):
        assert torch.equal(key_of(trainer, row), trainer.pool.take("key")[row])


def test_a_nearer_pair_takes_the_place_of_a_farther_one(
    make_trainer: MakeTrainer, make_pair: MakePair, make_label: MakeLabel
) -> None:
    """Not the other way round; beyond reach, and elsewhere, there is no picture."""
    trainer = make_trainer(heldout_pairs=0)
    label = make_label(0)
    trainer.add_label(label)

    def see(i: int, apart_ns: int, **changes: object) -> torch.Tensor:
        pair = replace(make_pair(i), epoch=label.epoch, stamp_ns=label.stamp_ns + apart_ns)
        trainer.ingest(replace(pair, **changes))  # type: ignore[arg-type]
        return trainer.pool.take("key")[-1].clone()

    see(3, REACH_NS + 1)
    see(4, 0, site="west")
    see(5, 0, epoch=label.epoch + 1)
    assert not key_of(trainer, 0).any()
    far = see(6, REACH_NS)
    assert torch.equal(key_of(trainer, 0), far)
    near = see(7, -REACH_NS // 4)
    assert torch.equal(key_of(trainer, 0), near)
    see(8, REACH_NS // 2)
    assert torch.equal(key_of(trainer, 0), near)
    trainer.add_label(replace(label, stamp_ns=label.stamp_ns + REACH_NS // 2))
    assert torch.equal(key_of(trainer, 1), trainer.pool.take("key")[-1])


def test_the_oldest_are_forgotten() -> None:
    """So many are remembered and no more."""
    sightings = Sightings(2)
    for i in range(REMEMBERED + 3):
        sightings.see(torch.tensor([i, 1.0]), place=5, stamp_ns=i * 10 * REACH_NS)
    assert sightings.rows.fill == REMEMBERED
    assert sightings.nearest(5, 2 * 10 * REACH_NS) is None
    for i in (3, REMEMBERED + 2):
        found = sightings.nearest(5, i * 10 * REACH_NS - 7)
        assert found is not None
        assert (float(found[0][0]), found[1]) == (i, 7)


def test_a_restored_learner_knows_what_it_saw(
    make_trainer: MakeTrainer, make_pair: MakePair, make_label: MakeLabel, tmp_path: Path
) -> None:
    """A label whose pair came before the restart has a picture, and one whose pair comes after."""
    first, second = make_trainer(), make_trainer()
    first.ingest(make_pair(0))
    first.add_label(make_label(3))
    path = checkpoint.save(
        tmp_path,
        fingerprint="one",
        values=state.values(first),
        tensors=state.tensors(first),
        tables=state.tables(first),
        keep=1,
    )
    saved = checkpoint.load(path, "one")
    for name, rows in state.tables(second).items():
        saved.fill(name, rows)
    for trainer in (first, second):
        trainer.add_label(make_label(0))
        trainer.ingest(make_pair(3))
    for row in range(2):
        assert key_of(first, row).any()
        assert torch.equal(key_of(first, row), key_of(second, row))


def test_labels_of_an_earlier_version_have_no_picture() -> None:
    """Columns that came later are nought; any other that is missing is an error."""
    table = {"label": Column((), torch.int64), "key": Column((2,), torch.float16, late=True)}
    rows = Rows(4, table)
    rows.columns["key"].fill_(7)
    rows.load_chunk(0, "ab", {"label": torch.tensor([3, 2])})
    assert rows.take("label").tolist() == [3, 2]
    assert rows.take("key").tolist() == [[0, 0], [0, 0]]
    with pytest.raises(KeyError, match="label"):
        rows.load_chunk(0, "ab", {"key": torch.zeros(2, 2)})


def test_a_place_has_a_number_of_its_own(make_label: MakeLabel) -> None:
    """Never 0, which stands for labels that an earlier version kept."""
    label = make_label(0)
    assert place_of(label.site, label.epoch) != 0
