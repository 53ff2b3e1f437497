"""One stream of one site inside the pairing core: its pending frames, clock marks and counts.

A lane keeps no rules of its own: who may enter is decided in `pairing`, who leaves in `release`.
"""

from bisect import bisect_left

from rvsense.daemon.decisions import REASONS, Frame, Stream
from rvsense.daemon.ledger import StreamLedger

NEVER_NS = -(1 << 63)
"""Before every stamp."""
FOREVER_NS = 1 << 63
"""After every stamp."""


class Lane:
    """Pending frames in stamp order (two parallel lists) and what is known of the stream's clock.

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
        self.frames: list[Frame] = []
        self.stamps: list[int] = []
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
        at = bisect_left(self.stamps, frame.stamp_ns)
        if at < len(self.stamps) and self.stamps[at] == frame.stamp_ns:
            there = self.frames[at]
            if there.seq <= frame.seq:
                return frame
            self.frames[at] = frame
            self.size_bytes += frame.size_bytes - there.size_bytes
            return there
        self.stamps.insert(at, frame.stamp_ns)
        self.frames.insert(at, frame)
        self.size_bytes += frame.size_bytes
        return None

    def pop_oldest(self) -> Frame:
        """Take the oldest pending frame out."""
        del self.stamps[0]
        frame = self.frames.pop(0)
        self.size_bytes -= frame.size_bytes
        return frame

    def ledger(self) -> StreamLedger:
        """The counts now; pending is the length of the queue itself."""
        return StreamLedger(self.received, self.paired, dict(self.dropped), len(self.frames))
