"""One stream of one site inside the pairing core: its pending frames, clock marks and counts.

A lane keeps no rules of its own: who may enter is decided in `pairing`, who leaves in `release`.
"""

from bisect import bisect_right, insort

from rvsense.daemon.decisions import REASONS, Frame, Stream
from rvsense.daemon.ledger import StreamLedger

NEVER_NS = -(1 << 63)
"""Before every stamp."""
FOREVER_NS = 1 << 63
"""After every stamp."""


class Lane:
    """Pending frames by stamp, their stamps in order, and what is known of the stream's clock.

    head                   where the pending ones begin in `stamps`: what is decided leaves it in
                           bulk, for one by one would cost the length of the queue each time
    newest_ns, newest_seq  the newest frame of this era; before one came, whence silence counts
    closed_ns              frames before this stamp come too late
    regular_ns             a frame after this stamp needs no further look: append it
    joined                 whether the stream has a frame in this era
    left_seq               newest seq from before a clock jump, while stragglers may still come
    """

    __slots__ = (
        "closed_ns",
        "dropped",
        "era_start_ns",
        "frames",
        "head",
        "joined",
        "left_seq",
        "newest_ns",
        "newest_seq",
        "paired",
        "received",
        "regular_ns",
        "size_bytes",
        "stamps",
        "stream",
    )

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.frames: dict[int, Frame] = {}
        self.stamps: list[int] = []
        self.head = 0
        self.size_bytes = 0
        self.received = 0
        self.paired = 0
        self.dropped: dict[str, int] = {reason: 0 for reason in REASONS}  # noqa: C420
        self.start_era(0, None)

    def start_era(self, now_ns: int, left_seq: int | None) -> None:
        """Forget the clock; pending frames must have left. Silence counts from `now_ns`."""
        self.left_seq = left_seq
        self.newest_ns = now_ns
        self.newest_seq = -1
        self.era_start_ns = now_ns
        self.closed_ns = NEVER_NS
        self.regular_ns = FOREVER_NS
        self.joined = False

    def insert(self, frame: Frame) -> Frame | None:
        """Sort a frame in; of two with one stamp the lower seq stays and the other is returned."""
        there = self.frames.get(frame.stamp_ns)
        if there is not None:
            if there.seq <= frame.seq:
                return frame
            self.frames[frame.stamp_ns] = frame
            self.size_bytes += frame.size_bytes - there.size_bytes
            return there
        insort(self.stamps, frame.stamp_ns, self.head)
        self.frames[frame.stamp_ns] = frame
        self.size_bytes += frame.size_bytes
        return None

    @property
    def oldest_ns(self) -> int:
        """Stamp of the oldest pending frame, or after all stamps where there is none."""
        return self.stamps[self.head] if self.frames else FOREVER_NS

    def stamps_to(self, end_ns: int) -> list[int]:
        """Stamps of the pending frames up to `end_ns`, sorted."""
        return self.stamps[self.head : bisect_right(self.stamps, end_ns, self.head)]

    def take(self, stamp_ns: int) -> Frame:
        """Take a pending frame out; `begin_at` is to follow."""
        frame = self.frames.pop(stamp_ns)
        self.size_bytes -= frame.size_bytes
        return frame

    def begin_at(self, head: int) -> None:
        """The frames whose stamps lie before `head` have been taken."""
        if 2 * head > len(self.stamps):
            del self.stamps[:head]
            head = 0
        self.head = head

    def pop_oldest(self) -> Frame:
        """Take the oldest pending frame out."""
        frame = self.take(self.stamps[self.head])
        self.begin_at(self.head + 1)
        return frame

    def ledger(self) -> StreamLedger:
        """The counts now; pending is the length of the queue itself."""
        return StreamLedger(self.received, self.paired, dict(self.dropped), len(self.frames))
