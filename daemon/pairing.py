"""Pairs radar and camera frames of one site by capture time. No clock, no socket, no thread.

A frame goes in, final decisions come out: `Paired` or `Dropped`, each frame exactly once.

Rules of admission (what is decided of admitted frames, and when, is in `release`):

1. The watermark is the least of (newest stamp - lateness) over the active streams, camera stamps
   taken with the offset. No frame before it is waited for. A stream is idle, and no longer holds up
   the other, when the other is more than the idle timeout ahead of its last frame. Event time
   decides that, so the replay speed does not. A frame older than a watermark that decisions were
   taken by is `late`.
2. `tick` is the only use of the caller's clock: when no frame was admitted for the idle timeout,
   everything pending is decided as if no more would come. Frames on their way then are `late`, so
   a source slower than that loses pairs to it; a caller in lock-step does not call it.
3. A frame of a higher declared epoch ends the era of the site: what is pending is decided, both
   streams start anew, and frames of older epochs are `stale_epoch`.
4. Within an epoch a clock was set back when a frame with a newer seq is older in time than its
   stream's newest by more than the lateness (at least `CLOCK_STEP_NS`). That, too, ends the era.
   A late frame has an old seq and is no jump; a jump ahead needs no rule but 1.
5. After a jump the other stream may still be on the old clock. It joins the new era with its first
   frame within the idle timeout of the jumped stream's newest. For the first idle timeout of the
   era it must also be less than half the jump ahead of where it was before, if it was near enough
   then to tell. Until it joins, its frames are `stale_epoch` and nobody waits for it. Stragglers
   of either stream (seq from before the jump, ahead of the new clock) are `stale_epoch` as long.
6. `RESTART_FRAMES` refusals (late or stale) in a row, with no frame admitted in either stream, are
   a source that started again and did not say so: the era ends with the last of them.
7. A stream beyond its bound of frames or bytes drops its oldest as `overflow`.

Within one era, for frames that arrive no later than the lateness and without overflow or tick, the
decisions are a function of the set of frames. A pair comes out once the watermark passes its later
frame by the tolerance or less; a frame without partner, or the earlier of a pair, waits a tolerance
longer at most. While the offset is unknown the first frames wait for the estimate as well.
"""

from rvsense.config import Pairing
from rvsense.daemon.decisions import Decision, Dropped, Frame, Reason
from rvsense.daemon.era import Eras
from rvsense.daemon.fit import Fit
from rvsense.daemon.lane import FOREVER_NS, NEVER_NS, Lane
from rvsense.daemon.ledger import SiteLedger
from rvsense.daemon.release import Release

NS_PER_S = 1_000_000_000

CLOCK_STEP_NS = 100_000_000
"""A smaller step back is not told from disorder: it costs that long of late frames at most."""

RESTART_FRAMES = 32
"""Refusals in a row that are a restarted source: about half a second of two streams at 30 fps."""


class Pairer:
    """The pairing of one site."""

    def __init__(self, settings: Pairing) -> None:
        self._lateness_ns = round(settings.lateness_s * NS_PER_S)
        self._idle_ns = round(settings.idle_timeout_s * NS_PER_S)
        self._max_frames = settings.max_pending_frames
        self._max_bytes = settings.max_pending_bytes
        self._radar, self._camera = Lane("radar"), Lane("camera")
        self._fit = Fit(_ns(settings.tolerance_s), _ns(settings.offset_s))
        self._release = Release(self._radar, self._camera, self._fit, self._idle_ns)
        self._epoch: int | None = None
        self._eras = Eras()
        self._join_ahead_ns: int | None = None
        self._refused_in_a_row = 0
        self._last_admitted_ns = 0

    @property
    def offset_ns(self) -> int | None:
        """Radar minus camera clock, as set or estimated; None while unknown."""
        return self._fit.offset_ns if self._fit.ready else None

    @property
    def tolerance_ns(self) -> int | None:
        """The tolerance in force; None while unknown."""
        return self._fit.tolerance_ns if self._fit.ready else None

    @property
    def pending_bytes(self) -> int:
        """Bytes held in both streams."""
        return self._radar.size_bytes + self._camera.size_bytes

    def ledger(self) -> SiteLedger:
        """Where every frame so far went."""
        return SiteLedger(self._radar.ledger(), self._camera.ledger())

    def push(self, frame: Frame) -> list[Decision]:
        """Take in one frame; the decisions it allows, in stamp order within the era."""
        stream, seq, stamp_ns, epoch, size_bytes, arrival_ns, _ = frame
        lane = self._radar if stream == "radar" else self._camera
        lane.received += 1
        out: list[Decision] = []
        release = self._release
        if stamp_ns > lane.regular_ns and epoch == self._epoch:
            lane.newest_ns = lane.regular_ns = stamp_ns
            lane.newest_seq = seq
            lane.stamps.append(stamp_ns)
            lane.frames[stamp_ns] = frame
            lane.size_bytes += size_bytes
        elif (  # a little out of order: neither late nor a jump
            lane.newest_ns >= stamp_ns >= lane.newest_ns - self._lateness_ns
            and stamp_ns >= lane.closed_ns
            and lane.joined
            and epoch == self._epoch
        ):
            if self._admit(lane, frame, out):
                return out
        elif self._refuses(lane, frame, out):
            return out
        self._refused_in_a_row = 0
        self._last_admitted_ns = arrival_ns
        if len(lane.frames) > self._max_frames or lane.size_bytes > self._max_bytes:
            self._make_room(lane, out)
        if self._watermark_ns() > release.due_ns:
            self._advance(out)
        return out

    def tick(self, now_ns: int) -> list[Decision]:
        """Decide everything pending when the site has been silent for the idle timeout."""
        pending = self._radar.frames or self._camera.frames
        if not pending or now_ns - self._last_admitted_ns <= self._idle_ns:
            return []
        out = self.flush()
        if not self._fit.firm:  # learned from the few frames there were: once is enough
            self._fit.forget()
        return out

    def flush(self) -> list[Decision]:
        """Decide everything pending: no more frames come, or none that can be waited for."""
        out: list[Decision] = []
        self._release_all(out)
        lanes = (self._radar, self._camera)
        end_ns = max(lane.newest_ns + self._shift_ns(lane) for lane in lanes) + 1
        for lane in lanes:
            self._close(lane, end_ns - self._shift_ns(lane))
        return out

    def _refuses(self, lane: Lane, frame: Frame, out: list[Decision]) -> bool:
        """Admit a frame that needs a second look, or drop it; True when it was dropped."""
        reason = self._why_not(lane, frame, out)
        if reason is None and frame.stamp_ns >= lane.closed_ns:
            return self._admit(lane, frame, out)
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= RESTART_FRAMES:
            self._start_era(frame, None, out)
            return self._admit(lane, frame, out)
        self._drop(lane, frame, reason or "late", out)
        return True

    def _why_not(self, lane: Lane, frame: Frame, out: list[Decision]) -> Reason | None:
        """Rules 3 to 5: start an era where the frame does, and tell frames of one that is over."""
        if self._epoch is None or frame.epoch > self._epoch:
            self._start_era(frame, None, out)
            return None
        if frame.epoch < self._epoch:
            return "stale_epoch"
        ahead_ns = frame.stamp_ns - lane.newest_ns
        if not lane.joined:
            return None if self._may_join(lane, frame) else "stale_epoch"
        if frame.seq > lane.newest_seq and ahead_ns < -max(self._lateness_ns, CLOCK_STEP_NS):
            self._start_era(frame, lane, out)
        elif lane.left_seq is not None and frame.seq <= lane.left_seq and ahead_ns > CLOCK_STEP_NS:
            return "stale_epoch"
        return None

    def _may_join(self, lane: Lane, frame: Frame) -> bool:
        """Rule 5 for the other stream of a jump."""
        if self._join_ahead_ns is None:
            return True
        other = self._other(lane)
        lead_ns = frame.stamp_ns + self._shift_ns(lane) - other.newest_ns - self._shift_ns(other)
        settling = other.newest_ns - other.era_start_ns <= self._idle_ns
        most_ns = min(self._join_ahead_ns, self._idle_ns) if settling else self._idle_ns
        return -self._idle_ns <= lead_ns <= most_ns

    def _admit(self, lane: Lane, frame: Frame, out: list[Decision]) -> bool:
        """Put a frame among the pending ones; True when it is the one dropped as a duplicate."""
        if not lane.joined:
            lane.joined = True
            lane.era_start_ns = lane.newest_ns = frame.stamp_ns
            lane.newest_seq = frame.seq
        elif frame.stamp_ns > lane.newest_ns:
            lane.newest_ns = frame.stamp_ns
            lane.newest_seq = frame.seq
        if lane.newest_ns > lane.era_start_ns + self._idle_ns:
            lane.left_seq = None
        if lane.left_seq is None:
            lane.regular_ns = max(lane.newest_ns, lane.closed_ns)
        if frame.stamp_ns + self._shift_ns(lane) <= self._release.due_ns:
            self._release.due_ns = NEVER_NS
        twin = lane.insert(frame)
        if twin is not None:
            self._drop(lane, twin, "duplicate", out)
        return twin is frame

    def _start_era(self, frame: Frame, jumped: Lane | None, out: list[Decision]) -> None:
        """Decide what is pending and begin again with this frame, the first of a jump or not."""
        self._release_all(out)
        self._join_ahead_ns = None if jumped is None else self._ahead_of_jump(jumped, frame)
        self._epoch = frame.epoch
        self._refused_in_a_row = 0
        self._release.start_era(self._eras.next(frame.epoch))
        for lane in (self._radar, self._camera):
            left_seq = lane.newest_seq if jumped is not None and lane.joined else None
            first = self._radar if frame.stream == "radar" else self._camera
            lane.start_era(frame.stamp_ns + self._shift_ns(first) - self._shift_ns(lane), left_seq)

    def _ahead_of_jump(self, jumped: Lane, frame: Frame) -> int:
        """How far ahead of the new clock the other stream may be, not to be on the old one."""
        other = self._other(jumped)
        lead_ns = other.newest_ns + self._shift_ns(other)
        lead_ns -= jumped.newest_ns + self._shift_ns(jumped)
        half_jump_ns = (jumped.newest_ns - frame.stamp_ns) // 2
        told_apart = other.joined and abs(lead_ns) <= half_jump_ns
        return lead_ns + half_jump_ns if told_apart else self._idle_ns

    def _other(self, lane: Lane) -> Lane:
        return self._camera if lane is self._radar else self._radar

    def _make_room(self, lane: Lane, out: list[Decision]) -> None:
        """Rule 7; frames held for the first estimate are decided by what they tell so far."""
        if self._release.learn_now():
            self._advance(out)
        while len(lane.frames) > self._max_frames or lane.size_bytes > self._max_bytes:
            self._drop(lane, lane.pop_oldest(), "overflow", out)
        self._release.due_ns = NEVER_NS

    def _shift_ns(self, lane: Lane) -> int:
        """What turns this lane's stamps into radar time."""
        return self._fit.offset_ns if lane is self._camera else 0

    @staticmethod
    def _drop(lane: Lane, frame: Frame, reason: Reason, out: list[Decision]) -> None:
        lane.dropped[reason] += 1
        out.append(Dropped(frame, reason))

    def _advance(self, out: list[Decision]) -> None:
        """Decide all that the watermark allows."""
        again = True
        while again:
            watermark_ns = (
                self._watermark_ns()
            )  # the offset may have moved, and with it camera time
            self._close(self._radar, watermark_ns)
            self._close(self._camera, watermark_ns - self._fit.offset_ns)
            again = self._release.advance(watermark_ns, out)

    def _release_all(self, out: list[Decision]) -> None:
        while self._release.advance(FOREVER_NS, out):
            pass

    def _watermark_ns(self) -> int:
        radar, camera = self._radar, self._camera
        slow_ns, fast_ns = radar.newest_ns, camera.newest_ns + self._fit.offset_ns
        if slow_ns > fast_ns:
            slow_ns, fast_ns = fast_ns, slow_ns
        if fast_ns - slow_ns > self._idle_ns:
            return fast_ns - self._lateness_ns
        if radar.joined and camera.joined:
            return slow_ns - self._lateness_ns
        return NEVER_NS  # the other stream may yet begin with any stamp

    @staticmethod
    def _close(lane: Lane, before_ns: int) -> None:
        if before_ns > lane.closed_ns:
            lane.closed_ns = before_ns
            lane.regular_ns = max(lane.regular_ns, before_ns)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * NS_PER_S)
