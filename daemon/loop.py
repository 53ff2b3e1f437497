"""The I/O thread: every socket, one turn after another.

Rules:
1. What came in is answered before anything else is looked at: results first, then intake.
2. Nothing here waits for the learner, a subscriber, a disk or a person.
3. In lock-step, intake is not read while the inference thread or the learner is behind: the
   player waits, and nothing is dropped. Otherwise intake is always read.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any

import structlog
import zmq

from rvsense import wire
from rvsense.daemon.conclusions import have_done
from rvsense.daemon.drift import Drift
from rvsense.daemon.effects import Effect
from rvsense.daemon.ending import Do, Ending, Facts, Phase
from rvsense.daemon.inference import Answered
from rvsense.daemon.label_use import Use, use_of
from rvsense.daemon.learner_events import LearnerEvents
from rvsense.daemon.parts import Parts
from rvsense.daemon.player_process import PlayerError, PlayerProcess
from rvsense.daemon.reload import Reloader
from rvsense.daemon.requests import Requests
from rvsense.daemon.scoring import Given
from rvsense.daemon.status import describe
from rvsense.errors import FrameError
from rvsense.frames import AnyFrame, LabelFrame
from rvsense.inlet import Inlet
from rvsense.logs import RepeatLimiter

BURST = 64
"""Messages taken in before the other sockets get their turn."""

TICK_S = 0.1
STATUS_WITHIN_S = 5.0
LOCKSTEP_WAITING = 2
"""One frame in the works and one behind it keep the network busy; more would only wait."""
CUT_STATUS = 1


class Loop:
    """Turns the crank until told to stop.

    Args:
        exit_at_end: whether the end of the replay is the end of the daemon.
    """

    def __init__(self, parts: Parts, *, exit_at_end: bool) -> None:
        self.stopping = False
        self.exit_status = 0
        self.ending: Ending | None = None
        self.health: Callable[[], dict[str, Any]] | None = None
        self.progress_at = time.monotonic()
        self._parts, self._exit_at_end = parts, exit_at_end
        self._player: PlayerProcess | None = None
        self._learner = LearnerEvents(parts)
        self.reload = Reloader(parts, parts.reload, parts.configure_logs)
        self._requests = Requests(
            parts.requests,
            parts.inference,
            take_label=self._request_label,
            frames=self._frames_at_hand,
            status=self.status,
            reload=self.reload,
            order=partial(have_done, parts),
            record=parts.tap.request,
            ring=parts.bell.ring,
            admit=parts.doors.admits("requests"),
        )
        self._inlet = Inlet(parts.intake)
        self._admit = parts.doors.admits("intake")
        self._intake_open = False
        self._ticked_at = 0.0
        self._limiter = RepeatLimiter()
        self._asked: SimpleQueue[Future[dict[str, Any]]] = SimpleQueue()
        self._log = structlog.get_logger()

    def watch_player(self, player: PlayerProcess) -> None:
        """There is a replay to be followed to its end."""
        self._player, self.ending = player, Ending()

    def wake(self) -> None:
        """Cut the current wait short; from a signal handler or another thread."""
        self._parts.bell.ring()

    def turn(self, timeout_ms: int = 100) -> None:
        """One round: wait for something to happen, then deal with all that did."""
        parts = self._parts
        self._open_or_close_intake()
        ready = dict(parts.poller.poll(timeout_ms))
        self.progress_at = now = time.monotonic()
        if parts.bell.fileno() in ready:
            parts.bell.clear()
        parts.doors.turn(ready, now, reads_intake=self._intake_open)
        self.publish()
        if parts.intake in ready:
            self._take_in()
        if parts.results in ready:
            parts.publisher.handle_subscriptions()
        if parts.requests in ready:
            self._requests.handle()
        self._requests.flush()
        while not self._asked.empty():
            self._asked.get().set_result(self.status())
        self._learner.turn(now)
        if now - self._ticked_at >= TICK_S:
            self._ticked_at = now
            parts.tap.tick()
            for key, count in self._limiter.summaries(now):
                self._log.warning("messages_rejected", reason=key, not_logged=count)
            if not parts.lockstep:
                replaying = self.ending is not None and self.ending.phase is Phase.PLAYING
                effects = parts.core.tick(time.monotonic_ns(), replaying=replaying)
                parts.hands.carry_out(effects)
        learner = parts.learner
        if learner is not None and learner.state.hopeless:
            self._fail(learner.state.exit_status or 1)
        if not self.stopping:
            self._advance_ending(now)

    def publish(self) -> None:
        """Send out every answer that the inference thread has given."""
        while not self._parts.answered.empty():
            self._publish_one(self._parts.answered.get())

    def ask_status(self) -> dict[str, Any]:
        """`status` for other threads: made here between two turns, so that its books balance.

        Raises:
            TimeoutError: the loop does not turn.
        """
        answer: Future[dict[str, Any]] = Future()
        self._asked.put(answer)
        self.wake()
        return answer.result(timeout=STATUS_WITHIN_S)

    def status(self) -> dict[str, Any]:
        """What `/statusz`, the live line and the `status` request show."""
        replay = None
        if self.ending is not None and self._player is not None:
            replay = {"phase": self.ending.phase.value, "report": self._player.report}
        status = describe(self._parts, waiting=self.waiting, replay=replay)
        return status | ({} if self.health is None else {"health": self.health()})

    def finish(self) -> None:
        """No more intake: pair what waits, answer what waits, end the inference thread."""
        self._close_intake()
        parts = self._parts
        parts.hands.carry_out(parts.core.flush(time.monotonic_ns()))
        parts.inference.stop()
        self.publish()
        self._requests.flush()

    @property
    def waiting(self) -> int:
        """Radar frames taken in whose results have not gone out."""
        parts = self._parts
        ordering = sum(len(site.order) for site in parts.core.sites.values())
        return parts.inference.unpublished(parts.answered.qsize) + ordering

    def _take_in(self) -> None:
        for _ in range(BURST):
            message = self._inlet.take()
            if message is None:
                return
            if self._admit(message):
                self._decode(message)
            if self._parts.lockstep and self._behind():
                return

    def _decode(self, message: list[zmq.Frame]) -> None:
        parts, limits = self._parts, self._parts.config.intake
        try:
            frame = wire.decode(
                [part.buffer for part in message],
                max_chirps=limits.max_chirps,
                max_image_bytes=limits.max_image_bytes,
                max_image_pixels=limits.max_image_pixels,
            )
            self._parts.hands.carry_out(self._handle(frame))
            parts.tap.frame(frame, message)
        except FrameError as error:
            parts.tally.rejected[error.reason] += 1
            parts.metrics.rejected(error.reason)
            if self._limiter.admit(error.reason, time.monotonic()):
                self._log.warning("message_rejected", reason=error.reason, detail=error.detail)

    def _handle(self, frame: AnyFrame) -> list[Effect]:
        parts = self._parts
        effects = parts.core.handle(frame, time.monotonic_ns())
        parts.tally.received[frame.kind] += 1
        now_ns = time.time_ns()
        parts.metrics.received(frame.kind, frame.site, now_ns / 1e9)
        if not isinstance(frame, LabelFrame):
            parts.clocks.took(frame.site, frame.kind, frame.stamp_ns, frame.epoch, now_ns)
        parts.latest.took(frame)
        return effects

    def _request_label(self, label: LabelFrame) -> Use:
        parts = self._parts
        scored = parts.score.scored
        effects = self._handle(label)
        parts.hands.carry_out(effects)
        parts.tap.frame(label, wire.encode(label))
        return use_of(
            label,
            effects,
            waits=parts.core.sites[label.site].desk.waits(label),
            scored=parts.score.scored > scored,
            learns=parts.learner is not None,
        )

    def _frames_at_hand(self) -> dict[str, list[tuple[int, int]]]:
        return {name: site.desk.frames() for name, site in self._parts.core.sites.items()}

    def _publish_one(self, answered: Answered) -> None:
        parts = self._parts
        site = answered.waiting.frame.site
        name = "" if answered.model is None else answered.model.published.id
        if name:
            for drift in parts.drift.answered(site, name, answered.answer):
                self._drifted(drift)
        result = parts.publisher.answer(answered, drift=parts.drift.flagged(site))
        parts.latest.answered(result, answered.waiting.frame, time.monotonic())
        parts.tap.result(result)
        latency_s = (result.published_ns - result.received_ns) / 1e9
        parts.tally.answered += 1
        parts.tally.latency_ms.append(latency_s * 1e3)
        if result.abstain:
            parts.tally.abstained[result.abstain] += 1
        parts.metrics.classified(
            result.site, result.label, result.abstain, answered.inference_s, latency_s
        )
        key = (result.site, result.epoch, result.stamp_ns)
        parts.score.answered(key, Given(answered.answer, name, result.abstain is not None))

    def _drifted(self, drift: Drift) -> None:
        self._parts.metrics.drifted(drift.site, drift.signal)
        self._log.warning(
            "drift",
            site=drift.site,
            signal=drift.signal,
            before=round(drift.before, 3),
            after=round(drift.after, 3),
        )

    def _behind(self) -> bool:
        parts = self._parts
        room = parts.inference.waiting < LOCKSTEP_WAITING
        learner = parts.learner
        return not room or (learner is not None and learner.outbox.full)

    def _open_or_close_intake(self) -> None:
        wanted = not self.stopping and not (self._parts.lockstep and self._behind())
        if wanted and not self._intake_open:
            self._parts.poller.register(self._parts.intake, zmq.POLLIN)
            self._intake_open = True
        elif not wanted:
            self._close_intake()

    def _close_intake(self) -> None:
        if self._intake_open:
            self._parts.poller.unregister(self._parts.intake)
            self._intake_open = False

    def _advance_ending(self, now: float) -> None:
        if self.ending is None or self._player is None or self.ending.phase is Phase.DONE:
            return
        parts, learner = self._parts, self._parts.learner
        try:
            sent = self._player.poll()
        except PlayerError as error:
            self._log.error("replay_failed", status=error.status)
            self._fail(error.status)
            return
        cut = parts.lockstep and learner is not None and learner.state.cuts > 0
        if self.ending.phase is Phase.PLAYING and sent is None and not cut:
            return  # nothing to decide: the other facts would be gathered in vain, at every turn
        facts = Facts(
            now_s=now,
            sent=sent,
            arrived=parts.tally.messages,
            quiet=not parts.intake.poll(0),
            waiting=self.waiting,
            learner=learner is not None,
            outbox_empty=learner is None or learner.outbox.empty,
            drained=learner is not None and learner.state.drained is not None,
            loader_idle=self._nothing_lands() and parts.keeper.idle and parts.outcomes.empty(),
            reading=self._intake_open,
            cut=cut,
        )
        for todo in self.ending.advance(facts):
            match todo:
                case Do.FLUSH:
                    parts.hands.carry_out(parts.core.flush(time.monotonic_ns()))
                case Do.DRAIN if learner is not None:
                    learner.drain()
                case Do.REPORT:
                    self._ended()
                case Do.FAIL:
                    self._log.error(
                        "lockstep_cut",
                        reason="the learner was lost, and pairs with it",
                        remedy="replay again from the start, with fresh state on both sides",
                    )
                    self._fail(CUT_STATUS)

    def _nothing_lands(self) -> bool:
        """Whether no model of a remote learner is on its way, or none can come."""
        landing, learner = self._parts.landing, self._parts.learner
        return landing is None or landing.idle or learner is None or not learner.state.up

    def _fail(self, status: int) -> None:
        self.exit_status, self.stopping = status, True

    def _ended(self) -> None:
        assert self.ending is not None
        assert self._player is not None
        if self.ending.given_up:
            self._log.error("replay_incomplete", messages_missing=self.ending.given_up)
            self.exit_status = 1
        self._log.info("replay_ended", **(self._player.report or {}))
        self.stopping = self.stopping or self._exit_at_end
