"""Loads a published model beside the serving one, checks it, and swaps or refuses it (S4).

Checking takes seconds and has its own thread; the serving model answers meanwhile. What
serves is noted in the state directory, so that a restart begins with it at once.

Rules:
1. What the learner publishes serves when it is whole and passes the exam.
2. What the operator goes back to need only be whole; it is pinned, and whatever is published
   then is held back, until the pin is taken off: the newest of them has its exam at once.
"""

import json
import queue
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import structlog
import torch

from rvsense import atomic, current
from rvsense.config import Serving
from rvsense.current import Note
from rvsense.daemon.exam import Item, verdict
from rvsense.disk import naming
from rvsense.errors import ModelError
from rvsense.model import ServableModel
from rvsense.published import REFUSAL, REFUSED, list_models, made_ns, open_model, refused_ns

REFUSED_KEPT = 2
"""To look into; a learner gone wrong must not fill the disk with them."""
MOST_WAITING = 8
"""Offers and orders beyond which no further order is taken."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an offered model: it serves, it is held back, or it was refused.

    `reason` is why it does not serve: damaged, worse or held; of what the operator asked for,
    `impossible` or `nothing`. `asked` is rollback or release where somebody asked for it, and
    `tell` lets them know; to be called when the outcome has been acted upon.
    """

    path: Path
    model: ServableModel | None
    reason: str = ""
    detail: str = ""
    asked: Literal["", "rollback", "release"] = ""
    tell: Callable[["Outcome"], None] | None = None
    serving: ServableModel | None = None
    note: Note = field(default_factory=Note)
    noted: bool = True
    """As the keeper stood then, which may have gone on since."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the operator asks for: go back to the model of this name, or take the pin off."""

    what: Literal["rollback", "release"]
    model: str
    tell: Callable[[Outcome], None]


class ModelKeeper:
    """The loader thread.

    Args:
        state_dir: holds `models/` and the note of what serves.
        exam: gives the held-out frames as they stand.
        on_outcome: called from the thread with what became of each offer and order.
    """

    def __init__(
        self,
        state_dir: Path,
        settings: Serving,
        device: torch.device,
        exam: Callable[[], list[Item]],
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self.settings = settings
        self.serving: ServableModel | None = None
        self.note = Note()
        self.passed_over: list[Outcome] = []
        """What the start met before a whole model: damaged ones, newest first."""
        self.noted = True
        """Whether the note on disk says the same, so that a restart begins with this model."""
        self._state_dir = state_dir
        self._device = device
        self._exam = exam
        self._on_outcome = on_outcome
        self._tasks: queue.Queue[Path | Order | None] = queue.Queue()
        self._ahead: list[Path | Order | None] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="model-loader", daemon=True)

    def restore(self) -> ServableModel | None:
        """The model to begin with: the one that served last, else the newest whole one.

        Raises:
            DiskError: the folder of models cannot be listed.
        """
        log = structlog.get_logger()
        noted = current.noted(self._state_dir)
        if noted is None:
            log.error("serving_note_damaged", path=str(self._state_dir / current.NOTE))
        note = noted or Note()
        with naming(self._state_dir / "models", "cannot be read"):
            candidates = current.candidates(self._state_dir)
        for path in candidates:
            try:
                self.serving = ServableModel(open_model(path), self._device)
            except ModelError as error:
                log.warning("model_refused", reason="damaged", detail=str(error))
                self.passed_over.append(Outcome(path, None, "damaged", str(error)))
                continue
            self.note = note if path.name == note.model else note.forward(path.name)
            self.noted = self.note == note
            if note.pinned and not self.note.pinned:
                log.error("model_pin_lost", model=note.model, serving=path.name)
            log.info("model_restored", model=path.name, step=self.serving.published.step)
            if noted is None:
                self._write_note()  # while it cannot be read, no model may be removed
            return self.serving
        return None

    def start(self) -> None:
        """Start taking offers."""
        self._thread.start()

    def offer_newest(self) -> None:
        """Offer what was published after the serving model, while nobody was here to judge it."""
        newest: list[Path] = []
        with suppress(OSError):  # the next one that is published will be judged
            newest = list_models(self._state_dir / "models")[-1:]
        if self.note.pinned or self.serving is None or not newest:
            return
        if newest[0] in [outcome.path for outcome in self.passed_over]:
            return  # it was refused when this start met it
        if made_ns(newest[0]) > made_ns(self.serving.published.path):
            self.offer(newest[0])

    def offer(self, path: Path) -> None:
        """Check a published folder and, if it passes, let it serve."""
        self._tasks.put(path)

    def order(self, order: Order) -> bool:
        """Go back to a model, or take the pin off; False when too much waits already."""
        if self._tasks.unfinished_tasks >= MOST_WAITING:
            return False
        self._tasks.put(order)
        return True

    @property
    def idle(self) -> bool:
        """Whether every offer and order has been dealt with."""
        return self._tasks.unfinished_tasks == 0

    def ask_to_stop(self) -> None:
        """End the thread after the offer at hand; those behind it are for the next start."""
        self._stopping = True
        self._tasks.put(None)

    def stop(self) -> None:
        """As `ask_to_stop`, and wait a moment for it."""
        self.ask_to_stop()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def _run(self) -> None:
        while (task := self._next()) is not None and not self._stopping:
            try:
                outcome = self._concluded_on(task)
            except OSError as error:  # the folder of models cannot even be listed
                outcome = self._undone(task, error)
            stands = replace(outcome, serving=self.serving, note=self.note, noted=self.noted)
            self._on_outcome(stands)
            self._tasks.task_done()  # last: idle means that the outcome has been told

    def _next(self) -> Path | Order | None:
        """The next order, or the newest offer: those before it were overtaken and need no exam."""
        task = self._ahead.pop() if self._ahead else self._tasks.get()
        while isinstance(task, Path) and not self._tasks.empty():
            behind = self._tasks.get()
            if isinstance(behind, Order):
                self._ahead.append(behind)
                return task
            self._tasks.task_done()
            task = behind
        return task

    def _concluded_on(self, task: Path | Order) -> Outcome:
        if isinstance(task, Path):
            return self._offered(task)
        return self._back(task) if task.what == "rollback" else self._released(task)

    def _undone(self, task: Path | Order, error: OSError) -> Outcome:
        detail = f"{self._state_dir / 'models'}: {error.strerror or error}"
        if isinstance(task, Path):
            return Outcome(task, None, "damaged", detail)
        where = self._state_dir / "models"
        return Outcome(where, None, "impossible", detail, task.what, task.tell)

    def _offered(self, path: Path) -> Outcome:
        if self.note.pinned:
            return Outcome(path, None, "held")
        outcome = self._concluded(path, lambda model: self._examined(path, model))
        if outcome.model is not None:
            self._serve(outcome.model, self.note.forward(path.name))
        elif outcome.reason == "worse":
            self._set_aside(path, outcome.detail)
        return outcome

    def _back(self, order: Order) -> Outcome:
        def passed(model: ServableModel) -> Outcome:
            return Outcome(path, model, "", "", order.what, order.tell)

        path = self._state_dir / "models"
        try:
            path = current.find(self._state_dir, order.model, self.note)
        except ModelError as error:
            return Outcome(path, None, "impossible", str(error), order.what, order.tell)
        outcome = self._concluded(path, passed)
        if outcome.model is None:
            return Outcome(path, None, "impossible", outcome.detail, order.what, order.tell)
        self._serve(outcome.model, self.note.pinned_to(path))
        return outcome

    def _released(self, order: Order) -> Outcome:
        was_pinned = self.note.pinned
        self.note = self.note.released()
        self._write_note()
        newest = list_models(self._state_dir / "models")[-1:]
        if not was_pinned or not newest or newest[0].name == self.note.model:
            detail = "no newer model is there" if was_pinned else "no model was pinned"
            where = self._state_dir / "models" / self.note.model
            return Outcome(where, None, "nothing", detail, order.what, order.tell)
        return replace(self._offered(newest[0]), asked=order.what, tell=order.tell)

    def _concluded(self, path: Path, judge: Callable[[ServableModel], Outcome]) -> Outcome:
        try:
            return judge(ServableModel(open_model(path), self._device))
        except ModelError as error:
            return Outcome(path, None, "damaged", str(error))
        except Exception as error:  # no memory, say: this model is lost, later ones are not
            return Outcome(path, None, "damaged", f"{path}: could not be tried ({error!r})")

    def _examined(self, path: Path, model: ServableModel) -> Outcome:
        if self.serving is not None:
            exam = self._exam()
            worse = verdict(
                _right(model, exam),
                _right_where_able(self.serving, exam),
                self.settings.swap_margin,
            )
            if worse is not None:
                return Outcome(path, None, "worse", worse)
        return Outcome(path, model)

    def _serve(self, model: ServableModel, note: Note) -> None:
        self.serving, self.note = model, note
        self._write_note()

    def _set_aside(self, path: Path, detail: str) -> None:
        """A model that failed keeps its folder under a name that no restart begins with."""
        with suppress(OSError):  # its folder may be somebody else's
            # The same model may have been published and refused before.
            shutil.rmtree(path.with_name(REFUSED + path.name), ignore_errors=True)
            aside = path.rename(path.with_name(REFUSED + path.name))
            refusal = {"reason": "worse", "detail": detail, "at_ns": time.time_ns()}
            atomic.write_file(aside / REFUSAL, json.dumps(refusal).encode())
        with suppress(OSError):
            refused = (self._state_dir / "models").glob(f"{REFUSED}*")
            for old in sorted(refused, key=refused_ns)[:-REFUSED_KEPT]:
                shutil.rmtree(old, ignore_errors=True)

    def _write_note(self) -> None:
        try:
            current.write_note(self._state_dir, self.note)
            self.noted = True
        except OSError as error:
            self.noted = False
            structlog.get_logger().warning("serving_note_failed", error=str(error))


def _right(model: ServableModel, exam: list[Item]) -> list[bool]:
    # One frame at a time: a large batch would hold the cores that serving needs.
    return [model.classify([heatmap])[0].label == label for heatmap, label in exam]


def _right_where_able(model: ServableModel, exam: list[Item]) -> list[bool]:
    """Like `_right`, but what it cannot answer is wrong: a serving model that fails on a frame
    must not keep its successors out.
    """
    right = []
    for item in exam:
        try:
            right += _right(model, [item])
        except Exception:  # whatever it is, the thread that serves counts and logs it
            right.append(False)
    return right
