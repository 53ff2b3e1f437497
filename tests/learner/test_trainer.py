"""The trainer: frozen teacher, one look at each image, steps that can be repeated to the bit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from rvsense.errors import FrameError
from rvsense.learner import state
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]


def feed(trainer: Trainer, make_pair: MakePair, first: int, last: int) -> list[float]:
    """Ingest pairs one by one with a step after each; the losses."""
    losses = []
    for i in range(first, last):
        trainer.ingest(make_pair(i))
        if trainer.ready:
            losses.append(trainer.train().loss)
    return losses


def copy_of(trainer: Trainer, fresh: Trainer) -> Trainer:
    """`fresh`, continued from everything that `trainer` says it depends on."""
    for name, rows in state.tables(trainer).items():
        other = state.tables(fresh)[name]
        for index, _, tensors in rows.chunks():
            other.load_chunk(index, "", {k: v.clone() for k, v in tensors.items()})
    saved = {k: v.clone() for k, v in state.tensors(trainer).items()}
    state.load(fresh, saved, state.values(trainer))
    return fresh


def test_teacher_stays_as_it_was(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """L1: no digit of the teacher changes by learning, and no gradient is kept for it."""
    trainer = make_trainer()
    before = trainer.teacher.sha256()
    feed(trainer, make_pair, 0, 20)
    assert trainer.teacher.sha256() == before
    assert not any(p.requires_grad for p in trainer.teacher.network.parameters())
    assert not trainer.teacher.network.training


def test_each_image_is_encoded_once(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """L2: the teacher runs once per pair, however many steps use it."""
    trainer = make_trainer()
    feed(trainer, make_pair, 0, 20)
    for _ in range(5):
        trainer.train()
    assert trainer.teacher.network.calls == 20


def test_learning_lowers_the_loss(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """On twelve scenes seen again and again the loss falls clearly below that of chance."""
    trainer = make_trainer(augment=False, heldout_pairs=0)
    for i in range(24):
        trainer.ingest(make_pair(i))
    losses = [trainer.train().loss for _ in range(120)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[10:20])


LEVERS: list[dict[str, Any]] = [
    {},
    {"pool_policy": "fifo"},
    {"pool_policy": "min_redundancy"},
    {"standardise_keys": True},
    {"decoupled": True},
    {"soft_targets": 0.4},
    {"intra_modal": 0.5},
    {"temporal_positive_s": 0.5},
    {"short_keys": 4},
    {"short_keys": 4, "whiten_keys": True},
    {"short_keys": 10},  # fitted on the 40 pairs that four for each axis make
    {"inputs": "magnitude"},
    {"mask_rows": 20, "mask_columns": 30},
    {"background": "removed", "negatives": "site"},
    {
        "pool_policy": "min_redundancy",
        "background": "removed",
        "negatives": "site",
        "standardise_keys": True,
        "decoupled": True,
        "soft_targets": 0.4,
        "intra_modal": 0.5,
        "temporal_positive_s": 0.5,
        "short_keys": 4,
        "inputs": "magnitude",
        "mask_rows": 20,
    },
]


@pytest.mark.parametrize("changes", LEVERS, ids=lambda changes: "+".join(changes) or "paper")
def test_restored_trainer_repeats_every_bit(
    make_trainer: MakeTrainer,
    make_pair: MakePair,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    """L4: after a restore, losses, weights and served weights equal the uninterrupted run's.

    Statistics of keys are frozen on either side of the restore, as the warm-up has it.
    """
    monkeypatch.setattr("rvsense.learner.keys.WARMUP_PAIRS", 30 if "short_keys" in changes else 40)
    monkeypatch.setattr("rvsense.learner.backgrounds.FIRST", 1)
    first = make_trainer(**changes)
    feed(first, make_pair, 0, 37)
    second = copy_of(first, make_trainer(**changes))
    torch.manual_seed(99)  # the process-wide state must come from the checkpoint
    state.load(second, state.tensors(first), state.values(first))
    before = torch.get_rng_state()
    losses = feed(first, make_pair, 37, 50)
    torch.set_rng_state(before)
    assert len(losses) >= 10
    assert feed(second, make_pair, 37, 50) == losses
    assert tensors_sha256(state.tensors(second)) == tensors_sha256(state.tensors(first))


def test_keys_of_another_scale_leave_the_queue(
    make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learner restarted without `standardise_keys` starts with an empty queue, and learns."""
    monkeypatch.setattr("rvsense.learner.keys.WARMUP_PAIRS", 10)
    first = make_trainer(standardise_keys=True, background="kept")
    feed(first, make_pair, 0, 20)
    assert first.queue.fill > 0
    same = make_trainer(standardise_keys=True, background="kept")
    assert copy_of(first, same).queue.fill == first.queue.fill
    plain = copy_of(first, make_trainer(background="kept"))
    assert plain.queue.fill == 0
    assert plain.train().updated
    assert plain.queue.fill > 0


def test_keys_without_background_leave_the_queue_where_it_is_kept(
    make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learner restarted with `background = kept` starts with an empty queue."""
    monkeypatch.setattr("rvsense.learner.backgrounds.FIRST", 8)
    first = make_trainer()
    feed(first, make_pair, 0, 12)
    assert copy_of(first, make_trainer()).queue.fill == first.queue.fill > 0
    assert copy_of(first, make_trainer(background="kept")).queue.fill == 0


def test_a_scale_is_fitted_to_keys_without_their_background(
    make_trainer: MakeTrainer, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what the first pairs of a site share becomes a part of every key that follows."""
    monkeypatch.setattr("rvsense.learner.keys.WARMUP_PAIRS", 24)
    monkeypatch.setattr("rvsense.learner.backgrounds.FIRST", 8)
    trainer = make_trainer(short_keys=4, heldout_pairs=0)
    for i in range(30):
        assert not trainer.ready
        trainer.ingest(make_pair(i))
    trainer.ingest(make_pair(30))
    assert trainer.ready
    keys = trainer.unit_keys(trainer.pool.take("key"), trainer.pool.take("place"))
    assert torch.linalg.vector_norm(keys.mean(dim=0)) < 0.5


@pytest.mark.parametrize("changes", [{}, {"background": "kept", "standardise_keys": True}])
def test_a_roll_back_brings_no_keys_of_an_old_ruler(
    make_trainer: MakeTrainer,
    make_pair: MakePair,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    """Its queue is from before the background, or the scale, of the keys to come."""
    monkeypatch.setattr("rvsense.learner.backgrounds.FIRST", 16)
    monkeypatch.setattr("rvsense.learner.keys.WARMUP_PAIRS", 16)
    trainer = make_trainer(**changes)
    feed(trainer, make_pair, 0, 12)
    saved = {k: v.clone() for k, v in state.tensors(trainer).items()}
    state.roll_back(trainer, saved)
    assert (trainer.queue.places >= 0).any(), "nothing has changed yet"
    feed(trainer, make_pair, 12, 17)
    state.roll_back(trainer, saved)
    assert not (trainer.queue.places >= 0).any()


def test_broken_image_is_counted_and_costs_nothing_else(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """A pair whose image cannot be decoded leaves all but its counter as it was."""
    clean, hurt = make_trainer(), make_trainer()
    losses = feed(clean, make_pair, 0, 20)
    seen = feed(hurt, make_pair, 0, 11)
    for image in (b"", b"\xff\xd8\xff", make_pair(3).image[:200], b"not a picture"):
        with pytest.raises(FrameError, match="bad_image"):
            hurt.ingest(replace(make_pair(11), image=image))
    seen += feed(hurt, make_pair, 11, 20)
    assert hurt.counters.bad_images == 4
    assert seen == losses


def test_nonfinite_step_changes_nothing(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """L5: a NaN in the batch leaves weights, statistics, momentum and average as they were."""
    trainer = make_trainer(augment=False)
    feed(trainer, make_pair, 0, 20)
    network = ("encoder", "average", "momentum")
    before = {k: v.clone() for k, v in state.tensors(trainer).items() if k.startswith(network)}
    trainer.pool.columns["input"][:] = float("nan")
    outcome = trainer.train()
    after = {k: v for k, v in state.tensors(trainer).items() if k.startswith(network)}
    assert not outcome.updated
    assert trainer.counters.nonfinite == 1
    assert tensors_sha256(before) == tensors_sha256(after)


def test_held_out_pairs_never_enter_the_pool(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """A stretch of recording is either trained on or held out, whole."""
    trainer = make_trainer(pool_pairs=400, heldout_pairs=400)
    for i in range(150):
        trainer.ingest(make_pair(i))
    assert trainer.ring.fill > 0
    assert trainer.pool.fill + trainer.ring.fill == 150
    places = set(trainer.pool.take("place").tolist())
    assert places.isdisjoint(trainer.ring.take("place").tolist())


@pytest.mark.parametrize("after", ["reservoir", "fifo", "min_redundancy"])
@pytest.mark.parametrize("before", ["reservoir", "fifo", "min_redundancy"])
def test_another_policy_goes_on_with_the_pool(
    make_trainer: MakeTrainer, make_pair: MakePair, before: str, after: str
) -> None:
    """A learner restarted with another `pool_policy` keeps what it has and takes what comes."""
    first = make_trainer(pool_policy=before, heldout_pairs=0)
    feed(first, make_pair, 0, 30)
    second = copy_of(first, make_trainer(pool_policy=after, heldout_pairs=0))
    stamps = set(first.pool.take("stamp").tolist())
    feed(second, make_pair, 30, 34)
    assert second.pool.fill == 24
    assert len(stamps & set(second.pool.take("stamp").tolist())) >= 20
    assert second.train().updated


def test_labels_never_reach_the_encoder(
    make_trainer: MakeTrainer, make_pair: MakePair, make_label: Callable[[int], Label]
) -> None:
    """The same pairs give the same weights with labels and without."""
    without, with_labels = make_trainer(), make_trainer()
    feed(without, make_pair, 0, 20)
    for i in range(20):
        with_labels.add_label(make_label(i))
        feed(with_labels, make_pair, i, i + 1)
    assert tensors_sha256(with_labels.encoder.state_dict()) == tensors_sha256(
        without.encoder.state_dict()
    )
    assert len(with_labels.labels) == 20


def test_label_store_is_bounded_by_class(
    make_trainer: MakeTrainer, make_label: Callable[[int], Label]
) -> None:
    """A flood of one class pushes out its own oldest, never another class."""
    trainer = make_trainer(max_labels=8)
    trainer.add_label(make_label(3))  # a pedestrian
    for _ in range(4):
        for i in range(3):
            trainer.add_label(make_label(i))  # empty
    classes = trainer.labels.rows.take("label").tolist()
    assert sorted(classes) == [0, 0, 1]
    assert trainer.labels.seen == 13
