"""Labels find their frames, before or after them, and memory stays bounded."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rvsense.daemon.effects import Effect, Examine, Teach, Truth
from rvsense.daemon.label_use import use_of
from rvsense.daemon.labels import NEAR_NS, LabelDesk
from rvsense.frames import LabelFrame, RadarFrame
from rvsense.link import Label

MakeRadar = Callable[..., RadarFrame]


def label_at(stamp_ns: int, epoch: int = 0) -> LabelFrame:
    """An empty scene at this stamp."""
    return LabelFrame(site="east", seq=0, stamp_ns=stamp_ns, epoch=epoch, objects=())


def test_a_label_after_its_frame_and_before_it(make_radar: MakeRadar) -> None:
    """Whichever comes first waits for the other."""
    desk = LabelDesk(frames_kept=8)
    first, second = make_radar(1), make_radar(2)
    assert desk.frame(first) is None
    assert desk.label(label_at(first.stamp_ns)) is first
    waiting = label_at(second.stamp_ns)
    assert desk.label(waiting) is None
    assert desk.frame(second) is waiting
    assert desk.frame(make_radar(3)) is None


def test_the_nearest_goes_first(make_radar: MakeRadar) -> None:
    """Of several within half a period, the exact or nearest one is joined."""
    desk = LabelDesk(frames_kept=8)
    frames = [make_radar(i, stamp_ns=i * 10_000_000) for i in range(3)]
    for frame in frames:
        desk.frame(frame)
    assert desk.label(label_at(10_000_000)) is frames[1]
    assert desk.label(label_at(14_000_000)) is frames[1]
    assert desk.label(label_at(16_000_000)) is frames[2]

    desk = LabelDesk(frames_kept=8)
    far, near = label_at(10_000_000), label_at(24_000_000)
    for label in (far, near):
        assert desk.label(label) is None
    assert desk.frame(make_radar(0, stamp_ns=22_000_000)) is near


def test_too_far_and_other_epochs_do_not_join(make_radar: MakeRadar) -> None:
    """Half a period is the bound, inclusive; a clock that started again is another clock."""
    desk = LabelDesk(frames_kept=8)
    frame = make_radar(0, stamp_ns=0)
    desk.frame(frame)
    assert desk.label(label_at(NEAR_NS)) is frame
    assert desk.label(label_at(NEAR_NS + 1)) is None
    assert desk.label(label_at(0, epoch=1)) is None


def test_memory_is_bounded(make_radar: MakeRadar) -> None:
    """Old frames are forgotten; labels that never find a frame expire and are counted."""
    desk = LabelDesk(frames_kept=4, labels_kept=3)
    for i in range(10):
        desk.frame(make_radar(i))
    assert desk.label(label_at(make_radar(5).stamp_ns)) is None
    assert desk.label(label_at(make_radar(6).stamp_ns)) is not None
    for i in range(10):
        desk.label(label_at(10**15 + i * 10**9))
    assert len(desk._labels) == 3
    assert desk.expired == 8


def test_a_label_whose_frame_has_passed_does_not_wait(make_radar: MakeRadar) -> None:
    """It is counted at once; one that is newer than all frames waits for its own."""
    desk = LabelDesk(frames_kept=4)
    for i in range(4):
        desk.frame(make_radar(i))
    assert desk.frames() == [(0, make_radar(i).stamp_ns) for i in range(4)]
    early = label_at(make_radar(4).stamp_ns)
    assert desk.label(early) is None
    assert desk.waits(early)
    desk.frame(make_radar(5))
    desk.frame(make_radar(6, epoch=1))
    for late in (label_at(make_radar(0).stamp_ns), label_at(make_radar(2).stamp_ns - NEAR_NS - 1)):
        assert desk.label(late) is None
        assert not desk.waits(late)
    assert desk.expired == 2


RADAR = RadarFrame(site="east", seq=0, stamp_ns=0, heatmap=np.zeros((1, 1, 1, 2), np.float32))
ITEM = Label("east", 0, 0, "car", RADAR.heatmap)
TRUTH = Truth("east", 0, 0, "car")


@pytest.mark.parametrize(
    ("effects", "now", "use"),
    [
        ([], {}, "mixed"),
        ([TRUTH, Teach(ITEM)], {}, "taught"),
        ([TRUTH, Teach(ITEM)], {"learns": False}, "not_learning"),
        ([TRUTH, Examine(ITEM)], {"learns": False}, "examined"),
        ([TRUTH], {"waits": True}, "waiting"),
        ([TRUTH], {"scored": True}, "late"),
    ],
)
def test_the_use_of_a_label_for_training(effects: list[Effect], now: Any, use: str) -> None:
    """Each outcome has its word."""
    facts = {"waits": False, "scored": False, "learns": True} | now
    assert use_of(label_at(0), effects, **facts) == use


@pytest.mark.parametrize(("scored", "use"), [(True, "scored"), (False, "unanswered")])
def test_the_use_of_a_label_for_scoring(scored: bool, use: str) -> None:
    """It counts once there is an answer to compare it with."""
    label = replace(label_at(0), purpose="score")
    assert use_of(label, [TRUTH], waits=False, scored=scored, learns=True) == use
