"""P1 to P8 and P10 on arbitrary sets of frames, against the oracle of this folder."""

import random
import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvsense.config import Pairing
from rvsense.daemon.decisions import REASONS, Dropped, Frame, Paired
from rvsense.daemon.matching import best_pairs
from rvsense.daemon.pairing import Pairer

MS = 1_000_000
UNLIMITED_NS = -(1 << 62)

quiet = settings(deadline=None, derandomize=True, max_examples=300)


def stamps(most: int = 14, span_ms: int = 400) -> st.SearchStrategy[list[int]]:
    """Sorted distinct stamps on a millisecond grid, so that equal distances are common."""
    return st.lists(st.integers(0, span_ms), max_size=most, unique=True).map(
        lambda values: [value * MS for value in sorted(values)]
    )


@dataclass(frozen=True)
class Times:
    """Fixed settings, in milliseconds, and the seed of the arrival order."""

    tolerance: int
    offset: int
    lateness: int
    seed: int


times = st.builds(
    Times,
    st.sampled_from([3, 10, 25, 60]),
    st.sampled_from([0, 7, -12]),
    st.sampled_from([0, 15, 40, 200]),
    st.integers(0, 2**32),
)


def fixed(tolerance_ms: int, offset_ms: int, lateness_ms: int) -> Pairing:
    """Settings that leave nothing to estimate."""
    return Pairing(
        tolerance_s=tolerance_ms / 1000,
        offset_s=offset_ms / 1000,
        lateness_s=lateness_ms / 1000,
    )


def arrivals_of(tools: Any, radar: list[int], camera: list[int], at: Times) -> list[Frame]:
    """Both streams, each frame delayed by at most the lateness."""
    frames = tools.in_order(tools.frames_of("radar", radar), tools.frames_of("camera", camera))
    made: list[Frame] = tools.shuffled(frames, at.lateness * MS, random.Random(at.seed))
    return made


@quiet
@given(stamps(), stamps(), times)
def test_pairs_are_the_oracles(tools: Any, radar: list[int], camera: list[int], at: Times) -> None:
    """P1 to P5: any arrival order within the lateness gives the oracle's pairs, in order."""
    arrivals = arrivals_of(tools, radar, camera, at)
    result = tools.run(fixed(at.tolerance, at.offset, at.lateness), arrivals)
    shifted = [stamp + at.offset * MS for stamp in camera]
    assert result.seqs == tools.oracle(radar, shifted, at.tolerance * MS)
    for pair in result.pairs:
        assert abs(pair.skew_ns - at.offset * MS) <= at.tolerance * MS
    for column in zip(*result.seqs, strict=True):
        assert list(column) == sorted(set(column))
    assert len(result.dropped("unmatched")) == len(arrivals) - 2 * len(result.pairs)


@quiet
@given(st.data(), st.sampled_from([12, 25, 60]), st.integers(0, 2**32))
def test_cost_is_the_least_of_all(tools: Any, data: Any, tolerance: int, seed: int) -> None:
    """P5: where no contested stretch outlasts the tolerance the cost is the global optimum."""
    radar: list[int] = []
    camera: list[int] = []
    for cluster in range(data.draw(st.integers(1, 5))):
        start_ns = cluster * 3 * tolerance * MS
        radar += [start_ns + ns for ns in data.draw(stamps(6, tolerance))]
        camera += [start_ns + ns for ns in data.draw(stamps(6, tolerance))]
    arrivals = arrivals_of(tools, radar, camera, Times(tolerance, 0, 200, seed))
    got = tools.run(fixed(tolerance, 0, 200), arrivals).seqs
    least, fewest, pairs = tools.cheapest(radar, camera, tolerance * MS, UNLIMITED_NS)
    assert tools.cost_of(got, radar, camera, tolerance * MS) == least
    assert (-len(got), tuple(got)) == (fewest, pairs)


@quiet
@given(stamps(), stamps(), st.sampled_from([3, 10, 25, 60]), st.integers(0, 400))
def test_matching_is_the_recurrences(
    tools: Any, radar: list[int], camera: list[int], tolerance: int, complete_from: int
) -> None:
    """The matching of one stretch equals the plain recurrence, ties included."""
    expected = tools.cheapest(radar, camera, tolerance * MS, complete_from * MS)[2]
    assert best_pairs(radar, camera, tolerance * MS, complete_from * MS) == list(expected)


@quiet
@given(stamps(30, 1500), stamps(30, 1500), times)
def test_lag_is_bounded(tools: Any, radar: list[int], camera: list[int], at: Times) -> None:
    """P6: no pair is held once the watermark is a tolerance past it, no frame at all past two."""
    pairer = Pairer(fixed(at.tolerance, 0, at.lateness))
    tolerance_ns = at.tolerance * MS
    newest: dict[str, int] = {}
    pending: set[Frame] = set()
    watermark = UNLIMITED_NS
    for frame in arrivals_of(tools, radar, camera, at):
        decisions = pairer.push(frame)
        pending.add(frame)
        for decision in decisions:
            if isinstance(decision, Paired):
                later = max(decision.radar.stamp_ns, decision.camera.stamp_ns)
                assert watermark <= later + tolerance_ns
                pending -= {decision.radar, decision.camera}
            else:
                pending.remove(decision.frame)
        newest[frame.stream] = max(frame.stamp_ns, newest.get(frame.stream, frame.stamp_ns))
        if len(newest) == 2:
            watermark = min(newest.values()) - at.lateness * MS
        assert all(watermark <= waiting.stamp_ns + 2 * tolerance_ns for waiting in pending)


@pytest.mark.parametrize("silent", ["radar", "camera"])
def test_lag_behind_a_silent_stream(tools: Any, silent: str) -> None:
    """P6: with one stream silent, the other waits lateness, tolerance and idle timeout at most."""
    options = Pairing(lateness_s=0.1, idle_timeout_s=0.5)
    pairer = Pairer(options)
    longest = 0
    for k in range(300):
        now = k * 33 * MS
        for stream in ("radar", "camera"):
            if stream == silent and k >= 60:
                continue
            decisions = pairer.push(Frame(stream, k, now, 0, 1, now))
            dropped = [d.frame.stamp_ns for d in decisions if isinstance(d, Dropped)]
            longest = max([longest, *(now - stamp for stamp in dropped)])
    assert 400 * MS < longest <= (100 + 17 + 500 + 33) * MS


@quiet
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300), st.integers(1, 900)), max_size=60))
def test_memory_is_bounded(arrivals: list[tuple[bool, int, int]]) -> None:
    """P7: whatever comes, pending frames and bytes stay within their bounds, oldest out first."""
    options = Pairing(max_pending_frames=5, max_pending_bytes=1 << 20)
    pairer = Pairer(options)
    pending: dict[str, list[Frame]] = {"radar": [], "camera": []}
    for seq, (is_radar, stamp_ms, size) in enumerate(arrivals):
        stream = "radar" if is_radar else "camera"
        frame = Frame("radar" if is_radar else "camera", seq, stamp_ms * MS, 0, size * 1024, 0)
        pending[stream].append(frame)
        for decision in pairer.push(frame):
            gone = decision[:2] if isinstance(decision, Paired) else (decision.frame,)
            if isinstance(decision, Dropped) and decision.reason == "overflow":
                waiting = pending[decision.frame.stream]
                assert decision.frame.stamp_ns == min(each.stamp_ns for each in waiting)
            for each in gone:
                pending[each.stream].remove(each)
        for waiting in pending.values():
            assert len(waiting) <= 5
            assert sum(each.size_bytes for each in waiting) <= 1 << 20
        ledger = pairer.ledger()
        assert ledger.radar.pending == len(pending["radar"])
        assert ledger.camera.pending == len(pending["camera"])
        held = sum(each.size_bytes for waiting in pending.values() for each in waiting)
        assert pairer.pending_bytes == held


@quiet
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 60), st.integers(-9000, 9000), st.integers(0, 2)),
        max_size=80,
    ),
    st.booleans(),
)
def test_every_frame_is_accounted_for(
    tools: Any, arrivals: list[tuple[bool, int, int, int]], automatic: bool
) -> None:
    """P1, P8: any arrivals at all: the ledger balances at each step, each frame ends once."""
    options = Pairing(idle_timeout_s=0.5) if automatic else fixed(20, 0, 100)
    frames = [
        Frame("radar" if is_radar else "camera", seq, stamp_ms * MS, epoch, 1, 0, index)
        for index, (is_radar, seq, stamp_ms, epoch) in enumerate(arrivals)
    ]
    result = tools.run(options, frames)
    ended: list[Any] = []
    for decision in result.decisions:
        if isinstance(decision, Paired):
            ended += [decision.radar.item, decision.camera.item]
            assert decision.radar.epoch == decision.camera.epoch
        else:
            assert decision.reason in REASONS
            ended.append(decision.frame.item)
    assert sorted(ended) == list(range(len(frames)))


def lines_per_frame(options: Pairing, shuffle: bool, tools: Any) -> tuple[int, float]:
    """(largest queue, Python lines run per frame) over a second half of two 30 fps streams."""
    radar = tools.frames_of("radar", [k * 33 * MS for k in range(1500)])
    camera = tools.frames_of("camera", [k * 33 * MS + 2 * MS for k in range(1500)])
    frames = tools.in_order(radar, camera)
    if shuffle:
        frames = tools.shuffled(frames, round(options.lateness_s * 1e9), random.Random(0))
    half = len(frames) // 2
    pairer = Pairer(options)
    for frame in frames[:half]:
        pairer.push(frame)
    queue = pairer.ledger().radar.pending
    lines = 0

    def count(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        for frame in frames[half:]:
            pairer.push(frame)
    finally:
        sys.settrace(before)
    return queue, lines / half


@pytest.mark.parametrize("shuffle", [False, True])
def test_work_does_not_grow_with_the_queue(tools: Any, shuffle: bool) -> None:
    """P10: fifteen times the pending frames cost no more steps a frame."""
    few, little = lines_per_frame(Pairing(lateness_s=0.3), shuffle, tools)
    many, much = lines_per_frame(Pairing(lateness_s=12.0, idle_timeout_s=20.0), shuffle, tools)
    assert many > 15 * few
    assert much < 1.3 * little
