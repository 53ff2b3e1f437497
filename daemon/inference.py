"""The inference thread: radar frames in, answers out, one at a time and in order.

It knows neither sockets nor cameras nor the learner. A new model takes effect between two
batches; when frames come faster than they can be answered the oldest waiting one is dropped
and handed back, so that its loss can be counted.

Rules:
1. A frame that was taken in is in exactly one place: waiting, in the works, or delivered; it
   moves between them under the lock, so that whoever holds it can add them up.
2. Nothing that a frame, a model or a requester does ends the thread: what raises is counted,
   and costs that one frame its answer.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from rvsense.answer import Answer
from rvsense.config import Serving
from rvsense.frames import RadarFrame
from rvsense.logs import RepeatLimiter
from rvsense.model import ServableModel

NO_MODEL = Answer(label=None, probs={}, ood_score=None, abstain="no_model")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A radar frame that waits for its answer."""

    frame: RadarFrame
    received_ns: int


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer on its way to the subscribers."""

    waiting: Waiting
    answer: Answer
    model: ServableModel | None
    inference_s: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A classification that somebody asked for by a request; `reply` gets what came out."""

    heatmap: NDArray[np.floating[Any]]
    reply: Callable[[Answer, ServableModel | None], None]


class Inference:
    """The thread and its bounded waiting room.

    Args:
        settings: bounds and batch size.
        deliver: called from the thread with the answers of each batch; must not block, and
            must not call back.
        model: the model to begin with, if there is one.
        lane: what the thread works in, on its device.
        lossless: in lock-step, where intake waits: one message may still bring in all the frames
            that waited for it, and a flush those of every site.
    """

    def __init__(
        self,
        settings: Serving,
        deliver: Callable[[Sequence[Answered]], None],
        model: ServableModel | None,
        lane: AbstractContextManager[object] | None = None,
        *,
        lossless: bool = False,
    ) -> None:
        self.settings = settings
        self.errors = 0
        self.progress_at = time.monotonic()
        self._deliver = deliver
        self._model = model
        self._lane = lane or nullcontext()
        self._lossless = lossless
        self._waiting: deque[Waiting] = deque()
        self._asked: deque[Asked] = deque()
        self._in_the_works = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._limiter = RepeatLimiter()
        self._log = structlog.get_logger()
        self._thread = threading.Thread(target=self._run_in_lane, name="inference", daemon=True)

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def submit(self, waiting: Waiting) -> Waiting | None:
        """Queue a frame; returns the oldest one where there was no room left."""
        with self._changed:
            self._waiting.append(waiting)
            crowded = len(self._waiting) > self.settings.max_waiting_frames
            dropped = self._waiting.popleft() if crowded and not self._lossless else None
            self._changed.notify()
        return dropped

    def ask(self, asked: Asked) -> bool:
        """Queue a request's frame; False when too many requests wait already."""
        with self._changed:
            if len(self._asked) >= self.settings.max_waiting_frames:
                return False
            self._asked.append(asked)
            self._changed.notify()
        return True

    def swap(self, model: ServableModel) -> None:
        """Answer with this model from the next batch on."""
        with self._changed:
            self._model = model

    @property
    def model(self) -> ServableModel | None:
        """The model that the next frame will be answered by."""
        return self._model

    @property
    def waiting(self) -> int:
        """Frames taken in and not yet answered, the ones in the works included."""
        return self.unpublished(lambda: 0)

    def unpublished(self, delivered: Callable[[], int]) -> int:
        """Frames taken in, and not yet answered or only delivered, counted in one instant.

        Args:
            delivered: counts the answers that were delivered and not yet taken out.
        """
        with self._changed:
            return len(self._waiting) + self._in_the_works + delivered()

    def stop(self) -> None:
        """Answer what waits, requests included, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run_in_lane(self) -> None:
        with self._lane:
            self._run()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._asked or self._stopping):
                    self._changed.wait(timeout=1.0)
                    self.progress_at = time.monotonic()
                if not (self._waiting or self._asked):
                    return
                take = min(len(self._waiting), self.settings.max_batch)
                batch = [self._waiting.popleft() for _ in range(take)]
                # Requests come second: they wait until no more than a batch is due.
                asked = self._asked.popleft() if self._asked and not self._waiting else None
                model = self._model
                self._in_the_works = len(batch)
            if batch:
                self._answer(batch, model)
            if asked is not None:
                self._reply(asked, model)
            self.progress_at = time.monotonic()

    def _answer(self, batch: list[Waiting], model: ServableModel | None) -> None:
        started = time.perf_counter()
        answers = self._classify([item.frame.heatmap for item in batch], model)
        took_s = (time.perf_counter() - started) / len(batch)
        answered = [
            Answered(item, answer, None if answer is NO_MODEL else model, took_s)
            for item, answer in zip(batch, answers, strict=True)
        ]
        with self._changed:
            self._in_the_works = 0
            self._deliver(answered)

    def _reply(self, asked: Asked, model: ServableModel | None) -> None:
        answer = self._classify([asked.heatmap], model)[0]
        try:
            asked.reply(answer, None if answer is NO_MODEL else model)
        except Exception as error:  # a requester's trouble is not the subscribers'
            self._failed("reply_failed", error)

    def _classify(
        self, heatmaps: list[NDArray[np.floating[Any]]], model: ServableModel | None
    ) -> list[Answer]:
        """One answer for each; NO_MODEL, which names no model, where the model raised."""
        if model is None:
            return [NO_MODEL] * len(heatmaps)
        try:
            answers = model.classify(heatmaps)
            if len(answers) != len(heatmaps):
                raise RuntimeError(f"{len(answers)} answers to {len(heatmaps)} frames")
            return answers
        except Exception as error:
            if len(heatmaps) == 1:
                self._failed("inference_failed", error)
                return [NO_MODEL]
        # One bad frame must not cost the others theirs, nor memory that is too short for all at
        # once. Not in the handler: its traceback holds what the batch had taken.
        return [self._classify([heatmap], model)[0] for heatmap in heatmaps]

    def _failed(self, event: str, error: Exception) -> None:
        now = time.monotonic()
        self.errors += 1
        for repeated, count in self._limiter.summaries(now):
            self._log.error(str(repeated), not_logged=count)
        if self._limiter.admit(event, now):
            self._log.error(event, error=repr(error))
