"""A training step with its figures, and what is said of one that came to nothing.

Rules:
- A step that is not finite is counted and said (L5).
- So is one that memory was too short for, or its figures: the next ones take fewer pairs.
"""

from typing import Protocol

from rvsense.learner.figures import Figures
from rvsense.learner.shortage import ShortageError, within_memory
from rvsense.learner.step import Outcome
from rvsense.learner.trainer import Trainer


class Notice(Protocol):
    """Has daemons log an event."""

    def __call__(self, level: str, event: str, **values: object) -> None:
        """At this level, with these facts."""


class Stepping:
    """The steps of one trainer, and its running `figures`."""

    def __init__(self, trainer: Trainer, notice: Notice) -> None:
        self.figures = Figures()
        self._trainer, self._notice = trainer, notice

    def step(self) -> None:
        """Take a step, or say why it was none.

        Raises:
            ShortageError: the least batch, too, has run out of memory again and again.
        """
        trainer = self._trainer
        batch = trainer.batch_size.now
        try:
            outcome = trainer.train()
            if not outcome.updated:
                self._notice("warning", "nonfinite_step", step=trainer.counters.step)
            self._measure(outcome)
        except ShortageError as error:
            self._notice(
                "warning",
                "out_of_memory",
                during="step",
                step=trainer.counters.step,
                batch=batch,
                next_batch=trainer.batch_size.now,
                detail=str(error),
            )
            if trainer.batch_size.hopeless:
                raise

    def _measure(self, outcome: Outcome) -> None:
        try:
            within_memory(lambda: self.figures.take(self._trainer, outcome))
        except ShortageError:
            self._trainer.fell_short()
            raise
