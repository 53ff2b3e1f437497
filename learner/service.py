"""The learner as the daemon sees it: messages in, messages out. No socket, no poll.

Rules:
- Nothing is taken before `hello`, which sets the mode and starts the count of `taken`.
- Every pair and label is acknowledged, also one that could not be used; that one is counted
  and noticed, and hurts nothing else.
- In lock-step the steps that a pair owes are done before it is acknowledged.
- Models and checkpoints are announced only once they are whole on disk; a disk that fails is
  announced too, and training goes on.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rvsense import atomic, link
from rvsense.errors import FrameError, RvsenseError
from rvsense.learner import memory, publication, schedule
from rvsense.learner.balance import ClassBalanced
from rvsense.learner.figures import Figures
from rvsense.learner.keeping import Keeper
from rvsense.learner.pacing import Pacing
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer

FIGURES_EVERY_S = 1.0
EARLY_MESSAGES = 32
"""Kept for a daemon that has not come yet: the newest notices and checkpoint messages."""
MIN_STEPS_FOR_NEW_LABELS = 10
"""A model is published early when the labels have doubled, but not at every label."""

Send = Callable[[list[Any]], None]
Clock = Callable[[], float]


class TeacherChangedError(RvsenseError):
    """The frozen teacher is not what it was (L1): nothing learned since can be trusted."""


class Service:
    """One learner with its folder `state_dir` (models/ and checkpoints/)."""

    def __init__(
        self, trainer: Trainer, state_dir: Path, send: Send, clock: Clock = time.monotonic
    ) -> None:
        self.trainer = trainer
        self.stopped = False
        self._send, self._clock = send, clock
        self._state_dir = state_dir
        self._models = state_dir / "models"
        self._teacher_sha256 = trainer.teacher.sha256()
        self._figures = Figures()
        self._measured: dict[str, float | None] = {}
        self._pacing: Pacing | None = None
        self._taken = 0
        self._publish_failures = 0
        self._early: deque[list[Any]] = deque(maxlen=EARLY_MESSAGES)
        self._figures_at = clock()
        self._encode_ms: float | None = None
        self._models.mkdir(parents=True, exist_ok=True)
        atomic.remove_leftovers(self._models)
        self._keeper = Keeper(
            trainer, state_dir / "checkpoints", self._teacher_sha256, self._say, clock
        )
        published = self._keeper.restore()
        self._restored = published is not None
        self._published_step, self._published_labels = published or (0, 0)
        self._steps_at_figures = trainer.counters.step

    @property
    def greeted(self) -> bool:
        """Whether a daemon has said hello."""
        return self._pacing is not None

    def handle(self, op: str, values: dict[str, Any], payloads: list[Any]) -> None:
        """Act on one message of the daemon.

        Raises:
            LinkError: for an operation that this version does not know.
        """
        if op == "hello":
            self._hello(lockstep=bool(values["lockstep"]))
        elif op == "stop":
            self.stop()
        elif op not in ("pair", "label", "drain"):
            raise link.LinkError(f"learner link: unknown operation {op!r}")
        elif self._pacing is not None:
            if op == "drain":
                self._drain()
            else:
                self._take(op, values, payloads)

    @property
    def wants_step(self) -> bool:
        """Whether there is training to do now."""
        trainer, counters = self.trainer, self.trainer.counters
        return self._pacing is not None and self._pacing.wants_step(
            ready=trainer.ready, samples=counters.samples, pairs=counters.pairs
        )

    def work(self) -> None:
        """Take a step when one is wanted, and whatever falls due by it."""
        if self._pacing is not None and self.wants_step:
            outcome = self.trainer.train()
            self._pacing.stepped()
            self._figures.take(self.trainer, outcome)
            if not outcome.updated:
                self._notice("warning", "nonfinite_step", step=self.trainer.counters.step)
            if self.trainer.must_roll_back:
                self._keeper.roll_back()
            if self._publication_due():
                self._publish()
        self.tick()

    def tick(self) -> None:
        """Send figures and save a checkpoint when the clock says so."""
        now = self._clock()
        if self._pacing is None:
            self._figures_at = now  # old figures help nobody; `hello` is answered with fresh ones
        elif now - self._figures_at >= FIGURES_EVERY_S:
            self._send_figures(now)
        if self._keeper.is_due(now):
            self._save()

    def seconds_to_tick(self) -> float:
        """How long the caller may sleep when there is nothing to do."""
        return max(0.0, self._figures_at + FIGURES_EVERY_S - self._clock())

    def stop(self) -> None:
        """Checkpoint, unless what is there is not finite, and be done."""
        if self._keeper.worth_saving:
            self._save()
        elif self._keeper.unsaved:
            self._notice("warning", "checkpoint_not_finite", step=self.trainer.counters.step)
        self._send(link.pack("stopped", step=self.trainer.counters.step))
        self.stopped = True

    def _hello(self, *, lockstep: bool) -> None:
        learning = self.trainer.learning
        self._pacing = Pacing(
            lockstep=lockstep,
            steps_per_pair=learning.steps_per_pair,
            max_reuse=learning.max_reuse,
        )
        self._taken = 0
        self._send(
            link.pack(
                "ready",
                step=self.trainer.counters.step,
                pid=os.getpid(),
                teacher_sha256=self._teacher_sha256,
                teacher=self.trainer.teacher.name,
                teacher_weights=self.trainer.teacher.weights,
                preset=self.trainer.preset.name,
                device=self.trainer.device.type,
                restored=self._restored,
            )
        )
        for message in self._early:
            self._send(message)
        self._early.clear()
        self._send_figures(self._clock())

    def _take(self, op: str, values: dict[str, Any], payloads: list[Any]) -> None:
        where = {key: values.get(key) for key in ("site", "epoch", "stamp_ns")}
        try:
            if op == "pair":
                start = self._clock()
                learned = self.trainer.ingest(link.unpack_pair(values, payloads))
                self._encode_ms = 1000 * (self._clock() - start)
                if learned and self._pacing is not None:
                    self._pacing.pair_taken(ready=self.trainer.ready)
            else:
                self.trainer.add_label(link.unpack_label(values, payloads))
        except FrameError as error:
            self._notice("warning", error.reason, detail=error.detail, **where)
        if self._pacing is not None and self._pacing.lockstep:
            while self.wants_step:
                self.work()
        self._taken += 1
        self._send(link.pack("taken", count=self._taken))

    def _drain(self) -> None:
        while self._pacing is not None and self._pacing.lockstep and self.wants_step:
            self.work()
        if self.trainer.counters.step > self._published_step:
            self._publish()
        self._send_figures(self._clock())
        self._send(
            link.pack(
                "drained",
                step=self.trainer.counters.step,
                pairs=self.trainer.counters.pairs,
                weights_sha256=tensors_sha256(self.trainer.encoder.state_dict()),
            )
        )

    def _publication_due(self) -> bool:
        step, every = self.trainer.counters.step, self.trainer.learning.publish_every_steps
        if step >= schedule.next_publication(self._published_step, every):
            return True
        labels = self.trainer.labelled
        patience = self._published_step + MIN_STEPS_FOR_NEW_LABELS
        return (
            step >= patience
            and self._published_step > 0
            and labels >= max(2 * self._published_labels, 2)
        )

    def _publish(self) -> None:
        trainer = self.trainer
        if trainer.teacher.sha256() != self._teacher_sha256:
            raise TeacherChangedError("the teacher has changed while learning")
        if not trainer.finite:
            self._notice("error", "weights_not_finite", step=trainer.counters.step)
            return
        try:
            model, self._measured = publication.publish(
                trainer,
                self._models,
                teacher_sha256=self._teacher_sha256,
                figures=self._figures.values(),
            )
            publication.prune(self._state_dir, trainer.learning.models_kept, model.id)
            self._send(link.pack("model", id=model.id, step=model.step, path=str(model.path)))
        except OSError as error:
            self._publish_failures += 1
            self._notice("error", "publish_failed", detail=str(error))
        self._published_step = trainer.counters.step
        self._published_labels = trainer.labelled

    def _save(self) -> None:
        self._keeper.save((self._published_step, self._published_labels))

    def _send_figures(self, now: float) -> None:
        trainer, counters = self.trainer, self.trainer.counters
        seconds = max(now - self._figures_at, 1e-9)
        steps = counters.step - self._steps_at_figures
        self._figures_at, self._steps_at_figures = now, counters.step
        values: dict[str, Any] = {
            **asdict(counters),
            "checkpoint_failures": self._keeper.failures,
            "publish_failures": self._publish_failures,
            **self._figures.values(),
            **self._measured,
            "pool": trainer.pool.fill,
            "pool_capacity": trainer.pool.capacity,
            "ring": trainer.ring.fill,
            "queue": trainer.queue.fill,
            "queue_capacity": trainer.queue.size,
            "labels": len(trainer.labels),
            "pseudo_labels": len(trainer.pseudo),
            **_collated(trainer),
            "learning_rate": trainer.learning_rate,
            "steps_per_s": steps / seconds,
            "encode_ms": self._encode_ms,
            "rss_bytes": memory.resident_bytes(),
            "device_bytes": memory.device_bytes(trainer.device),
            "published_step": self._published_step,
            "teacher_weights": trainer.teacher.weights,
        }
        self._send(link.pack("figures", **values))

    def _notice(self, level: str, event: str, **values: Any) -> None:
        self._say(link.pack("notice", level=level, event=event, **values))

    def _say(self, message: list[Any]) -> None:
        """Send, or keep until a daemon has said hello."""
        if self._pacing is None:
            self._early.append(message)
        else:
            self._send(message)


def _collated(trainer: Trainer) -> dict[str, Any]:
    """What the detector has looked at and left out, how long a look takes, what the pool holds."""
    if trainer.collation is None:
        return {}
    values: dict[str, Any] = {
        **trainer.collation.counts,
        "detector_ms": trainer.collation.detector.ms,
    }
    if isinstance(trainer.policy, ClassBalanced):
        values["pool_scenes"] = trainer.policy.counts(trainer.pool.fill)
    return values
