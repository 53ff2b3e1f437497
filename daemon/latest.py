"""What was last seen of each site: its newest answer with the frame it is about, and its rates.

Only references are kept, and nothing is computed until somebody asks. The I/O thread writes;
any thread may read.
"""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rvsense.daemon.tally import median_and_p99
from rvsense.frames import AnyFrame, CameraFrame, RadarFrame
from rvsense.results import Result

RATE_OVER_S = 5
RECENT_EVERY_S = 0.25
RECENT = 264
"""A minute of answers; a screen has not many more columns."""
SKEWS = 256
MARGIN_S = 0.02
"""Answers at 30 Hz do not fall on quarters of a second: one a little early is taken."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer as it went out, and the radar frame it is about."""

    result: Result
    frame: RadarFrame


@dataclass(slots=True)
class SiteLatest:
    """One site. Stamps called `_s` are of the monotonic clock."""

    seen: Seen | None = None
    image: CameraFrame | None = None
    heard_s: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: {"radar": 0, "camera": 0, "answers": 0})
    recent: deque[Result] = field(default_factory=lambda: deque(maxlen=RECENT))
    recent_s: float = -math.inf
    skew_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SKEWS))
    _marks: deque[tuple[float, dict[str, int]]] = field(
        default_factory=lambda: deque(maxlen=RATE_OVER_S + 1)
    )

    def mark(self, now_s: float) -> None:
        """Note the counts, once a second; what was counted since the oldest note is the rate."""
        self._marks.append((now_s, dict(self.counts)))

    def rate_hz(self, what: str) -> float | None:
        """Of `radar`, `camera` or `answers` over the last seconds; None before two notes."""
        if len(self._marks) < 2:
            return None
        (then_s, then), (now_s, now) = self._marks[0], self._marks[-1]
        return round((now[what] - then[what]) / max(now_s - then_s, 1e-3), 2)

    def as_map(self, now_s: float) -> dict[str, Any]:
        """For `/statusz`, at `now_s`."""
        return {
            "answer": None if self.seen is None else answer_map(self.seen.result),
            "answers_hz": self.rate_hz("answers"),
            "radar_hz": self.rate_hz("radar"),
            "camera_hz": self.rate_hz("camera"),
            "radar_age_s": self._age_s("radar", now_s),
            "camera_age_s": self._age_s("camera", now_s),
            **median_and_p99("skew", self.skew_ms),
        }

    def _age_s(self, kind: str, now_s: float) -> float | None:
        heard_s = self.heard_s.get(kind)
        return None if heard_s is None else round(now_s - heard_s, 1)


class Latest:
    """All sites of a daemon.

    Args:
        keep_images: whether the newest image of each site is kept too.
    """

    def __init__(self, *, keep_images: bool) -> None:
        self.sites: dict[str, SiteLatest] = {}
        self._keep_images = keep_images

    def took(self, frame: AnyFrame) -> None:
        """A valid frame came in."""
        if frame.kind not in ("radar", "camera"):
            return
        site = self._site(frame.site)
        site.counts[frame.kind] += 1
        site.heard_s[frame.kind] = time.monotonic()
        if self._keep_images and isinstance(frame, CameraFrame):
            site.image = frame

    def paired(self, name: str, skew_ms: float) -> None:
        """Two frames of a site met."""
        self._site(name).skew_ms.append(skew_ms)

    def answered(self, result: Result, frame: RadarFrame, now_s: float) -> None:
        """A result went out at `now_s`; its own stamps are of a clock that may be set."""
        site = self._site(result.site)
        site.counts["answers"] += 1
        site.seen = Seen(result, frame)
        if now_s - site.recent_s >= RECENT_EVERY_S - MARGIN_S:
            site.recent.append(result)
            site.recent_s = now_s

    def mark(self, now_s: float) -> None:
        """Once a second, for the rates."""
        for site in self.sites.values():
            site.mark(now_s)

    def as_map(self, now_s: float) -> dict[str, dict[str, Any]]:
        """For `/statusz`: site → answer, rates, ages, skew."""
        return {name: site.as_map(now_s) for name, site in self.sites.items()}

    def _site(self, name: str) -> SiteLatest:
        if name not in self.sites:
            self.sites[name] = SiteLatest()
        return self.sites[name]


def answer_map(result: Result) -> dict[str, Any]:
    """What a person wants to know of a result; `confidence` None without a classifier."""
    probs: Mapping[str, float] = result.probs
    model = result.model
    return {
        "label": result.label,
        "abstain": result.abstain,
        "confidence": max(probs.values()) if probs else None,
        "likeliest": max(probs, key=lambda name: probs[name]) if probs else None,
        "probs": dict(probs),
        "ood_score": result.ood_score,
        "drift": result.drift,
        "model": None if model is None else model.id,
        "step": None if model is None else model.step,
        "seq": result.seq,
        "result_seq": result.result_seq,
        "stamp_ns": result.stamp_ns,
        "published_ns": result.published_ns,
        "latency_ms": round((result.published_ns - result.received_ns) / 1e6, 3),
    }
