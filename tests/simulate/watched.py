"""Parts of the daemon under watch: of a pairing, every frame ends once, every pair may be one.

Subclasses of the daemon's own classes take their place; they add nothing but the looking.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from rvsense.config import Pairing
from rvsense.daemon.decisions import Decision, Dropped, Frame, Paired
from rvsense.daemon.loop import Loop
from rvsense.daemon.pairing import Pairer
from tests.simulate.checks import BrokenError

MS = 1_000_000
SLACK_S = 0.6
"""Of the bound on the lag: a period of each stream, the latency, and a tick of the loop."""
FIRST_S = 2.4
"""What the first estimate takes: 16 frames at 8 a second, and some of them lost."""
APART_S = 1.0
"""Frames that were taken so far apart are of different scenes: no pair."""


def watched(truth_of: Callable[[Any], Any], *, clocked: bool) -> type[Pairer]:
    """A Pairer that checks itself; `truth_of` finds what a frame really is.

    `clocked`: frames come when they are taken, so pairs must come in time.
    """

    class WatchedPairer(Pairer):
        def __init__(self, settings: Pairing) -> None:
            super().__init__(settings)
            self._settings = settings
            self._open: dict[int, Frame] = {}
            self._last: dict[str, tuple[int, int]] = {}
            self._ticking = False
            self._pushed: list[Frame] = []
            self._pairs: list[tuple[int, int]] = []
            self._newest: dict[str, int] = {}
            self._orderly = True

        def push(self, frame: Frame) -> list[Decision]:
            self._open[id(frame)] = frame
            self._pushed.append(frame)
            newest_ns = max(self._newest.get(frame.stream, frame.stamp_ns), frame.stamp_ns)
            self._newest[frame.stream] = newest_ns
            self._orderly &= newest_ns - frame.stamp_ns <= self._settings.lateness_s * 1e9
            before_ns = self.tolerance_ns or 0
            return self._check(super().push(frame), before_ns, frame.arrival_ns)

        def tick(self, now_ns: int) -> list[Decision]:
            before_ns, self._ticking = self.tolerance_ns or 0, True
            decisions = super().tick(now_ns)
            self._ticking = False
            self._orderly &= not decisions
            return self._check(decisions, before_ns, now_ns)

        def flush(self) -> list[Decision]:
            if self._ticking:
                return super().flush()
            before_ns = self.tolerance_ns or 0
            return self._check(super().flush(), before_ns, None)

        def check_order(self) -> bool:
            """P4, once all is flushed: the same frames in the order of their stamps pair alike.

            True when that could be said: no frame came too late, and the clock decided nothing.
            """
            if not self._orderly or self._open:
                return False
            sober = Pairer(self._settings)
            in_order = sorted(self._pushed, key=lambda frame: frame.stamp_ns)
            decisions = [made for frame in in_order for made in sober.push(frame)]
            decisions += sober.flush()
            pairs = [(p.radar.seq, p.camera.seq) for p in decisions if isinstance(p, Paired)]
            if pairs != self._pairs:
                apart = next(
                    (both for both in zip(pairs, self._pairs, strict=False) if both[0] != both[1]),
                    (len(pairs), len(self._pairs)),
                )
                raise BrokenError("P4", f"in order of stamps the pairs are others: {apart}")
            return True

        def _check(
            self, decisions: list[Decision], before_ns: int, now_ns: int | None
        ) -> list[Decision]:
            for decision in decisions:
                if isinstance(decision, Dropped):
                    self._end(decision.frame)
                    self._orderly &= decision.reason in ("unmatched", "duplicate")
                else:
                    self._pairs.append((decision.radar.seq, decision.camera.seq))
                    self._end(decision.radar)
                    self._end(decision.camera)
                    self._check_pair(decision, before_ns, now_ns)
            ledger = self.ledger()
            pending = ledger.radar.pending + ledger.camera.pending
            if not ledger.balanced() or pending != len(self._open):
                raise BrokenError(
                    "P8", f"{ledger.as_dict()}, and {len(self._open)} frames are undecided"
                )
            most = self._settings.max_pending_frames
            if max(ledger.radar.pending, ledger.camera.pending) > most:
                raise BrokenError("P7", f"{ledger.as_dict()}: more than {most} pending")
            if self.pending_bytes > 2 * self._settings.max_pending_bytes:
                raise BrokenError("P7", f"{self.pending_bytes} bytes pending")
            return decisions

        def _end(self, frame: Frame) -> None:
            if self._open.pop(id(frame), None) is not frame:
                raise BrokenError("P1", f"{frame.stream} {frame.seq} ended twice")

        def _check_pair(self, pair: Paired, before_ns: int, now_ns: int | None) -> None:
            what = f"pair of radar {pair.radar.seq} and camera {pair.camera.seq}"
            tolerance_ns = max(before_ns, self.tolerance_ns or 0)
            if before_ns and abs(pair.skew_ns - pair.offset_ns) > tolerance_ns:
                raise BrokenError("P2", f"{what}: skew {pair.skew_ns}, tolerance {tolerance_ns}")
            for frame in (pair.radar, pair.camera):
                era, stamp_ns = self._last.get(frame.stream, (-1, 0))
                if era == pair.era and frame.stamp_ns <= stamp_ns:
                    raise BrokenError("P3", f"{what}: not after the pair before")
                self._last[frame.stream] = pair.era, frame.stamp_ns
            if pair.radar.epoch != pair.camera.epoch:
                raise BrokenError("P9", f"{what}: across declared epochs")
            radar, camera = truth_of(pair.radar.item), truth_of(pair.camera.item)
            apart_s = abs(radar.taken_ns - camera.taken_ns) / 1e9
            # Held back for as long as an undeclared clock was set by: nothing could tell.
            hidden_s = 0.0 if radar.life == camera.life else _held_s(pair, radar, camera)
            if apart_s - hidden_s > APART_S:
                raise BrokenError("P9", f"{what}: taken {apart_s:.1f} s apart")
            settings = self._settings
            if now_ns is not None and clocked:
                lag_s = (now_ns - max(pair.radar.arrival_ns, pair.camera.arrival_ns)) / 1e9
                # Twice: one stream falls silent, and the other just before that one is given up.
                most_s = settings.lateness_s + tolerance_ns / 1e9 + 2 * settings.idle_timeout_s
                most_s += 0 if before_ns else FIRST_S
                if lag_s > most_s + SLACK_S:
                    raise BrokenError("P6", f"{what}: came out after {lag_s:.2f} s")

    return WatchedPairer


def _held_s(pair: Paired, radar: Any, camera: Any) -> float:
    """For how long the network kept the older of the two, which was taken first."""
    frame, truth = min(
        ((pair.radar, radar), (pair.camera, camera)), key=lambda both: both[1].taken_ns
    )
    return float(frame.arrival_ns - truth.taken_ns) / 1e9


def watched_loop(began: Callable[[Any], None]) -> type[Loop]:
    """A Loop that tells when it was made, and whether it is between two turns."""

    class WatchedLoop(Loop):
        def __init__(self, parts: Any, **options: Any) -> None:
            super().__init__(parts, **options)
            self.parts = parts
            self.turns = 0
            began(self)

        def turn(self, timeout_ms: int = 100) -> None:
            self.turns += 1
            super().turn(timeout_ms)

        @property
        def turning(self) -> bool:
            """Whether it is neither starting nor stopping."""
            return self.turns > 0 and not self.stopping

        @property
        def parked(self) -> bool:
            return bool(self.parts.poller.parked)

    return WatchedLoop


def met(parts: Any) -> Counter[str]:
    """What a daemon has met: drops, refusals and swaps, by reason."""
    seen: Counter[str] = Counter()
    groups = {"answer": parts.tally.dropped, "rejected": parts.tally.rejected}
    groups["model"] = parts.refused
    if parts.learner is not None:
        groups["pair"] = parts.learner.outbox.dropped
    for group, counts in groups.items():
        seen.update({f"{group} {reason}": count for reason, count in counts.items()})
    for site in parts.core.sites.values():
        for stream in (site.pairer.ledger().radar, site.pairer.ledger().camera):
            seen.update({f"pairing {reason}": n for reason, n in stream.dropped.items()})
    seen["model swapped"] += parts.swaps
    return seen
