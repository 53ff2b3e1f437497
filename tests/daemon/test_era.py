"""What stamps are compared by: the declared epoch, whichever daemon heard it, and jumps in it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.config import Intake, Pairing
from rvsense.daemon.core import Core
from rvsense.daemon.effects import Effect, Learn, Teach
from rvsense.daemon.era import MOST, Eras, era_of
from rvsense.daemon.exam import Exam
from rvsense.frames import CameraFrame, LabelFrame, RadarFrame
from rvsense.learner.labels import stretch_of
from rvsense.learner.place import EPOCH_BITS, place_of
from rvsense.link import Label, Pair

MakeRadar = Callable[..., RadarFrame]
PAIRING = Pairing(offset_s=0.0, tolerance_s=0.01, lateness_s=0.1, thin_rate_hz=0.0)


def learned(effects: Iterable[Effect]) -> list[Pair]:
    """The pairs among effects."""
    return [effect.pair for effect in effects if isinstance(effect, Learn)]


def life(make_radar: MakeRadar, starts: list[tuple[int, int]]) -> tuple[list[Pair], list[Label]]:
    """What a daemon hands its learner of one labelled scene at each (epoch, stamp_ns)."""
    core = Core(Intake(), PAIRING, Exam(0.0, 16))
    pairs: list[Pair] = []
    labels: list[Label] = []
    for seq, (epoch, stamp_ns) in enumerate(starts):
        facts: dict[str, Any] = {"site": "east", "seq": seq, "stamp_ns": stamp_ns, "epoch": epoch}
        radar = replace(make_radar(seq), **facts)
        effects = core.handle(radar, 0)
        effects += core.handle(CameraFrame(**facts, codec="jpeg", image=b"\xff\xd8"), 0)
        pairs += learned(effects)
        taught = core.handle(LabelFrame(**facts, objects=()), 0)
        labels += [effect.label for effect in taught if isinstance(effect, Teach)]
    return pairs + learned(core.flush(0)), labels


def test_recordings_that_start_at_0_stay_apart_over_a_restart(make_radar: MakeRadar) -> None:
    """Epoch 1 of the next daemon is neither epoch 0 nor the first of this one, but epoch 1."""
    (first, second), _ = life(make_radar, [(0, 0), (1, 0)])
    (again,), _ = life(make_radar, [(1, 0)])
    (other,), _ = life(make_radar, [(2, 0)])
    assert again.epoch == second.epoch
    assert len({place_of(pair.site, pair.epoch) for pair in (first, second, other)}) == 3


def test_a_label_and_its_pair_are_of_one_stretch(make_radar: MakeRadar) -> None:
    """In every epoch: so a fold that holds the label out holds the pair out too."""
    pairs, labels = life(make_radar, [(0, 0), (3, 0), (2**40 + 7, 0)])
    assert len(labels) == 3
    assert [stretch_of(pair.site, pair.epoch, pair.stamp_ns) for pair in pairs] == [
        stretch_of(label.site, label.epoch, label.stamp_ns) for label in labels
    ]


def test_a_jump_that_nobody_declared_is_another_clock(make_radar: MakeRadar) -> None:
    """Of the same epoch."""
    hour_ns = 3600 * 10**9
    (before, after), _ = life(make_radar, [(5, hour_ns), (5, 0)])
    assert (before.epoch, after.epoch) == (era_of(5), era_of(5, 1))


@pytest.mark.parametrize("epoch", [0, 1, MOST - 1, MOST, 2**63 - 1])
@pytest.mark.parametrize("jumps", [0, 1, MOST + 1])
def test_a_place_has_room_for_any_era(epoch: int, jumps: int) -> None:
    """No bit of it is lost on the way to the learner's pool."""
    assert 0 <= era_of(epoch, jumps) < 1 << EPOCH_BITS


@given(st.lists(st.integers(0, 5), max_size=40))
def test_no_era_is_numbered_twice(epochs: list[int]) -> None:
    """Whether epochs rise, stay or fall; the first of a new highest is that of its labels."""
    eras = Eras()
    numbers = [eras.next(epoch) for epoch in epochs]
    assert len(set(numbers)) == len(numbers)
    for i, epoch in enumerate(epochs):
        if epoch > max(epochs[:i], default=-1):
            assert numbers[i] == era_of(epoch)
