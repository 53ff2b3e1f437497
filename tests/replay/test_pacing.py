"""The schedule under a fake clock: exact, without drift, without bursts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rvsense.replay.pacing import CATCH_UP_NS, Pacer
from rvsense.replay.stamps import index_ns

MS = 1_000_000


class Clock:
    """A clock that moves when told; waiting oversleeps by `oversleep_ns`."""

    def __init__(self, oversleep_ns: int = 0) -> None:
        self.now_ns = 5_000 * MS
        self.oversleep_ns = oversleep_ns

    def wait(self, wait_ns: int) -> None:
        """Sleep, if there is anything to sleep."""
        if wait_ns:
            self.now_ns += wait_ns + self.oversleep_ns


def _play(pacer: Pacer, clock: Clock, frames: range, work_ns: int = 0) -> list[int]:
    sent = []
    for frame in frames:
        clock.wait(pacer.wait_ns(index_ns(frame), clock.now_ns))
        sent.append(clock.now_ns)
        clock.now_ns += work_ns
    return sent


@given(st.floats(0.1, 50), st.integers(0, 5 * MS))
def test_no_drift_adds_up(speed: float, oversleep_ns: int) -> None:
    """Frame 300 is as punctual as frame 1: waiting errors do not accumulate."""
    clock = Clock(oversleep_ns)
    sent = _play(Pacer(speed), clock, range(301))
    due_ns = [round(index_ns(frame) / speed) for frame in range(301)]
    for at_ns, due in zip(sent, due_ns, strict=True):
        assert 0 <= at_ns - sent[0] - due <= oversleep_ns + 1


def test_short_stall_is_made_up() -> None:
    """A stall within the bound leaves the schedule where it was."""
    clock, pacer = Clock(), Pacer(1.0)
    start = _play(pacer, clock, range(10))[0]
    clock.now_ns += 80 * MS
    sent = _play(pacer, clock, range(10, 20))
    assert sent[-1] - start == index_ns(19)
    assert pacer.slipped_ns == 0


def test_long_stall_is_no_burst() -> None:
    """After ten seconds of silence at most the catch-up bound goes out at once."""
    clock, pacer = Clock(), Pacer(1.0)
    _play(pacer, clock, range(10))
    clock.now_ns += 10_000 * MS
    sent = _play(pacer, clock, range(10, 40))
    at_once = sum(at_ns == sent[0] for at_ns in sent)
    assert at_once == 1 + CATCH_UP_NS // index_ns(1)
    assert pacer.slipped_ns > 9_000 * MS


def test_overload_shows_as_slip() -> None:
    """Work that takes longer than a period is sent one by one, and the lost time is counted."""
    clock, pacer = Clock(), Pacer(1.0)
    sent = _play(pacer, clock, range(100), work_ns=50 * MS)
    assert {b - a for a, b in pairwise(sent)} == {50 * MS}
    late_ns = sent[-1] - sent[0] - index_ns(99)
    assert pacer.slipped_ns == late_ns - CATCH_UP_NS


def test_first_frame_goes_at_once() -> None:
    """The origin is the first frame, wherever the run starts."""
    assert Pacer(2.0).wait_ns(index_ns(30), 123) == 0
