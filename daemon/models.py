"""Loads a published model beside the serving one, checks it, and swaps or refuses it (S4).

Checking takes seconds and has its own thread; the serving model answers meanwhile. What
serves is noted in the state directory, so that a restart begins with it at once.
"""

import queue
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
import torch

from rvsense import current
from rvsense.config import Serving
from rvsense.daemon.exam import Item, verdict
from rvsense.errors import ModelError
from rvsense.model import ServableModel
from rvsense.published import open_model

REFUSED = "refused-"
REFUSED_KEPT = 2
"""To look into; a learner gone wrong must not fill the disk with them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an offered model: it serves, or it was refused for `reason`."""

    path: Path
    model: ServableModel | None
    reason: str = ""
    detail: str = ""


class ModelKeeper:
    """The loader thread.

    Args:
        state_dir: holds `models/` and the note of what serves.
        exam: gives the held-out frames as they stand.
        on_outcome: called from the thread with what became of each offer.
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
        self._state_dir = state_dir
        self._device = device
        self._exam = exam
        self._on_outcome = on_outcome
        self._offers: queue.Queue[Path | None] = queue.Queue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="model-loader", daemon=True)

    def restore(self) -> ServableModel | None:
        """The model to begin with: the one that served last, else the newest whole one."""
        log = structlog.get_logger()
        for path in current.candidates(self._state_dir):
            try:
                self.serving = ServableModel(open_model(path), self._device)
            except ModelError as error:
                log.warning("model_refused", reason="damaged", detail=str(error))
                continue
            log.info("model_restored", model=path.name, step=self.serving.published.step)
            return self.serving
        return None

    def start(self) -> None:
        """Start taking offers."""
        self._thread.start()

    def offer(self, path: Path) -> None:
        """Check a published folder and, if it passes, let it serve."""
        self._offers.put(path)

    @property
    def idle(self) -> bool:
        """Whether every offer has been dealt with."""
        return self._offers.unfinished_tasks == 0

    def stop(self) -> None:
        """End the thread after the offer at hand; those behind it are for the next start."""
        self._stopping = True
        self._offers.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def _run(self) -> None:
        while (path := self._newest()) is not None and not self._stopping:
            outcome = self._concluded(path)
            if outcome.model is not None:
                self.serving = outcome.model
                self._write_note(path)
            elif outcome.reason == "worse":
                self._set_aside(path)
            self._on_outcome(outcome)
            self._offers.task_done()  # last: idle means that the outcome has been told

    def _newest(self) -> Path | None:
        """The newest offer; those before it have been overtaken, and need no exam."""
        path = self._offers.get()
        while path is not None and not self._offers.empty():
            self._offers.task_done()
            path = self._offers.get()
        return path

    def _concluded(self, path: Path) -> Outcome:
        try:
            return self._judge(path)
        except ModelError as error:
            return Outcome(path, None, "damaged", str(error))
        except Exception as error:  # no memory, say: this model is lost, later ones are not
            return Outcome(path, None, "damaged", f"{path}: could not be tried ({error!r})")

    def _judge(self, path: Path) -> Outcome:
        model = ServableModel(open_model(path), self._device)
        if self.serving is not None:
            exam = self._exam()
            worse = verdict(
                _right(model, exam), _right(self.serving, exam), self.settings.swap_margin
            )
            if worse is not None:
                return Outcome(path, None, "worse", worse)
        return Outcome(path, model)

    def _set_aside(self, path: Path) -> None:
        """A model that failed keeps its folder under a name that no restart begins with."""
        with suppress(OSError):  # a remote learner's folder is not ours
            path.rename(path.with_name(REFUSED + path.name))
        for old in sorted((self._state_dir / "models").glob(f"{REFUSED}*"))[:-REFUSED_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _write_note(self, path: Path) -> None:
        try:
            current.note_serving(self._state_dir, path)
        except OSError as error:
            structlog.get_logger().warning("serving_note_failed", error=str(error))


def _right(model: ServableModel, exam: list[Item]) -> list[bool]:
    # One frame at a time: a large batch would hold the cores that serving needs.
    return [model.classify([heatmap])[0].label == label for heatmap, label in exam]
