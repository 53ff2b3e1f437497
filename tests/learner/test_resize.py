"""A learner restored with other table sizes than it was saved with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rvsense import link
from rvsense.frames import CLASSES
from rvsense.learner.labels import LabelStore
from rvsense.learner.service import Service
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]
MakeLabel = Callable[[int], Label]


@pytest.fixture
def material(make_pair: MakePair, make_label: MakeLabel) -> tuple[list[Pair], list[Label]]:
    """Pairs and labels of one stream."""
    return [make_pair(i) for i in range(160)], [make_label(i) for i in range(80)]


def start(trainer: Trainer, state_dir: Path) -> Service:
    """A service that has been greeted in lock-step."""
    service = Service(trainer, state_dir, lambda *_: True, lambda: 0.0)
    service.hear(b"1", link.pack("hello", lockstep=True, daemon="test", life="1"))
    return service


def feed(service: Service, pairs: list[Pair], labels: list[Label]) -> None:
    """Deliver pairs and labels as a daemon does."""
    for message in [*map(link.pack_pair, pairs), *map(link.pack_label, labels)]:
        service.hear(b"1", message)


@pytest.mark.parametrize(("pool", "ring", "labels"), [(9, 1, 9), (40, 5, 40)])
@pytest.mark.parametrize("policy", ["reservoir", "fifo", "min_redundancy"])
def test_every_table_may_grow_or_shrink(  # noqa: PLR0917 - pytest passes them by name
    tmp_path: Path,
    make_trainer: MakeTrainer,
    material: tuple[list[Pair], list[Label]],
    policy: str,
    pool: int,
    ring: int,
    labels: int,
) -> None:
    """Pool, held-out ring and labels of another size fill up, stay full, and training goes on."""
    pairs, frames = material
    same = {"pool_policy": policy, "steps_per_pair": 0.05}
    first = start(make_trainer(**same, heldout_pairs=3, max_labels=16), tmp_path)
    feed(first, pairs[:80], frames[:30])
    trainer = first.trainer
    assert (trainer.pool.fill, trainer.ring.fill, len(trainer.labels)) == (24, 3, 16)
    first.stop()
    sizes = {"pool_pairs": pool, "heldout_pairs": ring, "max_labels": labels}
    trainer = make_trainer(**same, **sizes)
    again = start(trainer, tmp_path)
    step = trainer.counters.step
    feed(again, pairs[80:], frames[30:])
    assert (trainer.pool.fill, trainer.ring.fill, len(trainer.labels)) == (pool, ring, labels)
    assert trainer.counters.step > step > 0


def test_a_full_table_still_takes_a_class_short_of_its_share(make_label: MakeLabel) -> None:
    """Labels of one class that fill a shrunken table give way, oldest first, to the others."""
    store = LabelStore(8, 1)
    x = torch.zeros(1, 128, 128)
    for i in range(8):
        store.rows.put(i, input=x, label=0, group=0, order=i)
    for i in (3, 3, 3, 6):
        store.add(make_label(i), x)
    assert store.rows.take("label").bincount(minlength=len(CLASSES)).tolist() == [5, 2, 1, 0]
    assert sorted(store.rows.take("order").tolist()) == [3, 4, 5, 6, 7, 9, 10, 11]
