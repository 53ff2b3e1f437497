"""When a learner's checkpoint is due, what goes into it, and the ways back to one.

Rules:
- A folder without a usable checkpoint gets one of the very start, so that there is always a
  way back.
- A checkpoint is announced only once it is whole on disk; a disk that fails is announced too.
- What is not finite is neither saved nor put back: a roll-back must lead somewhere.
- Work of another preset, encoder or teacher is neither used nor lost.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rvsense import atomic, link
from rvsense.errors import ModelError, RvsenseError
from rvsense.learner import checkpoint, state
from rvsense.learner.trainer import Trainer

Say = Callable[[list[Any]], None]
Clock = Callable[[], float]
Published = tuple[int, int]
"""Training step and labels of the newest published model; (0, 0) before the first."""


class Keeper:
    """The checkpoints of one trainer in the folder `root`."""

    def __init__(
        self,
        trainer: Trainer,
        root: Path,
        teacher_sha256: str,
        say: Say,
        clock: Clock = time.monotonic,
    ) -> None:
        self.failures = 0
        self._trainer, self._root, self._teacher_sha256 = trainer, root, teacher_sha256
        self._say, self._clock = say, clock
        self._saved_at = clock()
        self._saved_state: tuple[int, ...] = ()

    @property
    def unsaved(self) -> bool:
        """Whether anything has been learned or taken since the last checkpoint."""
        return self._state() != self._saved_state

    @property
    def worth_saving(self) -> bool:
        """Whether there is something new, and nothing in it that is not finite."""
        return (
            self.unsaved
            and self._trainer.counters.nonfinite_in_a_row == 0
            and state.is_finite(state.tensors(self._trainer))
        )

    def is_due(self, now: float) -> bool:
        """Whether the clock asks for a checkpoint, and one is worth saving."""
        late = now - self._saved_at >= self._trainer.learning.checkpoint_every_s
        return late and self.worth_saving

    def save(self, published: Published) -> None:
        """Write a checkpoint and say so, or say why it could not be written."""
        start = self._clock()
        path, error = "", ""
        try:
            path = str(
                checkpoint.save(
                    self._root,
                    fingerprint=self.fingerprint(),
                    values=state.values(self._trainer) | {"published": list(published)},
                    tensors=state.tensors(self._trainer),
                    tables=state.tables(self._trainer),
                    keep=self._trainer.learning.checkpoints_kept,
                )
            )
            self._saved_state = self._state()
        except OSError as problem:
            error = str(problem)
            self.failures += 1
        self._saved_at = self._clock()
        self._say(
            link.pack(
                "checkpoint",
                step=self._trainer.counters.step,
                path=path,
                seconds=self._saved_at - start,
                ok=not error,
                error=error,
            )
        )

    def restore(self) -> Published | None:
        """Continue from the newest whole checkpoint; without one, save the very start.

        Returns what had been published by then, None at the very start.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        atomic.remove_leftovers(self._root)
        for path in reversed(checkpoint.numbered(self._root)):
            try:
                saved = self._load(path)
                for name, rows in state.tables(self._trainer).items():
                    saved.fill(name, rows)
                state.load(self._trainer, saved.tensors, saved.values)
                step, labels = saved.values["published"]
                self._saved_state = self._state()
                return step, labels
            except checkpoint.OtherRunError as error:
                aside = checkpoint.set_aside(self._root)
                self._notice("warning", "checkpoints_set_aside", detail=str(error), to=str(aside))
                break
            except (ModelError, KeyError, RuntimeError, TypeError, ValueError) as error:
                self._notice("error", "checkpoint_refused", path=str(path), detail=str(error))
        self.save((0, 0))
        return None

    def roll_back(self) -> None:
        """Put back the weights of the newest usable checkpoint (L5).

        Raises:
            RvsenseError: when there is none.
        """
        self._trainer.counters.nonfinite_in_a_row = 0
        for path in reversed(checkpoint.numbered(self._root)):
            try:
                state.roll_back(self._trainer, self._load(path).tensors)
            except ModelError as error:
                self._notice("error", "checkpoint_refused", path=str(path), detail=str(error))
                continue
            self._trainer.counters.rollbacks += 1
            self._notice("error", "rolled_back", to=str(path))
            return
        raise RvsenseError("steps are not finite and there is no checkpoint to go back to")

    def _load(self, path: Path) -> checkpoint.Checkpoint:
        saved = checkpoint.load(path, self.fingerprint())
        if not state.is_finite(saved.tensors):
            raise ModelError(f"{path}: its weights are not finite")
        return saved

    def fingerprint(self) -> str:
        """What a checkpoint must have been made by to be continued here."""
        trainer = self._trainer
        spec = trainer.encoder.spec
        return (
            f"preset {trainer.preset.name}, encoder {spec.name} of width {spec.width} on "
            f"{'+'.join(spec.channels)} with queries of {spec.key_dim}, teacher "
            f"{trainer.teacher.name} {self._teacher_sha256[:12]}"
        )

    def _state(self) -> tuple[int, ...]:
        counters = self._trainer.counters
        return counters.step, counters.pairs, self._trainer.labels.seen, self._trainer.pseudo.seen

    def _notice(self, level: str, event: str, **values: Any) -> None:
        self._say(link.pack("notice", level=level, event=event, **values))
