"""What the daemon does about what its learner, its model loader and what fetches models say.

I/O thread only.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from rvsense.daemon.conclusions import Conclusions
from rvsense.daemon.hearsay import details, words
from rvsense.daemon.landing import Landing
from rvsense.daemon.learner_process import LearnerProcess
from rvsense.daemon.parts import Parts
from rvsense.link import MALFORMED, LinkError
from rvsense.logs import RepeatLimiter

LEVELS = ("debug", "info", "warning", "error")
MOST_NOTICES = 60
"""Of a learner that are logged in a minute."""


class LearnerEvents:
    """Passes pairs on, offers models, swaps what passed, and keeps the books."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = structlog.get_logger()
        self._conclusions = Conclusions(parts)
        self._restarts = 0
        self._notices = RepeatLimiter(first=MOST_NOTICES)

    def turn(self, now: float) -> None:
        """Deal with everything that has been said since the last turn."""
        learner, metrics = self._parts.learner, self._parts.metrics
        if learner is not None:
            self._listen(learner)  # first: the last words of one that has ended still count
            learner.pump(now)
            if learner.state.restarts > self._restarts:
                self._restarts = learner.state.restarts
                metrics.learner_restarted()
            metrics.learner_up(learner.state.up)
            metrics.learner_cuts(learner.state.cuts)
            metrics.pairs_forwarded(learner.outbox.forwarded)
            for reason, total in learner.outbox.dropped.items():
                metrics.pairs_dropped(reason, total)
            for reason, total in learner.outbox.labels_dropped.items():
                metrics.labels_dropped(reason, total)
        if learner is not None and self._parts.landing is not None:
            self._fetch(learner, self._parts.landing)
        while not self._parts.outcomes.empty():
            self._conclusions.act(self._parts.outcomes.get())

    def _listen(self, learner: LearnerProcess) -> None:
        # A learner that speaks nonsense, one of another version say, must not end serving.
        for op, values, payloads in learner.receive():
            try:
                self._said(op, values, payloads)
            except (LinkError, *MALFORMED) as error:
                self._log.error("learner_not_understood", error=words(str(error) or repr(error)))

    def _fetch(self, learner: LearnerProcess, landing: Landing) -> None:
        while not landing.asks.empty():
            ask = landing.asks.get()
            learner.fetch(ask.id, ask.name, ask.offset)
        while not landing.fetched.empty():
            fetched = landing.fetched.get()
            self._parts.metrics.model_fetched(fetched.outcome, fetched.size_bytes)
            level = "info" if fetched.outcome == "landed" else "error"
            getattr(self._log, level)("model_fetched", **asdict(fetched))

    def _said(self, op: str, values: dict[str, Any], payloads: list[Any]) -> None:
        metrics, landing = self._parts.metrics, self._parts.landing
        match op:
            case "ready":
                self._log.info("learner_ready", **details(values))
                metrics.learner_ready(values["step"])
                self._compare_label_source(values)
                if landing is not None:
                    landing.linked()
            case "figures":
                metrics.learner_figures(values)
            case "model" if landing is not None:
                landing.offer(values)
            case "model":
                self._parts.keeper.offer(Path(values["path"]))
            case "chunk" if landing is not None:
                landing.chunk(values, payloads[0])
            case "gone" if landing is not None:
                landing.gone(values["id"])
            case "checkpoint":
                metrics.checkpoint(values["ok"], time.time(), values["seconds"])
                if not values["ok"]:
                    self._log.error("checkpoint_failed", error=words(values["error"]))
            case "notice":
                self._notice(values["level"], words(values["event"]), values)

    def _notice(self, level: str, event: str, values: dict[str, Any]) -> None:
        """Log what the learner has to say: whatever it calls it, so much a minute."""
        now_s = time.monotonic()
        for _, count in self._notices.summaries(now_s):
            self._log.warning("learner_notices", not_logged=count)
        if self._notices.admit("notice", now_s):
            known = level if level in LEVELS else "info"
            getattr(self._log, known)(event, **details(values))

    def _compare_label_source(self, ready: dict[str, Any]) -> None:
        """A replay's annotations teach or only measure by our setting; the learner has its own."""
        ours = self._parts.config.learning.label_source
        if self._parts.config.replay.path and ready.get("label_source", ours) != ours:
            self._log.warning(
                "label_source_differs",
                learner=ready["label_source"],
                replay=ours,
                remedy=f"start this daemon with --label-source {ready['label_source']}",
            )
