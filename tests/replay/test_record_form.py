"""The body of a recorded message: the parts of the wire come back to the byte."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.errors import FrameError
from rvsense.replay.recording.form import KINDS, join, split, split_topic, topic

heads = st.dictionaries(
    st.text(max_size=8), st.integers(-9, 2**40) | st.text(max_size=8) | st.floats(), max_size=6
).map(msgpack.packb)


@given(heads, st.none() | st.binary(max_size=300))
def test_parts_come_back_to_the_byte(head: bytes, payload: bytes | None) -> None:
    """What was joined is split into the same bytes, and any msgpack reader can read it."""
    parts = [head] if payload is None else [head, payload]
    body = join(parts)
    assert [bytes(part) for part in split(body)] == parts
    read = msgpack.unpackb(body, strict_map_key=False)
    assert len(read) == len(parts)
    assert read[1:] == parts[1:]


@given(st.binary(max_size=80))
def test_anything_else_is_refused(body: bytes) -> None:
    """No bytes raise anything but FrameError, and what is taken is what `join` makes."""
    parts = None
    with suppress(FrameError):
        parts = split(body)
    assert parts is None or join(parts) == body


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_cut_body_is_refused(cut: int) -> None:
    """A body that lost its end is no shorter message."""
    body = join([msgpack.packb({"kind": "radar"}), b"0123456789abcdef"])
    with pytest.raises(FrameError):
        split(body[:-cut])


def test_topics() -> None:
    """A channel's name says site and kind; other channels are none of ours."""
    for kind in KINDS:
        assert split_topic(topic("north.1", kind)) == ("north.1", kind)
    assert [split_topic(name) for name in ("", "/", "/radar", "a/radar", "/a/lidar")] == [None] * 5
