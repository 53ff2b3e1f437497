"""Decides the frames that can wait no longer, in stamp order.

Theory of operation. Time here is radar time: camera stamps have the offset added. `advance(until)`
promises that no frame before `until` will come any more. Each step looks at the oldest pending
frame of both streams, the heads, and either decides or waits for one certain `until` (`due_ns`):

1. A head with no frame of the other stream within the tolerance is dropped `unmatched`, once
   `until` is past its stamp + tolerance.
2. Heads that are nearer to each other than either is to any other frame are a pair: swapping
   partners cannot make any matching that lacks it cheaper. No later frame can change that.
3. Other heads are contested. Let m be the stamp of a frame, taken in order. Of all undecided frames
   up to m + tolerance the best matching is found (`matching`), given that pairs complete before m
   are settled. If it pairs the frame at m with an earlier one, that pair is final and undecided
   frames before the two are `unmatched`; if not, no pair complete at m will be.
   So a pair is final one tolerance after its later frame, as the bound on the lag demands. The
   result is the cheapest matching over everything wherever no stretch of contested frames is longer
   than that; in a longer one it is the cheapest given what is known in time.
4. Which step comes next, and its outcome, depend on stamps alone. `until` says only how far to go.

While offset or tolerance are unknown (`fit`), the first frames of both streams are held: until each
has `FIRST_FRAMES` from where both have begun, or one falls silent for the idle timeout. A frame
with no other-stream frame within the idle timeout is dropped meanwhile. And when both streams
have run for `LOST_FRAMES` without a pair, the fit is forgotten and learned again.
"""

from bisect import bisect_left, bisect_right

from rvsense.daemon.decisions import Decision, Dropped, Paired
from rvsense.daemon.fit import FIRST_FRAMES, Fit
from rvsense.daemon.lane import FOREVER_NS, NEVER_NS, Lane
from rvsense.daemon.matching import best_pairs

LOST_FRAMES = 32
"""Frames dropped in both streams without a pair between, after which the fit is doubted."""


class Release:
    """The decisions of one site; up to an `until` of `due_ns` there is nothing to `advance`."""

    def __init__(self, radar: Lane, camera: Lane, fit: Fit, idle_ns: int) -> None:
        self._radar = radar
        self._camera = camera
        self._fit = fit
        self._idle_ns = idle_ns
        self.start_era(0)

    def start_era(self, era: int) -> None:
        """Begin afresh with empty lanes."""
        self._era = era
        self._fit.forget()
        self._floor_ns = NEVER_NS
        self._lost = {"radar": 0, "camera": 0}
        self._lost_since_pair = 0
        self.due_ns = NEVER_NS

    def advance(self, until_ns: int, out: list[Decision]) -> bool:
        """Append to `out` decisions that frames at or after `until_ns` cannot change.

        True when it stopped because the fit moved: `until_ns`, being in radar time, may be another
        now, so the caller works it out again and goes on. False when all that can be is decided.
        """
        self.due_ns = NEVER_NS
        return self._decide(until_ns, out) if self._fit.ready else self._learn(until_ns, out)

    def _learn(self, until_ns: int, out: list[Decision]) -> bool:
        """Make the first estimate; False while frames it needs may still come."""
        offset_ns = self._fit.offset_ns
        while self._radar.frames or self._camera.frames:
            radar_ns, camera_ns = self._radar.oldest_ns, self._camera.oldest_ns + offset_ns
            first_ns = self.due_ns = min(radar_ns, camera_ns)
            if max(radar_ns, camera_ns) <= first_ns + self._idle_ns:
                self.due_ns = max(radar_ns, camera_ns)  # the stretch begins here
                break
            if until_ns <= first_ns + self._idle_ns:
                return False
            lane = self._radar if radar_ns < camera_ns else self._camera
            self._unmatched(lane, lane.head, lane.head + 1, out)
            lane.begin_at(lane.head + 1)
        else:
            return False
        end_ns = self._first_stretch_end()
        return until_ns > end_ns and self._learn_up_to(end_ns)

    def learn_now(self) -> bool:
        """Make the first estimate from what is pending, if it is still to be made and can be."""
        if self._fit.ready or not self._radar.frames or not self._camera.frames:
            return False
        return self._learn_up_to(FOREVER_NS)

    def _learn_up_to(self, end_ns: int) -> bool:
        self._floor_ns = NEVER_NS
        self._fit.learn(
            self._radar.stamps_to(end_ns), self._camera.stamps_to(end_ns - self._fit.offset_ns)
        )
        return True

    def _first_stretch_end(self) -> int:
        """Stamp of the last frame the first estimate uses, if no more frames come before it."""
        offset_ns = self._fit.offset_ns
        start_ns = max(self._radar.oldest_ns, self._camera.oldest_ns + offset_ns)
        ends = []
        silences = []
        for lane, shift_ns in ((self._radar, 0), (self._camera, offset_ns)):
            at = bisect_left(lane.stamps, start_ns - shift_ns, lane.head)
            last = lane.stamps[max(at - 1, lane.head)]
            for stamp in lane.stamps[at : at + FIRST_FRAMES]:
                if stamp - last > self._idle_ns:
                    break
                last = stamp
            else:
                if len(lane.stamps) >= at + FIRST_FRAMES:
                    ends.append(last + shift_ns)
                    continue
            silences.append(last + shift_ns + self._idle_ns)
        return min(silences) if silences else max(ends)

    def _decide(self, until_ns: int, out: list[Decision]) -> bool:
        """Decide heads until one must wait; True when the fit moved or was doubted first."""
        radar, camera, fit = self._radar, self._camera, self._fit
        radar_stamps, camera_stamps = radar.stamps, camera.stamps
        offset_ns, tolerance_ns = fit.offset_ns, fit.tolerance_ns
        radar_count, camera_count = len(radar_stamps), len(camera_stamps)
        moved = False
        i, j = radar.head, camera.head
        while i < radar_count and j < camera_count:
            radar_ns, camera_ns = radar_stamps[i], camera_stamps[j] + offset_ns
            # Only the later head can have a rival for it: the next frame of the first head's
            # stream. What follows the later head in its own stream is farther from the first.
            if radar_ns >= camera_ns:
                apart_ns = radar_ns - camera_ns
                sure_ns = radar_ns + apart_ns
                rival_ns = camera_stamps[j + 1] + offset_ns if j + 1 < camera_count else FOREVER_NS
            else:
                apart_ns = camera_ns - radar_ns
                sure_ns = camera_ns + apart_ns
                rival_ns = radar_stamps[i + 1] if i + 1 < radar_count else FOREVER_NS

            if apart_ns > tolerance_ns:
                a, b = (i, j + 1) if radar_ns > camera_ns else (i + 1, j)
                wait_ns, paired = min(radar_ns, camera_ns) + tolerance_ns, False
            elif rival_ns > sure_ns and sure_ns - apart_ns >= self._floor_ns:
                a, b, wait_ns, paired = i, j, sure_ns, True
            else:
                a, b, wait_ns, paired = self._contest(i, j, until_ns)
            if until_ns <= wait_ns:
                self.due_ns = wait_ns
                break

            if a != i or b != j:
                self._unmatched(radar, i, a, out)
                self._unmatched(camera, j, b, out)
                i, j = a, b
            if paired:
                moved = self._pair(radar_stamps[i], camera_stamps[j], out)
                i, j = i + 1, j + 1
            else:
                moved = fit.adaptive and self._doubts()
            if moved:
                break
        else:
            i = self._alone(radar, i, until_ns, out)
            j = self._alone(camera, j, until_ns - offset_ns, out)
        radar.begin_at(i)
        camera.begin_at(j)
        return moved

    def _contest(self, i: int, j: int, until_ns: int) -> tuple[int, int, int, bool]:
        """Rule 3 for the heads i and j: (new heads, the `until` to be past, whether they pair)."""
        radar_stamps, camera_stamps = self._radar.stamps, self._camera.stamps
        offset_ns, tolerance_ns = self._fit.offset_ns, self._fit.tolerance_ns
        radar_ns, camera_ns = radar_stamps[i], camera_stamps[j] + offset_ns
        first_ends_ns = min(radar_ns, camera_ns) + tolerance_ns
        later_ns = max(radar_ns, camera_ns)
        while True:
            if later_ns < self._floor_ns:
                later_ns = self._next_stamp(i, j)
            if later_ns > first_ends_ns:  # no frame is left that could complete the first head
                next_i, next_j = (i + 1, j) if radar_ns <= camera_ns else (i, j + 1)
                return next_i, next_j, first_ends_ns, False
            known_ns = later_ns + tolerance_ns
            if until_ns <= known_ns:
                return i, j, known_ns, False
            radar = radar_stamps[i : bisect_right(radar_stamps, known_ns, i)]
            end = bisect_right(camera_stamps, known_ns - offset_ns, j)
            camera = [stamp + offset_ns for stamp in camera_stamps[j:end]]
            for a, b in best_pairs(radar, camera, tolerance_ns, later_ns):
                if max(radar[a], camera[b]) == later_ns:
                    return i + a, j + b, known_ns, True
            self._floor_ns = later_ns + 1

    def _next_stamp(self, i: int, j: int) -> int:
        """Stamp of the first frame after the heads that is not before the floor."""
        offset_ns = self._fit.offset_ns
        radar, camera = self._radar.stamps, self._camera.stamps
        a = bisect_left(radar, self._floor_ns, i)
        b = bisect_left(camera, self._floor_ns - offset_ns, j)
        return min(
            radar[a] if a < len(radar) else FOREVER_NS,
            camera[b] + offset_ns if b < len(camera) else FOREVER_NS,
        )

    def _pair(self, radar_ns: int, camera_ns: int, out: list[Decision]) -> bool:
        """Decide that the frames of these two stamps are a pair; True if the fit moved."""
        radar, camera = self._radar.take(radar_ns), self._camera.take(camera_ns)
        skew_ns = radar_ns - camera_ns
        out.append(Paired(radar, camera, skew_ns, self._fit.offset_ns, self._era))
        self._radar.paired += 1
        self._camera.paired += 1
        if not self._fit.adaptive or not self._fit.note(radar_ns, skew_ns):
            return False
        self._floor_ns = NEVER_NS
        return True

    def _alone(self, lane: Lane, start: int, until_ns: int, out: list[Decision]) -> int:
        """Drop what can find no partner while the other stream has nothing pending; new head."""
        end = bisect_left(lane.stamps, until_ns - self._fit.tolerance_ns, start)
        self._unmatched(lane, start, end, out)
        return end

    def _unmatched(self, lane: Lane, start: int, end: int, out: list[Decision]) -> None:
        """Decide frames start to end of a lane."""
        for stamp_ns in lane.stamps[start:end]:
            out.append(Dropped(lane.take(stamp_ns), "unmatched"))
        lane.dropped["unmatched"] += end - start
        if self._lost_since_pair != lane.paired:  # of frames lost in a row only
            self._lost_since_pair = lane.paired
            self._lost = {"radar": 0, "camera": 0}
        self._lost[lane.stream] += end - start

    def _doubts(self) -> bool:
        """Forget the fit if both streams have run too long without a pair; whether it did."""
        if min(self._lost.values()) < LOST_FRAMES:
            return False
        self._fit.forget()
        self._lost = {"radar": 0, "camera": 0}
        return True
