"""Capture order of a site's radar frames: gaps, stragglers, duplicates, restarts."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvsense.daemon.order import RESTART_DISTANCE, RESTART_RUN, Reorder
from rvsense.frames import RadarFrame

MakeRadar = Callable[..., RadarFrame]
MS = 1_000_000


class Room:
    """A Reorder, and what left it and was refused, as (epoch, seq)."""

    def __init__(self, make: MakeRadar, *, wait_ms: int = 50, most: int = 8) -> None:
        self.reorder = Reorder(wait_ms * MS, most)
        self.left: list[tuple[int, int]] = []
        self.refused: list[tuple[int, int, str]] = []
        self._make = make

    def push(self, *seqs: int, epoch: int = 0, at_ms: int = 0) -> "Room":
        """Frames arrive."""
        for seq in seqs:
            frame = self._make(seq, epoch=epoch)
            leaving, refusal = self.reorder.push(frame, at_ms * MS)
            self.left += [(item.frame.epoch, item.frame.seq) for item in leaving]
            if refusal:
                self.refused.append((epoch, seq, refusal))
        return self

    def tick(self, at_ms: int) -> "Room":
        """Time passes."""
        leaving = self.reorder.tick(at_ms * MS)
        self.left += [(item.frame.epoch, item.frame.seq) for item in leaving]
        return self

    def flush(self) -> "Room":
        """The end of input."""
        self.left += [(item.frame.epoch, item.frame.seq) for item in self.reorder.flush()]
        return self

    @property
    def seqs(self) -> list[int]:
        """What left, by seq."""
        return [seq for _, seq in self.left]


@pytest.fixture
def room(make_radar: MakeRadar) -> Room:
    """An empty one that waits 50 ms and for 8 frames."""
    return Room(make_radar)


def test_frames_in_order_leave_at_once(room: Room) -> None:
    """Nothing waits where nothing is missing, wherever counting starts."""
    assert room.push(5, 6, 7).seqs == [5, 6, 7]
    assert len(room.reorder) == 0


def test_a_straggler_lets_the_others_go(room: Room) -> None:
    """Frames behind a gap wait, and leave in order when the gap is filled."""
    assert room.push(0, 2, 3).seqs == [0]
    assert room.push(1).seqs == [0, 1, 2, 3]


def test_a_gap_is_given_up_after_its_time(room: Room) -> None:
    """A frame waits for a missing one as long as was said, and not a tick longer."""
    room.push(0).push(2, at_ms=10)
    assert room.tick(59).seqs == [0]
    assert room.tick(60).seqs == [0, 2]
    room.push(1, at_ms=70)
    assert room.refused == [(0, 1, "late")]


def test_each_gap_has_its_own_time(room: Room) -> None:
    """A second gap does not inherit the time that the first one has used up."""
    room.push(0).push(2, at_ms=0).push(4, at_ms=40).push(1, at_ms=45)
    assert room.tick(60).seqs == [0, 1, 2]
    assert room.tick(90).seqs == [0, 1, 2, 4]


def test_too_many_waiting_give_a_gap_up(make_radar: MakeRadar) -> None:
    """Without time passing, the room's size bounds the wait: lock-step never stalls."""
    room = Room(make_radar, most=3).push(0, 2, 3, 4)
    assert room.seqs == [0]
    assert room.push(5).seqs == [0, 2, 3, 4, 5]


def test_a_room_for_nobody_passes_everything_on(make_radar: MakeRadar) -> None:
    """With room for none, frames leave as they come and late ones are refused."""
    room = Room(make_radar, most=0).push(0, 2, 1, 3)
    assert room.seqs == [0, 2, 3]
    assert room.refused == [(0, 1, "late")]


def test_duplicates_are_refused(room: Room) -> None:
    """A frame that left is late, one that waits is a duplicate; neither leaves twice."""
    room.push(0, 0, 2, 2, 1)
    assert room.seqs == [0, 1, 2]
    assert room.refused == [(0, 0, "late"), (0, 2, "duplicate")]


def test_a_new_epoch_starts_anew(room: Room) -> None:
    """What waits leaves first; the old epoch's stragglers are late."""
    room.push(0, 2).push(0, 1, epoch=1).push(1, epoch=0)
    assert room.left == [(0, 0), (0, 2), (1, 0), (1, 1)]
    assert room.refused == [(0, 1, "late")]


def test_a_count_far_behind_is_a_restart(room: Room) -> None:
    """A seq beyond RESTART_DISTANCE behind is taken at once; one nearer is late."""
    room.push(1000, 1001 - RESTART_DISTANCE)
    assert room.refused == [(0, 1001 - RESTART_DISTANCE, "late")]
    assert room.push(3, 4).seqs == [1000, 3, 4]


@pytest.mark.parametrize("epoch", [0, 5])
def test_a_source_that_starts_again_is_heard_again(epoch: int, room: Room) -> None:
    """A short source played twice, or one whose epoch went back, is not refused for ever."""
    room.push(*range(100), epoch=epoch)
    room.push(*range(100), epoch=0)
    assert room.left[100:] == [(0, seq) for seq in range(RESTART_RUN, 100)]
    assert room.refused == [(0, seq, "late") for seq in range(RESTART_RUN)]


def test_stragglers_between_frames_on_time_are_no_restart(room: Room) -> None:
    """Late frames count as a restart only in one row: a slow path beside a fast one does not."""
    for seq in range(100, 200):
        room.push(seq).push(seq - 50)
    assert room.seqs == list(range(100, 200))
    assert len(room.refused) == 100


@pytest.mark.parametrize("wild", [{"epoch": 2**63 - 1}, {}])
def test_one_wild_number_does_not_block_a_site(wild: dict[str, int], room: Room) -> None:
    """One frame with an absurd epoch or seq costs a few frames, not the site."""
    room.push(0, 1, 2).push(2**62, **wild).tick(1000)
    room.push(*range(3, 40), at_ms=1000)
    assert room.seqs[-20:] == list(range(20, 40))


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, int]]:
    """(epoch, seq) of epochs one after another, each shuffled by fewer places than the room."""
    order: list[tuple[int, int]] = []
    for epoch in range(draw(st.integers(1, 3))):
        start, count = draw(st.integers(0, 500)), draw(st.integers(1, 25))
        present = [start] + [
            start + i
            for i in range(1, count)
            if draw(st.integers(0, 9)) > 0  # some are lost
        ]
        delays = [0] + [draw(st.integers(0, 3)) for _ in present[1:]]
        ranked = sorted(range(len(present)), key=lambda i: (i + delays[i], i))
        order += [(epoch, present[i]) for i in ranked]
    return order


@given(arrivals(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_every_frame_leaves_once_and_in_order(
    make_radar: MakeRadar, order: list[tuple[int, int]], random: Random
) -> None:
    """Any order within the bounds: each frame leaves exactly once, in order within its epoch."""
    room = Room(make_radar, most=8)
    for at_ms, (epoch, seq) in enumerate(order):
        room.push(seq, epoch=epoch, at_ms=at_ms)
        if random.random() < 0.2:
            room.push(seq, epoch=epoch, at_ms=at_ms)  # sent twice
        room.tick(at_ms)
        assert len(room.reorder) <= 8
    room.flush()
    assert room.left == sorted(set(order))
    assert all(epoch <= 2 for epoch, _, _ in room.refused)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 600)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_every_frame_leaves_or_is_refused(
    make_radar: MakeRadar, order: list[tuple[int, int]]
) -> None:
    """Any order at all: what came in is what left, what was refused and what waits."""
    room = Room(make_radar, most=4)
    for count, (epoch, seq) in enumerate(order, 1):
        room.push(seq, epoch=epoch)
        assert count == len(room.left) + len(room.refused) + len(room.reorder)
    room.flush()
    assert sorted(order) == sorted(room.left + [(e, s) for e, s, _ in room.refused])
