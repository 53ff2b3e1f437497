"""Packets of a DCA1000 to whole frames, and only those."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rvsense.replay.devices.dca1000 import (
    HEADER,
    RESTART_PACKETS,
    Assembler,
    RawFrame,
    packets,
)

PATIENCE_S = 30.0
SIZE = 5000
"""Bytes of a small frame: no multiple of a packet, as in life."""

Cube = NDArray[np.complex64]


def contents(frames: int) -> list[bytes]:
    """Small frames that differ."""
    rng = random.Random(1)
    return [rng.randbytes(SIZE) for _ in range(frames)]


def fed(assembler: Assembler, stream: list[bytes]) -> list[RawFrame]:
    """What comes of packets, the n-th of which arrives at n."""
    return [frame for nth, one in enumerate(stream) for frame in assembler.feed(one, nth)]


# Whole frames, and only those


def test_a_stream_becomes_its_frames_stamped_by_their_first_byte() -> None:
    """Frame borders lie within packets, as in life."""
    frames = contents(4)
    got = fed(Assembler(SIZE), list(packets(b"".join(frames))))
    assert [bytes(one.payload) for one in got] == frames
    assert [one.number for one in got] == [0, 1, 2, 3]
    # 5000, 10000 and 15000 lie in the fourth, seventh and eleventh packet of 1456 bytes.
    assert [one.stamp_ns for one in got] == [0, 3, 6, 10]


def test_a_frame_with_a_hole_is_lost_and_its_number_with_it() -> None:
    """Its neighbours share no packet that is missing, and leave."""
    frames = contents(6)
    stream = list(packets(b"".join(frames)))
    del stream[5]  # of the second frame alone
    assembler = Assembler(SIZE)
    got = fed(assembler, stream)
    assert [(one.number, bytes(one.payload)) for one in got] == [
        (nth, frames[nth]) for nth in (0, 2, 3, 4, 5)
    ]
    assert assembler.lost == 1


def test_a_hole_over_several_frames_loses_them_all() -> None:
    """Also those of which not one packet came."""
    frames = contents(8)
    stream = list(packets(b"".join(frames)))
    assembler = Assembler(SIZE)
    got = fed(assembler, stream[:5] + stream[20:])
    assert [one.number for one in got] == [0, 6, 7]
    assert assembler.lost == 5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3), st.floats(0, 0.2))
def test_no_disorder_loss_or_duplicate_makes_a_wrong_frame(
    seed: int, shift: int, loss: float
) -> None:
    """Packets displaced by a few places, lost and doubled: each frame is right or missing."""
    rng = random.Random(seed)
    frames = contents(12)
    stream = [one for one in packets(b"".join(frames)) if rng.random() >= loss]
    stream += [one for one in stream if rng.random() < 0.05]
    order = sorted(stream, key=lambda one: int.from_bytes(one[:4], "little"))
    keys = {id(one): nth + rng.uniform(0, shift) for nth, one in enumerate(order)}
    assembler = Assembler(SIZE)
    got = fed(assembler, sorted(order, key=lambda one: keys[id(one)]))
    numbers = [one.number for one in got]
    assert numbers == sorted(set(numbers))
    if assembler.lost + len(got) <= len(frames):  # it took no duplicate of packet 1 for a restart
        assert all(bytes(one.payload) == frames[one.number] for one in got)
    assert all(bytes(one.payload) in frames for one in got)
    if loss == 0:
        assert len(got) == len(frames)


def test_joining_a_running_stream_starts_with_its_next_frame() -> None:
    """What was before the adapter is no loss."""
    frames = contents(4)
    assembler = Assembler(SIZE)
    got = fed(assembler, list(packets(b"".join(frames)))[2:])
    assert [bytes(one.payload) for one in got] == frames[1:]
    assert (assembler.lost, assembler.late_packets) == (0, 0)


def test_a_recording_that_starts_anew_goes_on_in_number() -> None:
    """The byte count goes back to 0, the frame numbers do not."""
    first, second = contents(6)[:3], contents(6)[3:]
    assembler = Assembler(SIZE)
    got = fed(assembler, [*packets(b"".join(first)), *packets(b"".join(second))])
    assert [(one.number, bytes(one.payload)) for one in got] == list(enumerate(first + second))


def test_a_new_recording_is_noticed_without_its_first_packet() -> None:
    """So many packets of the past in a row are no stragglers."""
    long = contents(40)
    assembler = Assembler(SIZE)
    before = fed(assembler, list(packets(b"".join(long))))
    after = fed(assembler, list(packets(b"".join(long)))[1:])
    assert [one.number for one in before] == list(range(40))
    gone = -(-(RESTART_PACKETS + 2) * 1456 // SIZE)
    assert [bytes(one.payload) for one in after] == long[gone:]
    assert after[0].number == 40


ASTRAY = [
    HEADER.pack(7, 0xFFFFFFFF, 0xFFFF) + b"x",  # all bits of the count
    HEADER.pack(7, 100 * SIZE, 0) + b"xyz",
    HEADER.pack(7, 0, 0) + b"x",
]


@pytest.mark.parametrize("astray", ASTRAY)
@pytest.mark.parametrize("place", [0, 1, 60, 61, 62, 63])
def test_a_stray_packet_moves_nothing(astray: bytes, place: int) -> None:
    """Neither numbers nor losses, wherever it comes; as the first one it costs what proves it."""
    frames = contents(40)
    stream = list(packets(b"".join(frames)))
    assembler = Assembler(SIZE)
    got = fed(assembler, [*stream[:place], astray, *stream[place:]])
    assert all(bytes(one.payload) in frames for one in got)
    first = got[0].number
    assert [one.number for one in got] == list(range(first, first + len(got)))
    assert assembler.malformed + assembler.late_packets <= RESTART_PACKETS + 1
    assert len(got) >= (len(frames) if place else len(frames) - 12)


def test_a_count_that_jumps_is_believed_when_many_agree() -> None:
    """After a cable was out for long: what comes then is numbered on."""
    frames = contents(100)
    stream = list(packets(b"".join(frames)))
    assembler = Assembler(SIZE)
    got = fed(assembler, stream[:10] + stream[200:])
    assert [one.number for one in got] == [0, 1, *range(3, len(got) + 1)]  # 2 was begun
    assert [bytes(one.payload) for one in got[-5:]] == frames[-5:]
    assert (assembler.restarts, assembler.malformed) == (1, RESTART_PACKETS)


def test_overlapping_packets_do_not_hide_a_hole() -> None:
    """As many bytes as a frame has, some of them twice, are no frame."""
    assembler = Assembler(4000)
    parts = ((0, b"a"), (500, b"b"), (1000, b"c"), (3000, b"d"), (4000, b"e"))
    stream = [
        HEADER.pack(nth, place, 0) + byte * 1000 for nth, (place, byte) in enumerate(parts, 1)
    ]
    assert fed(assembler, stream) == []
    assert assembler.lost == 1


@given(st.binary(max_size=10))
def test_what_is_too_short_is_counted(packet: bytes) -> None:
    """Less than a header and a byte is no packet."""
    assembler = Assembler(SIZE)
    assert assembler.feed(packet, 0) == []
    assert assembler.malformed == 1
