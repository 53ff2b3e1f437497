"""When the oldest files go, and when recording pauses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.config import Recorder
from rvsense.errors import UsageError
from rvsense.replay.recording.caps import Caps, Verdict, caps_of, judge

CAPS = Caps(segment_bytes=10, segment_s=60.0, most_bytes=100, free_bytes=50)


@given(
    st.lists(st.integers(0, 60), max_size=12),
    st.integers(0, 20),
    st.integers(0, 200),
)
def test_no_more_goes_than_it_takes(closed: list[int], open_bytes: int, free: int) -> None:
    """After the verdict both bounds hold, or recording pauses; one file less would not do."""
    verdict = judge(CAPS, closed, open_bytes, free)
    gone = sum(closed[: verdict.remove])
    held = sum(closed) + open_bytes - gone
    assert held <= CAPS.most_bytes or verdict.remove == len(closed)
    assert verdict.pause == (free + sum(closed) < CAPS.free_bytes)
    if not verdict.pause:
        assert free + gone >= CAPS.free_bytes
    if verdict.remove:
        spared = closed[verdict.remove - 1]
        too_much = held + spared > CAPS.most_bytes
        too_little = not verdict.pause and free + gone - spared < CAPS.free_bytes
        assert spared == 0 or too_much or too_little


def test_others_that_fill_the_disk_cost_no_file() -> None:
    """Where removing everything would not help, nothing is removed."""
    assert judge(CAPS, [10, 10], 5, free_bytes=20) == Verdict(remove=0, pause=True)
    assert judge(CAPS, [10, 30], 5, free_bytes=20) == Verdict(remove=2, pause=False)


def test_caps_that_contradict_are_refused() -> None:
    """A recording that could not hold two files would remove what it has just written."""
    with pytest.raises(UsageError, match="--most-gb"):
        caps_of(Recorder(segment_mb=600, most_gb=1.0))
    with pytest.raises(UsageError, match="--segment-mb 0: a whole number from 1"):
        caps_of(Recorder(segment_mb=0))
    assert caps_of(Recorder()).segment_bytes == 512_000_000
