"""Collation: which pairs are looked at, left out, balanced, and labelled without a person."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rvsense.config import Learning
from rvsense.errors import FrameError
from rvsense.frames import CLASSES
from rvsense.learner import state
from rvsense.learner.balance import ClassBalanced
from rvsense.learner.collation import Collation, left_out
from rvsense.learner.detector.boxes import Boxes
from rvsense.learner.detector.detectors import Timed
from rvsense.learner.detector.looks import PLACES, Looks
from rvsense.learner.detector.scene import Scene
from rvsense.learner.main import build_trainer
from rvsense.learner.pool import NO_CLASS, Reservoir
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.learner.world import ALONE, Alone, World
from rvsense.link import Label, Pair
from rvsense.machine import RANDOM

MakeTrainer = Callable[..., Trainer]
MakePair = Callable[[int], Pair]
NOTHING = torch.zeros(1)
BODY, BIKE, VAN = [2.0, 2.0, 12.0, 40.0], [2.0, 20.0, 14.0, 46.0], [20.0, 10.0, 50.0, 40.0]
BOXES_OF: tuple[list[tuple[int, list[float]]], ...] = (
    [],
    [(0, BODY)],
    [(0, BODY), (1, BIKE)],
    [(2, VAN)],
)
"""What a detector would find in the toy pictures of each class."""


class ToyDetector:
    """Knows the toy pictures of conftest by the height of their white corner."""

    name = "toy"

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, image: Tensor) -> Boxes:
        """Sure boxes of the picture's class."""
        self.looks += 1
        white = int((image[:, :, 5].float().mean(dim=0) > 240).sum())
        rows = BOXES_OF[round((white - 4) / 10)]
        corners = torch.tensor([corners for _, corners in rows]).reshape(-1, 4)
        kinds = torch.tensor([kind for kind, _ in rows]).long()
        return Boxes(corners, torch.full((len(rows),), 0.9), kinds)


def watched(trainer: Trainer) -> Trainer:
    """A trainer with a collation of its settings and the toy detector."""
    trainer.collation = Collation(trainer.learning, Timed(ToyDetector(), lambda: 0.0))
    return trainer


def found(trainer: Trainer) -> dict[str, int]:
    """The collation's counts."""
    assert trainer.collation is not None
    return trainer.collation.counts


class Following(Alone):
    """What a rank other than 0 is told of itself."""

    rank = 1


@pytest.mark.parametrize(("world", "looks"), [(ALONE, True), (Following(), False)])
def test_only_rank_0_has_a_detector(
    world: World, looks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are never given an image."""
    monkeypatch.setattr("rvsense.learner.main.build_detector", lambda *_: ToyDetector())
    learning = Learning(
        preset="edge", device="cpu", teacher_weights=RANDOM, collate="balance",
        pool_pairs=8, min_pool_pairs=8, heldout_pairs=0, max_labels=8, queue=8,
    )  # fmt: skip
    trainer = build_trainer(learning, 0, world)
    assert (trainer.collation is not None) == looks


def scene(*seen: Any, doubtful: bool = False) -> Scene:
    """A scene that shows these classes."""
    return Scene(frozenset(seen), doubtful)


# When to look


def test_one_look_for_each_period_and_place() -> None:
    """Stamps alone decide: the first of a period is looked at, the others share what it showed."""
    looks, asked = Looks(2.0), []
    for stamp_ms in (0, 200, 400, 600, 800, 1000):
        if looks.known(7, stamp_ms * 1_000_000) is None:
            asked.append(stamp_ms)
            looks.saw(7, stamp_ms * 1_000_000, scene("car"))
    assert asked == [0, 600, 1000]
    assert looks.known(7, 1_100_000_000) == scene("car")
    assert looks.known(8, 1_100_000_000) is None
    assert looks.known(7, 0) is None  # the clock was set back


def test_rate_zero_looks_at_every_pair() -> None:
    """No stamp but the very same one is known."""
    looks = Looks(0.0)
    looks.saw(1, 5, scene())
    assert looks.known(1, 5) == scene()
    assert looks.known(1, 6) is None


def test_places_are_bounded_and_survive_a_checkpoint() -> None:
    """The oldest place is forgotten; what is left comes back as it was, bit for bit."""
    looks = Looks(1.0)
    for place in range(PLACES + 3):
        looks.saw(place, 0, scene("pedestrian", doubtful=place % 2 == 0))
    assert looks.known(2, 0) is None
    again = Looks(1.0)
    again.load(looks.state())
    assert torch.equal(again.state()["last"], looks.state()["last"])
    assert again.known(PLACES, 0) == scene("pedestrian", doubtful=PLACES % 2 == 0)


# What is left out


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (scene("car"), None),
        (scene("car", "pedestrian"), None),
        (scene("car", doubtful=True), None),
        (scene("pedestrian"), "left_out_others"),
        (scene(), "left_out_empty"),
        (scene(doubtful=True), "left_out_doubtful"),
    ],
)
def test_what_is_wanted_is_kept(shown: Scene, reason: str | None) -> None:
    """Where cars are wanted: a sure car keeps a pair, whatever else is there."""
    assert left_out(shown, frozenset({"car"})) == reason


def test_pairs_without_wanted_objects_are_not_learned_from(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """They cost no key, enter neither pool nor ring, and are counted by reason."""
    trainer = watched(
        make_trainer(collate="wanted", wanted="cyclist,car", detector_rate_hz=0.0, pool_pairs=40)
    )
    learned = [trainer.ingest(make_pair(i)) for i in range(24)]
    assert learned == [(i // 3) % 4 >= 2 for i in range(24)]
    assert trainer.counters.pairs == trainer.pool.fill + trainer.ring.fill == 12
    assert trainer.teacher.network.calls == 12
    counts = {"looks": 24, "left_out_empty": 6, "left_out_others": 6, "left_out_doubtful": 0}
    assert found(trainer) == counts


def test_one_look_serves_its_neighbours(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """Pairs of one second at one place share a look, and only the one looked at gives a label."""
    trainer = watched(make_trainer(collate="wanted", label_source="detector"))
    for i in range(24):  # three pairs, 0.4 s, for each epoch of the clock
        trainer.ingest(replace(make_pair(i), stamp_ns=i % 3 * 200_000_000))
    assert found(trainer)["looks"] == 8
    assert len(trainer.pseudo) == 8
    assert found(trainer)["left_out_empty"] == 6


# Balance


def feed(policy: ClassBalanced, scenes: list[int], capacity: int) -> list[int]:
    """Counts by class after the scenes were offered to a table of that capacity."""
    fill = 0
    for number in scenes:
        slot = policy.slot(NOTHING, fill, number)
        if slot is not None:
            fill = max(fill, slot + 1)
    assert fill == min(len(scenes), capacity)
    return policy.counts(fill)


def test_rare_classes_fill_their_share() -> None:
    """Of a stream with 90 % empty scenes the pool holds as many of each class as it can."""
    chance = torch.Generator().manual_seed(1)
    scenes = [0 if torch.rand((), generator=chance) < 0.9 else 1 + i % 3 for i in range(3000)]
    counts = feed(ClassBalanced(40, chance), scenes, 40)
    assert counts == [10, 10, 10, 10, 0]


def test_a_class_that_is_too_rare_is_kept_whole() -> None:
    """Three cars in a thousand scenes are all there at the end."""
    chance = torch.Generator().manual_seed(2)
    scenes = [3 if i in (20, 400, 700) else i % 2 for i in range(1000)]
    counts = feed(ClassBalanced(30, chance), scenes, 30)
    assert counts[3] == 3
    assert abs(counts[0] - counts[1]) <= 1


def test_within_a_class_early_and_late_are_kept_alike() -> None:
    """One class only is a plain reservoir: chi-squared over 400 seeds stays ordinary."""
    counts = torch.zeros(40)
    for seed in range(400):
        policy, slots = ClassBalanced(8, torch.Generator().manual_seed(seed)), [0] * 8
        for i in range(40):
            slot = policy.slot(NOTHING, min(i, 8), 2)
            if slot is not None:
                slots[slot] = i
        counts[slots] += 1
    expected = 400 * 8 / 40
    assert float(((counts - expected) ** 2 / expected).sum()) < 72.1  # 99.9 %, 39 degrees


def test_balance_can_be_turned_on_and_off() -> None:
    """A pool that a reservoir has filled is of no known class; the way back keeps the count."""
    chance = torch.Generator().manual_seed(3)
    reservoir = Reservoir(10, chance)
    for i in range(25):
        reservoir.slot(NOTHING, min(i, 10))
    balanced = ClassBalanced(10, chance)
    balanced.load(reservoir.state())
    assert balanced.counts(10) == [0, 0, 0, 0, 10]
    for _ in range(40):
        balanced.slot(NOTHING, 10, 1)
    assert balanced.counts(10)[1] == 5
    reservoir.load(balanced.state())
    assert int(reservoir.state()["seen"]) == 65


def test_the_pool_is_balanced(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """Eleven of twelve pairs are empty scenes; the pool is not."""
    trainer = watched(
        make_trainer(collate="balance", detector_rate_hz=0.0, heldout_pairs=0, pool_pairs=16)
    )
    for i in range(96):
        pair = make_pair(i if i % 12 == 0 else 0)
        scene_pair = make_pair(3 + 3 * (i // 12 % 3)) if i % 12 == 0 else pair
        trainer.ingest(replace(scene_pair, stamp_ns=i * 200_000_000))
    policy = trainer.policy
    assert isinstance(policy, ClassBalanced)
    empty, *objects, none = policy.counts(trainer.pool.fill)
    assert (sum(objects), none) == (8, 0)
    assert empty == 8


# Pseudo-labels


def test_the_detector_labels_for_the_head_alone(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Classes are the pictures', and the encoder's weights are those of a run without labels."""
    without = make_trainer()
    labelling = watched(make_trainer(label_source="detector", detector_rate_hz=0.0))
    for i in range(24):
        for trainer in (without, labelling):
            trainer.ingest(make_pair(i))
            if trainer.ready:
                trainer.train()
    assert tensors_sha256(without.encoder.state_dict()) == tensors_sha256(
        labelling.encoder.state_dict()
    )
    classes = labelling.taught().labels
    assert classes.tolist() == [(i // 3) % 4 for i in range(24)]
    assert (len(labelling.labels), len(labelling.pseudo), without.labelled) == (0, 24, 0)


def test_a_person_s_word_goes_first(
    make_trainer: MakeTrainer, make_pair: MakePair, make_label: Callable[[int], Label]
) -> None:
    """A frame that both have labelled counts once, as the person says, whoever came first."""
    trainer = watched(make_trainer(label_source="detector", detector_rate_hz=0.0))
    for i in range(3, 9):
        label = replace(make_label(i), label="car", epoch=99)  # another count of clock restarts
        if i in (3, 7):
            trainer.add_label(label)
        trainer.ingest(make_pair(i))
        if i == 5:
            trainer.add_label(label)
    inputs, classes, groups, *_ = trainer.taught()
    assert len(inputs) == len(classes) == len(groups) == 6
    names = [CLASSES[number] for number in classes]
    assert names == ["car"] * 3 + ["pedestrian"] + ["cyclist"] * 2


def test_a_broken_image_is_not_looked_at(make_trainer: MakeTrainer, make_pair: MakePair) -> None:
    """It raises as ever, and leaves no label."""
    trainer = watched(make_trainer(label_source="detector"))
    with pytest.raises(FrameError, match="bad_image"):
        trainer.ingest(replace(make_pair(3), image=b"\xff\xd8\xff"))
    heatmap = make_pair(3).heatmap.copy()
    heatmap[:] = float("nan")
    with pytest.raises(FrameError, match="not_finite"):
        trainer.ingest(replace(make_pair(3), heatmap=heatmap))
    assert found(trainer)["looks"] == len(trainer.pseudo) == 0


# Restore


@pytest.mark.parametrize(
    "changes",
    [
        {"collate": "wanted", "wanted": "cyclist,car"},
        {"collate": "balance", "detector_rate_hz": 4.0},
        {"collate": "balance", "label_source": "detector"},
    ],
    ids=lambda changes: "+".join(map(str, changes.values())),
)
def test_restored_collation_repeats_every_bit(
    make_trainer: MakeTrainer, make_pair: MakePair, changes: dict[str, Any]
) -> None:
    """L4: what was looked at, the classes of the pool and the pseudo-labels come back."""

    def make() -> Trainer:
        return watched(make_trainer(pool_pairs=12, min_pool_pairs=6, **changes))

    def run(trainer: Trainer, first: int, last: int) -> list[float]:
        losses = []
        for i in range(first, last):
            trainer.ingest(make_pair(i))
            if trainer.ready:
                losses.append(trainer.train().loss)
        return losses

    first, second = make(), make()
    run(first, 0, 41)
    for name, rows in state.tables(first).items():
        for index, _, tensors in rows.chunks():
            state.tables(second)[name].load_chunk(
                index, "", {key: value.clone() for key, value in tensors.items()}
            )
    saved = {key: value.clone() for key, value in state.tensors(first).items()}
    state.load(second, saved, state.values(first))
    random = torch.get_rng_state()
    losses = run(first, 41, 60)
    torch.set_rng_state(random)
    assert run(second, 41, 60) == losses
    assert tensors_sha256(state.tensors(second)) == tensors_sha256(state.tensors(first))
    assert found(second) == found(first)
    for one, other in zip(first.taught(), second.taught(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_from_before_the_detector_is_gone_on_from(
    make_trainer: MakeTrainer, make_pair: MakePair
) -> None:
    """Turning collation on costs nothing that was learned."""
    before = make_trainer()
    for i in range(12):
        before.ingest(make_pair(i))
    after = watched(make_trainer(collate="balance", label_source="detector"))
    state.load(after, state.tensors(before), state.values(before))
    assert after.counters == before.counters
    assert found(after)["looks"] == 0


def test_a_scene_without_a_class_is_a_class_of_its_own(settings: Learning) -> None:
    """Several kinds, or doubt: no label, and NO_CLASS for the balance."""
    learning = replace(settings, label_source="detector", collate="balance")

    class Both:
        name = "both"

        def detect(self, image: Tensor) -> Boxes:
            corners = torch.tensor([BODY, VAN])
            return Boxes(corners, torch.tensor([0.9, 0.9]), torch.tensor([0, 2]))

    collation = Collation(learning, Timed(Both(), lambda: 0.0))
    finding = collation.judge("north", 1, 0, torch.zeros(3, 48, 64))
    assert (finding.kept, finding.number, finding.label) == (True, NO_CLASS, None)
