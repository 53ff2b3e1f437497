"""What the daemon does about what its learner and its model loader say. I/O thread only."""

import time
from pathlib import Path
from typing import Any

import structlog

from rvsense.daemon.learner_process import LearnerProcess
from rvsense.daemon.models import Outcome
from rvsense.daemon.parts import Parts
from rvsense.link import LinkError

LEVELS = ("debug", "info", "warning", "error")


class LearnerEvents:
    """Passes pairs on, offers models, swaps what passed, and keeps the books."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = structlog.get_logger()
        self._restarts = 0

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
            metrics.pairs_forwarded(learner.outbox.forwarded)
            for reason, total in learner.outbox.dropped.items():
                metrics.pairs_dropped(reason, total)
        while not self._parts.outcomes.empty():
            self._concluded(self._parts.outcomes.get())

    def _listen(self, learner: LearnerProcess) -> None:
        # A learner that speaks nonsense, one of another version say, must not end serving.
        try:
            for op, values in learner.receive():
                self._said(op, values)
        except (LinkError, KeyError, TypeError, ValueError) as error:
            self._log.error("learner_not_understood", error=str(error) or repr(error))

    def _said(self, op: str, values: dict[str, Any]) -> None:
        metrics = self._parts.metrics
        match op:
            case "ready":
                self._log.info("learner_ready", **values)
                metrics.learner_ready(values["step"])
            case "figures":
                metrics.learner_figures(values)
            case "model":
                self._parts.keeper.offer(Path(values["path"]))
            case "checkpoint":
                metrics.checkpoint(values["ok"], time.time(), values["seconds"])
                if not values["ok"]:
                    self._log.error("checkpoint_failed", error=values["error"])
            case "notice":
                level = values.pop("level")
                event = values.pop("event")
                getattr(self._log, level if level in LEVELS else "info")(event, **values)

    def _concluded(self, outcome: Outcome) -> None:
        parts = self._parts
        if outcome.model is None:
            parts.refused[outcome.reason] += 1
            parts.metrics.model_refused(outcome.reason)
            self._log.error(
                "model_refused",
                model=outcome.path.name,
                reason=outcome.reason,
                detail=outcome.detail,
            )
            return
        parts.inference.swap(outcome.model)
        published = outcome.model.published
        created_ns = published.manifest["created_ns"]
        parts.metrics.model_swapped(published.step, created_ns / 1e9)
        parts.swaps += 1
        head = published.manifest["head"] or {}
        parts.publisher.announce(
            "model",
            {"id": published.id, "step": published.step, "sha256": published.sha256},
        )
        self._log.info(
            "model_swapped",
            model=published.id,
            labels=sum(head.get("labels", {}).values()),
            held_out_accuracy=head.get("accuracy"),
        )
