"""When a learner's checkpoint is due, what goes into it, and the ways back to one.

Rules:
- A folder without a usable checkpoint gets one of the very start, so that there is always a
  way back.
- A checkpoint is announced only once it is whole on disk; a disk that fails is announced too, as
  is memory that is too short for one.
- Checkpoints share what of their tables has not changed. Where that is damaged in all of them, the
  newest is continued without the tables concerned: they fill anew, what was learned stays.
- What is not finite is neither saved nor put back: a roll-back must lead somewhere.
- Work of another preset, encoder or teacher is neither used nor lost.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rvsense import atomic, link
from rvsense.errors import ModelError, RvsenseError
from rvsense.learner import checkpoint, state, trimming
from rvsense.learner.shortage import ShortageError, within_memory
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
        self.refused = 0
        """Checkpoints that were passed over, at the start or for a roll-back."""
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
            path = str(within_memory(lambda: self._write(published)))
            self._saved_state = self._state()
        except (OSError, ShortageError) as problem:
            error = str(problem)
            self.failures += 1
        trimming.give_back()
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

    def _write(self, published: Published) -> Path:
        return checkpoint.save(
            self._root,
            fingerprint=self.fingerprint(),
            values=state.values(self._trainer) | {"published": list(published)},
            tensors=state.tensors(self._trainer),
            tables=state.tables(self._trainer),
            keep=self._trainer.learning.checkpoints_kept,
        )

    def restore(self) -> Published | None:
        """Continue from the newest whole checkpoint, else from what can be read of one; without
        any, save the very start.

        Returns what had been published by then, None at the very start.
        """
        atomic.remove_leftovers(self._root)
        try:
            published = self._continued(whole=True) or self._continued(whole=False)
        except checkpoint.OtherRunError as error:
            aside = checkpoint.set_aside(self._root)
            self._notice("warning", "checkpoints_set_aside", detail=str(error), to=str(aside))
            published = None
        if published is None:
            self.save((0, 0))
        return published

    def _continued(self, *, whole: bool) -> Published | None:
        """From the newest that is `whole`, or whole but for its tables; None: there is none."""
        for path in reversed(checkpoint.numbered(self._root)):
            try:
                saved = self._load(path, chunks=whole)
                # A folder can be whole and yet not fit, as after a downgrade: its last part tells.
                with state.all_or_nothing(self._trainer):
                    lost = self._fill_tables(saved, whole=whole)
                    state.load(self._trainer, saved.tensors, saved.values)
                    step, labels = saved.values["published"]
                    state.counts({"step": step, "labels": labels})
            except checkpoint.OtherRunError:
                raise
            except (ModelError, KeyError, RuntimeError, TypeError, ValueError) as error:
                if whole:  # else it has been said
                    self._refuse(path, error)
                continue
            if lost:
                self._notice("error", "checkpoint_incomplete", path=str(path), lost=lost)
            else:
                self._saved_state = self._state()
            self._compare_precision(saved.values.get("precision"))
            return step, labels
        return None

    def _fill_tables(self, saved: checkpoint.Checkpoint, *, whole: bool) -> list[str]:
        """Put the tables back; returns those that are damaged, where `whole` does not forbid it."""
        trainer, lost = self._trainer, []
        for name, rows in state.tables(trainer).items():
            try:
                saved.fill(name, rows)
            except ModelError:
                if whole:
                    raise
                rows.clear()
                lost.append(name)
        if "pool" in lost:  # and with it what its policy knew of each place
            new = trainer.policy.state()
            saved.tensors.update({f"policy.{part}": value for part, value in new.items()})
        return lost

    def _compare_precision(self, before: str | None) -> None:
        now = self._trainer.learning.precision
        if before not in (None, now):  # None: of a version that did not record it
            self._notice("warning", "precision_changed", before=str(before)[:40], now=now)

    def roll_back(self) -> None:
        """Put back the weights of the newest usable checkpoint (L5).

        Raises:
            RvsenseError: when there is none.
        """
        self._trainer.counters.nonfinite_in_a_row = 0
        for path in reversed(checkpoint.numbered(self._root)):
            try:
                state.roll_back(self._trainer, self._load(path, chunks=False).tensors)
            except ModelError as error:
                self._refuse(path, error)
                continue
            self._trainer.counters.rollbacks += 1
            self._notice("error", "rolled_back", to=str(path))
            return
        raise RvsenseError("steps are not finite and there is no checkpoint to go back to")

    def _refuse(self, path: Path, error: Exception) -> None:
        self.refused += 1
        self._notice("error", "checkpoint_refused", path=str(path), detail=str(error))

    def _load(self, path: Path, *, chunks: bool) -> checkpoint.Checkpoint:
        saved = checkpoint.load(path, self.fingerprint(), chunks=chunks)
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
