"""The learner as its daemons see it: messages in, messages out. No socket, no poll.

Rules:
- Nothing is taken before `hello`, which sets the mode and starts the count of `taken`; who is
  not known is told so. Who is served, and who must be alone, is decided in `peers`.
- A message out of form is counted, and its sender alone is told, within bounds (`complaints`).
- Every pair and label is acknowledged, also one that could not be used; that one is counted,
  its sender is told, and it hurts nothing else.
- `stop` is obeyed from the daemon that owns the learner; one that serves many is nobody's.
- In lock-step the steps that a pair owes are done before it is acknowledged.
- Models and checkpoints are announced only once they are whole on disk; a disk that fails, and
  memory that is too short for them, are announced too, and training goes on.
- What memory is too short for is left undone and said; when that goes on, we end, and whoever
  started us starts another.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rvsense import atomic, current, link, parcel, published
from rvsense.errors import FrameError, ModelError, RvsenseError
from rvsense.learner import complaints, publication, schedule, trimming
from rvsense.learner.complaints import Complaints
from rvsense.learner.fetching import Fetching
from rvsense.learner.figures import figures_of
from rvsense.learner.keeping import Keeper
from rvsense.learner.offering import newest_offer, offer
from rvsense.learner.pacing import Pacing
from rvsense.learner.peers import Peers, RefusedError, Send
from rvsense.learner.shortage import ShortageError, within_memory
from rvsense.learner.stepping import Stepping
from rvsense.learner.teacher import tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.wire import short

FIGURES_EVERY_S = 1.0
EARLY_MESSAGES = 32
"""Kept for a daemon that has not come yet: the newest notices and checkpoint messages."""
MOST_NAMES = 8
"""Of daemons in one notice."""
MOST_LET_GO = 32
"""Pairs and labels in a row that memory is too short for: what holds it are we, or it is gone."""

Clock = Callable[[], float]


class TeacherChangedError(RvsenseError):
    """The frozen teacher is not what it was (L1): nothing learned since can be trusted."""


class Service:
    """One learner with its folder `state_dir` (models/ and checkpoints/).

    `owned`: by the daemon that started it, which may stop it by a message.
    `hurried`: whether a stop has come that somebody waits for: no model is finished then.
    """

    def __init__(
        self,
        trainer: Trainer,
        state_dir: Path,
        send: Send,
        clock: Clock = time.monotonic,
        *,
        owned: bool = False,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self.trainer = trainer
        self.stopped = False
        self.peers = Peers(send)
        self._clock = clock
        self._owned, self._hurried = owned, hurried
        self._complaints = Complaints()
        self._fetching = Fetching()
        self._state_dir = state_dir
        self._models = state_dir / "models"
        self._teacher_sha256 = trainer.teacher.sha256()
        self._stepping = Stepping(trainer, self._notice)
        self._measured: dict[str, float | None] = {}
        self._pacing: Pacing | None = None
        self._out_of_form = self._let_go = 0
        self._publish_failures = 0
        self._early: deque[list[Any]] = deque(maxlen=EARLY_MESSAGES)
        self._figures_at = clock()
        self._steps_per_s = 0.0
        self._encode_ms: float | None = None
        atomic.remove_leftovers(self._models)
        self._keeper = Keeper(
            trainer, state_dir / "checkpoints", self._teacher_sha256, self._say, clock
        )
        published = self._keeper.restore()
        self._restored = published is not None
        self._published_step, self._published_labels = published or (0, 0)
        self._steps_at_figures = trainer.counters.step

    def hear(self, identity: bytes, parts: list[Any]) -> None:
        """Act on one message of a daemon; `identity` is that of its connection."""
        try:
            self.handle(identity, *link.unpack(parts))
        except link.LinkError as error:
            self._out_of_form += 1
            self._complain(identity, "error", "message_out_of_form", str(error))

    def handle(self, identity: bytes, op: str, values: dict[str, Any], payloads: list[Any]) -> None:
        """Act on one operation.

        Raises:
            LinkError: for one that this version does not know, or that is out of form.
        """
        if op == "hello":
            self._hello(identity, values)
        elif op not in ("pair", "label", "drain", "fetch", "stop"):
            raise link.LinkError(f"learner link: unknown operation {short(op)}")
        elif identity not in self.peers:
            self.peers.tell(identity, link.pack("stranger"))
        elif op == "stop":
            self._stop_for_owner()
        elif op == "drain":
            self._drain(identity)
        elif op == "fetch":
            self._fetch(identity, values)
        else:
            self._take(identity, op, values, payloads)

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
            try:
                self._stepping.step()
            except ShortageError as error:
                self._give_up(f"also with {self.trainer.batch_size.now} pairs a step", error)
            self._pacing.stepped()
            if self.trainer.must_roll_back:
                self._keeper.roll_back()
            if self._publication_due():
                self._publish()
        self.tick()

    def _give_up(self, what: str, why: ShortageError) -> None:
        """End with what is new on disk; whoever starts us again waits ever longer."""
        self.trainer.batch_size.failures = 0
        with suppress(ShortageError):
            within_memory(self._save_what_is_new)
        self._send_figures()
        raise ShortageError(
            f"out of memory, {what} ({why}); give the machine more, or take less: "
            "learning.pool_pairs, learning.queue, preset edge"
        )

    def tick(self) -> None:
        """Send figures and save a checkpoint when the clock says so."""
        now = self._clock()
        if now - self._figures_at >= FIGURES_EVERY_S:
            self._measure_rate(now)
            self._send_figures()
        if self._keeper.is_due(now):
            self._save()

    def seconds_to_tick(self) -> float:
        """How long the caller may sleep when there is nothing to do."""
        return max(0.0, self._figures_at + FIGURES_EVERY_S - self._clock())

    def stop(self) -> None:
        """Checkpoint, unless what is there is not finite, and be done."""
        self._save_what_is_new()
        self.peers.tell_all(link.pack("stopped", step=self.trainer.counters.step))
        self.stopped = True

    def _save_what_is_new(self) -> None:
        if self._keeper.worth_saving:
            self._save()
        elif self._keeper.unsaved:
            self._notice("warning", "checkpoint_not_finite", step=self.trainer.counters.step)

    def _hello(self, identity: bytes, values: dict[str, Any]) -> None:
        self._send_figures()  # who is not there any more is found out by it
        try:
            peer = self.peers.greet(identity, values)
        except RefusedError as error:
            if self._complaints.may(None, "daemon_refused", self._clock()) is not None:
                self._notice("warning", "daemon_refused", detail=complaints.brief(str(error)))
            self.peers.tell(identity, link.pack("refused", reason=str(error)))
            return
        except link.MALFORMED as error:
            raise link.LinkError(f"learner link: a hello out of form ({error!r})") from None
        learning = self.trainer.learning
        if self._pacing is None or peer.lockstep or self._pacing.lockstep:
            self._pacing = Pacing(
                lockstep=peer.lockstep,
                steps_per_pair=learning.steps_per_pair,
                max_reuse=learning.max_reuse,
            )
        self.peers.tell(
            identity,
            link.pack(
                "ready",
                step=self.trainer.counters.step,
                pid=os.getpid(),
                teacher_sha256=self._teacher_sha256,
                teacher=self.trainer.teacher.name,
                teacher_weights=self.trainer.teacher.weights,
                preset=self.trainer.preset.name,
                device=self.trainer.device.type,
                precision=self.trainer.learning.precision,
                restored=self._restored,
                label_source=learning.label_source,
                collate=learning.collate,
                daemons=len(self.peers),
            ),
        )
        for message in self._early:
            self.peers.tell(identity, message)
        self._early.clear()
        self._send_figures()
        if values.get("fetch"):
            self._offer_newest(identity)

    def _take(self, identity: bytes, op: str, values: dict[str, Any], payloads: list[Any]) -> None:
        where = complaints.place_of(values)
        try:
            if op == "pair":
                self._learn(identity, link.unpack_pair(values, payloads))
            else:
                self.trainer.add_label(link.unpack_label(values, payloads))
        except FrameError as error:
            self._out_of_form += error.reason != "bad_image"  # which has a count of its own
            self._complain(identity, "warning", error.reason, error.detail, **where)
        except link.LinkError as error:
            self._out_of_form += 1
            self._complain(identity, "error", "message_out_of_form", str(error), **where)
        except ShortageError as error:
            self._complain(identity, "warning", "out_of_memory", str(error), during=op, **where)
            self._let_go += 1
            if self._let_go >= MOST_LET_GO:
                self._give_up(f"also for each of {self._let_go} pairs and labels in a row", error)
        else:
            self._let_go = 0
        if self._pacing is not None and self._pacing.lockstep:
            while self.wants_step:
                self.work()
        # A daemon may have gone in the meantime.
        if identity in self.peers:
            self.peers.tell(identity, link.pack("taken", count=self.peers.take(identity)))

    def _learn(self, identity: bytes, pair: link.Pair) -> None:
        if others := self.peers.sends(identity, pair.site):
            names = [self.peers.name(identity), *others[:MOST_NAMES]]
            if self._complaints.may(None, "site_sent_twice", self._clock()) is not None:
                self._notice("warning", "site_sent_twice", site=pair.site, daemons=names)
        start = self._clock()
        learned = self.trainer.ingest(pair)
        self._encode_ms = 1000 * (self._clock() - start)
        if learned and self._pacing is not None:
            self._pacing.pair_taken(ready=self.trainer.ready)

    def _drain(self, identity: bytes) -> None:
        while self._pacing is not None and self._pacing.lockstep and self.wants_step:
            self.work()
        if self.trainer.counters.step > self._published_step:
            self._publish()
        self._send_figures()
        self.peers.tell(
            identity,
            link.pack(
                "drained",
                step=self.trainer.counters.step,
                pairs=self.trainer.counters.pairs,
                weights_sha256=tensors_sha256(self.trainer.encoder.state_dict()),
            ),
        )

    def _fetch(self, identity: bytes, values: dict[str, Any]) -> None:
        try:
            id, name, offset = str(values["id"]), str(values["name"]), int(values["offset"])
        except link.MALFORMED as error:
            raise link.LinkError(f"learner link: a fetch out of form ({error!r})") from None
        try:
            data = parcel.read_chunk(self._models, id, name, offset)
        except ModelError:
            self.peers.tell(identity, link.pack("gone", id=id))
            return
        self._fetching.note(self.peers.life(identity), id, self._clock())
        self.peers.tell(identity, link.pack("chunk", [data], id=id, name=name, offset=offset))

    def _offer_newest(self, identity: bytes) -> None:
        try:
            message = newest_offer(self._models)
        except OSError as error:
            self._notice("error", "publish_failed", detail=str(error))
            return
        if message is not None:
            self.peers.tell(identity, message)

    def _publication_due(self) -> bool:
        trainer, published = self.trainer, (self._published_step, self._published_labels)
        every = trainer.learning.publish_every_steps
        return schedule.publication_due(trainer.counters.step, trainer.labelled, published, every)

    def _publish(self) -> None:
        trainer = self.trainer
        if trainer.teacher.sha256() != self._teacher_sha256:
            raise TeacherChangedError("the teacher has changed while learning")
        if not trainer.finite:
            self._notice("error", "weights_not_finite", step=trainer.counters.step)
            return
        try:
            model, self._measured = within_memory(self._write_model)
            self.peers.tell_all(offer(model))
            fetched = self._fetching.spared(self._clock())
            current.prune(self._state_dir, trainer.learning.models_kept, model.id, *fetched)
        except publication.GivenUpError as error:
            self._notice("info", "publication_given_up", detail=str(error))
            return
        except (OSError, ModelError, ShortageError, publication.NotFiniteError) as error:
            self._publish_failures += 1
            self._notice("error", "publish_failed", detail=str(error))
        self._published_step = trainer.counters.step
        self._published_labels = trainer.labelled
        trimming.give_back()

    def _write_model(self) -> tuple[published.PublishedModel, dict[str, float | None]]:
        return publication.publish(
            self.trainer,
            self._models,
            teacher_sha256=self._teacher_sha256,
            figures=self._stepping.figures.values(),
            hurried=self._hurried,
        )

    def _save(self) -> None:
        self._keeper.save((self._published_step, self._published_labels))

    def _measure_rate(self, now: float) -> None:
        step = self.trainer.counters.step
        self._steps_per_s = (step - self._steps_at_figures) / (now - self._figures_at)
        self._figures_at, self._steps_at_figures = now, step

    def _send_figures(self) -> None:
        trainer, counters = self.trainer, self.trainer.counters
        values: dict[str, Any] = {
            **asdict(counters),
            "checkpoint_failures": self._keeper.failures,
            "checkpoints_refused": self._keeper.refused,
            "publish_failures": self._publish_failures,
            **self._stepping.figures.values(),
            **self._measured,
            **figures_of(trainer),
            "steps_per_s": self._steps_per_s,
            "encode_ms": self._encode_ms,
            "published_step": self._published_step,
            "daemons": len(self.peers),
            "daemons_gone": self.peers.gone,
            "site_clashes": self.peers.clashes,
            "out_of_form": self._out_of_form,
        }
        self.peers.tell_all(link.pack("figures", **values))

    def _stop_for_owner(self) -> None:
        if not self._owned:
            raise link.LinkError("learner link: this learner serves many; a signal stops it")
        self.stop()

    def _complain(self, identity: bytes, level: str, event: str, detail: str, **where: Any) -> None:
        """Tell the sender what was wrong with its message; all strangers count as one."""
        known = identity in self.peers
        left_out = self._complaints.may(identity if known else None, event, self._clock())
        if left_out is None:
            return
        detail = complaints.brief(detail)
        if known:
            words: dict[str, Any] = {"event": event, "detail": detail, "left_out": left_out} | where
            self.peers.tell(identity, link.pack("notice", level=level, **words))
        else:  # of another version: it should know why
            self.peers.tell(identity, link.pack("refused", reason=detail))

    def _notice(self, level: str, event: str, **values: Any) -> None:
        self._say(link.pack("notice", level=level, event=event, **values))

    def _say(self, message: list[Any]) -> None:
        """Tell every daemon, or keep it until one has said hello."""
        if not self.peers:
            self._early.append(message)
        self.peers.tell_all(message)
