"""What a training step minimises: the paper's Eq. (1), and what the settings add to it."""

from dataclasses import dataclass

from rvsense.config import Learning

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Objective:
    """All that `train_step` must know besides encoder, queue and batch."""

    temperature: float
    """τ of Eq. (1)."""
    exclusion_ns: int
    """Keys of the same place this close in time to a query are no negatives of it."""


def objective_of(learning: Learning) -> Objective:
    """The objective that the settings ask for."""
    return Objective(
        temperature=learning.temperature,
        exclusion_ns=round(learning.exclusion_s * NS),
    )
