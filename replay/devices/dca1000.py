"""Packets of a DCA1000EVM to whole radar frames. Pure: bytes and arrival times in, frames out.

A packet: its number (4 bytes, from 1), the count of payload bytes sent before it (6 bytes), up to
1456 bytes of payload; little-endian (DCA1000EVM user's guide, SPRUIJ4A, section 5.2). Nothing in
it tells where a frame starts: the count does, as recording starts with a frame.

Rules:
1. A frame leaves when its last byte is in, stamped with the arrival of its first byte. A frame
   with a hole never leaves: a wrong frame is worse than none.
2. Packets may be out of order. A frame is given up when a later one is whole, or a packet of the
   next but one comes; it is `lost`, and so are frames of which nothing came.
3. Frames are numbered without gaps by their place in the stream: what is lost leaves a hole.
4. The frame in which a capture joins a running stream is not counted.
5. A count that fits no frame that may come, behind or more than `ahead_frames` ahead, is believed
   once `RESTART_PACKETS` others in a row said much the same: one stray packet moves nothing. Then,
   or with packet 1, a recording starts anew: the frame numbers go on without a hole.
6. A frame leaves only if its packets lie side by side: overlapping ones would hide a hole.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

HEADER = struct.Struct("<IIH")
PAYLOAD_BYTES = 1456
RESTART_PACKETS = 32


@dataclass(frozen=True, slots=True)
class RawFrame:
    """The samples of a frame as they came; `stamp_ns` is the arrival of its first byte."""

    number: int
    stamp_ns: int
    payload: bytearray


@dataclass(slots=True)
class _Filling:
    payload: bytearray
    parts: dict[int, int] = field(default_factory=dict)
    """Lengths by place."""
    filled: int = 0
    stamp_ns: int = 0

    @property
    def seamless(self) -> bool:
        """Whether no two parts overlap."""
        end = 0
        for at, length in sorted(self.parts.items()):
            if at < end:
                return False
            end = at + length
        return True


class Assembler:
    """Puts the packets of one data port together; counts what was lost."""

    def __init__(self, frame_bytes: int, ahead_frames: int = 30) -> None:
        self.lost = 0
        """Frames with a hole in them, or of which nothing came."""
        self.late_packets = 0
        """Packets of frames that were decided already; duplicates are among them."""
        self.malformed = 0
        """Packets too short, or with a count that nothing else bore out."""
        self.restarts = 0
        """Recordings that started anew."""
        self._size = frame_bytes
        self._ahead = ahead_frames
        self._base = 0
        self._next: int | None = None
        self._open: dict[int, _Filling] = {}
        self._odd = 0
        self._odd_place = 0
        self._joining = True

    def feed(self, packet: bytes | memoryview, arrival_ns: int) -> list[RawFrame]:
        """Take in a packet; the frames that it made whole, in order."""
        if len(packet) <= HEADER.size:
            self.malformed += 1
            return []
        number, low, high = HEADER.unpack_from(packet)
        place = low | high << 32
        payload = memoryview(packet)[HEADER.size :]
        if self._next is None:
            self._next = -(-place // self._size)
        elif number == 1 and place == 0 and self._started():
            self._start_again(place)
        elif self._is_odd(place, place + len(payload)):
            if self._odd > RESTART_PACKETS:
                self._start_again(place)
            elif self._joining or place >= self._next * self._size:
                self.malformed += 1
                return []
        frames: list[RawFrame] = []
        while payload:
            index, at = divmod(place, self._size)
            part = payload[: self._size - at]
            frames += self._put(index, at, part, arrival_ns)
            place += len(part)
            payload = payload[len(part) :]
        return frames

    def _started(self) -> bool:
        """Whether packet 1 would be news: not when it is itself late or a duplicate."""
        assert self._next is not None
        first = self._open.get(0)
        return self._next > 1 or (first is not None and first.filled > 2 * PAYLOAD_BYTES)

    def _is_odd(self, place: int, end: int) -> bool:
        """Whether a packet is of no frame that may come; counts those in a row that agree."""
        assert self._next is not None
        first = self._next - self._joining  # joining a frame, its packets come to nothing
        if first * self._size < end and place < (self._next + self._ahead) * self._size:
            self._odd = 0
            return False
        agrees = abs(place - self._odd_place) <= self._size
        self._odd, self._odd_place = (self._odd + 1 if agrees else 1), place
        return True

    def _start_again(self, place: int) -> None:
        assert self._next is not None
        self.lost += len(self._open)
        # Frames that were begun keep their numbers, and the new stream's come after them.
        first = -(-place // self._size)
        self._base += max([self._next, *(index + 1 for index in self._open)]) - first
        self._open.clear()
        self._next = first
        self._odd = 0
        self._joining = True
        self.restarts += 1

    def _put(self, index: int, at: int, part: memoryview, arrival_ns: int) -> Iterator[RawFrame]:
        assert self._next is not None
        if index < self._next:
            self.late_packets += not self._joining
            return
        self._joining = False
        if index > self._next + 1:
            self._give_up(index - 1)
        filling = self._open.get(index)
        if filling is None:
            filling = self._open[index] = _Filling(bytearray(self._size))
        if at in filling.parts:
            self.late_packets += 1
            return
        filling.parts[at] = len(part)
        filling.payload[at : at + len(part)] = part
        filling.filled += len(part)
        if at == 0:
            filling.stamp_ns = arrival_ns
        if filling.filled >= self._size:
            if not filling.seamless:
                self._give_up(index + 1)
                return
            self._give_up(index)
            del self._open[index]
            self._next = index + 1
            yield RawFrame(self._base + index, filling.stamp_ns, filling.payload)

    def _give_up(self, before: int) -> None:
        """All frames below `before` that have not left are lost."""
        assert self._next is not None
        self.lost += before - self._next
        for index in [index for index in self._open if index < before]:
            del self._open[index]
        self._next = before


def packets(
    payload: bytes, first_byte: int = 0, first_packet: int = 1, size: int = PAYLOAD_BYTES
) -> Iterator[bytes]:
    """A stream of samples as a DCA1000 would send it; the inverse, for devices that are played."""
    for nth, start in enumerate(range(0, len(payload), size)):
        place = first_byte + start
        header = HEADER.pack(first_packet + nth, place & 0xFFFFFFFF, place >> 32)
        yield header + payload[start : start + size]
