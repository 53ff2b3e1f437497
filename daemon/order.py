"""Puts a site's radar frames back into capture order before they are answered. Pure.

Rules:
1. A frame whose `seq` is the one expected leaves at once, with whatever waits right behind it.
2. A frame that leaves a gap waits for the missing ones, at most `wait_ns` (by `tick`) or
   `most` frames; then gaps are given up, the first one first and no more than it takes.
3. A frame whose turn is over, or that waits already, is refused: `late` or `duplicate`.
4. A higher epoch, or a `seq` far behind the expected one, is a source that started again: what
   waits leaves first, and counting starts there. A frame of an older epoch is `late`.
5. So is a source that comes back with an old epoch or an old count: `RESTART_RUN` late frames in
   a row, each the successor of the one before. No straggler and no damaged number blocks a site.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rvsense.frames import RadarFrame

RESTART_DISTANCE = 256
"""A seq this far behind is no late frame but a new count."""

RESTART_RUN = 8
"""So many successive late frames, with none on time between them, are no stragglers."""

Refusal = Literal["late", "duplicate"]


class Arrival(NamedTuple):
    """A radar frame and when it came in, by the caller's clock."""

    frame: RadarFrame
    received_ns: int


@dataclass(slots=True)
class Reorder:
    """The waiting room of one site's radar stream."""

    wait_ns: int
    most: int
    _epoch: int | None = None
    _expected: int = 0
    _waiting: dict[int, Arrival] = field(default_factory=dict)
    _late: tuple[int, int] | None = None
    _late_run: int = 0

    def push(self, frame: RadarFrame, now_ns: int) -> tuple[list[Arrival], Refusal | None]:
        """(frames that may leave now, why this one was refused or None)."""
        leaving: list[Arrival] = []
        if self._epoch is None or self._starts_again(frame):
            leaving = self.flush()
            self._epoch, self._expected, self._late_run = frame.epoch, frame.seq, 0
        if frame.epoch < self._epoch or frame.seq < self._expected:
            self._note_late(frame)
            return leaving, "late"
        if frame.seq in self._waiting:
            return leaving, "duplicate"
        self._late_run = 0
        self._waiting[frame.seq] = Arrival(frame, now_ns)
        leaving += self._contiguous()
        while len(self._waiting) > self.most:
            leaving += self._give_up_first_gap()
        return leaving, None

    def tick(self, now_ns: int) -> list[Arrival]:
        """Frames that have waited long enough for a missing one."""
        leaving: list[Arrival] = []
        long_ago_ns = now_ns - self.wait_ns
        while any(arrival.received_ns <= long_ago_ns for arrival in self._waiting.values()):
            leaving += self._give_up_first_gap()
        return leaving

    def flush(self) -> list[Arrival]:
        """All that waits, in order; the gaps before them are given up."""
        leaving: list[Arrival] = []
        while self._waiting:
            leaving += self._give_up_first_gap()
        return leaving

    def __len__(self) -> int:
        return len(self._waiting)

    def _starts_again(self, frame: RadarFrame) -> bool:
        epoch = self._epoch if self._epoch is not None else frame.epoch
        far_behind = frame.seq < self._expected - RESTART_DISTANCE
        came_back = self._late_run >= RESTART_RUN and self._late == (frame.epoch, frame.seq - 1)
        return frame.epoch > epoch or (frame.epoch == epoch and far_behind) or came_back

    def _note_late(self, frame: RadarFrame) -> None:
        follows = self._late == (frame.epoch, frame.seq - 1)
        self._late_run = self._late_run + 1 if follows and self._late_run else 1
        self._late = (frame.epoch, frame.seq)

    def _give_up_first_gap(self) -> list[Arrival]:
        self._expected = min(self._waiting)
        return self._contiguous()

    def _contiguous(self) -> list[Arrival]:
        frames = []
        while self._expected in self._waiting:
            frames.append(self._waiting.pop(self._expected))
            self._expected += 1
        return frames
