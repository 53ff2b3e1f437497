"""How many pairs a step takes: fewer where memory is short, more again when it is not. Pure.

Rules:
1. A step that ran out of memory halves the batch, down to `least`; what is configured is never
   exceeded.
2. After `patience` good steps the batch is doubled. Where that runs out before as many steps went
   well, the patience doubles, up to MOST_PATIENCE: a machine that is too small for what is
   configured is not tried at every turn. Where it holds, the patience is FIRST_PATIENCE again.
3. GIVE_UP steps in a row that ran out with the least batch are hopeless: somebody else has the
   memory, and the learner gives back what it holds.

Nothing here depends on the clock, so the same shortages give the same batches.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LEAST = 2
"""Fewer contrast nothing, and batch statistics of one row say little."""
FIRST_PATIENCE = 50
MOST_PATIENCE = 50 * 2**7
GIVE_UP = 5


@dataclass(slots=True)
class BatchSize:
    """The size of the next batch.

    Args:
        configured: the size wanted, at least `least`.
        least: the smallest that is tried.
    """

    configured: int
    least: int = LEAST
    halvings: int = 0
    good: int = 0
    """Good steps since the size last changed."""
    patience: int = FIRST_PATIENCE
    on_trial: bool = False
    """The size was doubled, and has not been good for `patience` steps."""
    failures: int = 0
    """Steps in a row that ran out with the least batch."""

    @property
    def now(self) -> int:
        """Pairs of the next step."""
        return max(self.configured >> self.halvings, self.least)

    @property
    def hopeless(self) -> bool:
        """Whether even the least batch has run out again and again."""
        return self.failures >= GIVE_UP

    def fell_short(self) -> None:
        """A step ran out of memory."""
        if self.on_trial:
            self.patience = min(2 * self.patience, MOST_PATIENCE)
        if self.now == self.least:
            self.failures += 1
        else:
            self.halvings += 1
        self.good, self.on_trial = 0, False

    def went_well(self) -> None:
        """A step had the memory that it needed."""
        self.failures = 0
        if not (self.halvings or self.on_trial):
            return
        self.good += 1
        if self.good < self.patience:
            return
        self.good = 0
        if self.on_trial:
            self.patience = FIRST_PATIENCE
        self.on_trial = self.halvings > 0
        self.halvings = max(self.halvings - 1, 0)

    def state(self) -> dict[str, int]:
        """What the next sizes depend on, but for what is configured."""
        return {
            "halvings": self.halvings,
            "good": self.good,
            "patience": self.patience,
            "on_trial": int(self.on_trial),
            "failures": self.failures,
        }

    def load(self, state: Mapping[str, int]) -> None:
        """Continue from `state`, perhaps of another size that was configured then."""
        self.halvings = min(state["halvings"], self.configured.bit_length())
        while self.halvings and self.configured >> (self.halvings - 1) <= self.least:
            self.halvings -= 1
        self.good, self.patience = state["good"], min(state["patience"], MOST_PATIENCE)
        self.on_trial, self.failures = bool(state["on_trial"]), state["failures"]
