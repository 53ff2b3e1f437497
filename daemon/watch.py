"""What the daemon shows of itself: health, metrics pages, the live line, systemd's watchdog.

`Watch` is asked from HTTP threads and only reads; `Housekeeping` turns in the I/O thread.
"""

import time
from http import HTTPStatus
from typing import Any

from rvsense.daemon import health
from rvsense.daemon.ending import Phase
from rvsense.daemon.health import Health, LearnerPhase, PlayerPhase, Snapshot
from rvsense.daemon.http_message import Request, Response, Route, json_response
from rvsense.daemon.live import Terminal, live_line
from rvsense.daemon.loop import Loop
from rvsense.daemon.parts import Parts
from rvsense.daemon.status import utc
from rvsense.trust import Record

EVERY_S = 1.0
FOR_EVERYONE = ("/metrics", "/livez", "/readyz")
"""Asked for by programs, under whatever name they know the daemon by; no frame shows in them."""


class Watch:
    """Judges the daemon's health from what its loops leave behind.

    `status` is the newest map for /statusz, for those who look often; None before the first.
    """

    def __init__(self, parts: Parts, loop: Loop) -> None:
        self._parts, self._loop = parts, loop
        self._served_s = time.monotonic()
        self._answered = 0
        self.status: dict[str, Any] | None = None

    def health(self) -> Health:
        """As of now; safe from any thread."""
        return health.examine(self._snapshot(), time.monotonic())

    def routes(self) -> dict[str, Route]:
        """What HTTP answers."""
        return {
            "/metrics": self._metrics,
            "/livez": lambda _: self._verdict("live"),
            "/readyz": lambda _: self._verdict("ready"),
            "/statusz": lambda _: json_response(
                self._loop.ask_status() | {"health": self.health().as_map()}
            ),
        }

    def look(self) -> None:
        """Note progress; from the I/O thread, about once a second."""
        answered = self._parts.tally.answered
        if answered != self._answered or self._loop.waiting == 0:
            self._answered, self._served_s = answered, time.monotonic()

    def _metrics(self, request: Request) -> Response:
        body, content_type = self._parts.metrics.exposition(request.accept)
        return Response(body, content_type)

    def _verdict(self, gate: str) -> Response:
        verdict = self.health().as_map()
        status = HTTPStatus.OK if verdict[gate] else HTTPStatus.SERVICE_UNAVAILABLE
        return json_response(verdict, status)

    def _snapshot(self) -> Snapshot:
        parts, loop = self._parts, self._loop
        learner = parts.learner
        return Snapshot(
            turned_s={"intake": loop.progress_at, "inference": parts.inference.progress_at},
            served_s=self._served_s,
            waiting_frames=parts.inference.waiting,
            has_model=parts.inference.model is not None,
            learner=_learner_phase(parts),
            learner_heard_s=learner.state.heard_at if learner is not None else 0.0,
            learner_note=_learner_note(parts),
            player=_player_phase(loop),
            stopping=loop.stopping,
        )


class Housekeeping:
    """Once a second: gauges, the live line, systemd."""

    def __init__(self, parts: Parts, loop: Loop, watch: Watch, terminal: Terminal) -> None:
        self._parts, self._loop, self._watch = parts, loop, watch
        self._terminal = terminal
        self._next_s = 0.0
        self._watchdog_s = 0.0

    def turn(self, now: float) -> None:
        """Do what is due."""
        if now < self._next_s:
            return
        self._next_s = now + EVERY_S
        self._watch.look()
        self._gauges()
        self._parts.latest.mark(now)
        status = self._loop.status()
        self._parts.history.add(now, time.time(), status)
        self._watch.status = status | {"health": self._watch.health().as_map()}
        self._parts.publisher.announce("status", status)
        line = live_line(status)
        self._terminal.show(line)
        self._parts.notifier.status(line)
        interval_s = self._parts.notifier.watchdog_interval_s
        if interval_s is not None and now >= self._watchdog_s and self._watch.health().live:
            self._watchdog_s = now + interval_s
            self._parts.notifier.watchdog()

    def _gauges(self) -> None:
        parts = self._parts
        parts.metrics.waiting_frames(self._loop.waiting)
        parts.metrics.subscribers(parts.publisher.subscribers)
        for name, site in parts.core.sites.items():
            if site.pairer.offset_ns is not None:
                parts.metrics.clock_offset(name, site.pairer.offset_ns / 1e9)
        score = parts.score.as_map()
        if score["accuracy"] is not None:
            parts.metrics.scored(score["accuracy"], score["scored"])
        model = parts.inference.model
        if model is not None:
            record = parts.score.versions.get(model.published.id, Record())
            parts.metrics.model_scored(record.as_map())
        for name, site_drift in parts.drift.as_map().items():
            parts.metrics.drift(name, site_drift["drift"])


def _learner_phase(parts: Parts) -> LearnerPhase:
    if parts.learner is None:
        return "off"
    if parts.learner.state.up:
        return "up"
    if parts.learner.remote:
        return "refused" if parts.learner.state.refused else "unreachable"
    return "restarting" if parts.learner.state.restarts else "starting"


def _learner_note(parts: Parts) -> str:
    if parts.learner is None or not parts.learner.remote:
        return ""
    state = parts.learner.state
    return state.refused or f"since {utc(state.away_ns)}"


def _player_phase(loop: Loop) -> PlayerPhase:
    if loop.ending is None:
        return "none"
    return "playing" if loop.ending.phase is Phase.PLAYING else "done"
