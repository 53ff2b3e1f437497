"""What a simulation run is asked for and what it says of itself when done."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SimulateSettings:
    """Size and content of a simulated dataset; the same settings and seed give the same bytes."""

    sequences: int = 120
    """Sequences over all sites, test sequences included."""
    frames: int = 30
    """Frames a sequence, at 30 a second."""
    sites: int = 4
    """Fixed radar-camera sites, each with its own background, clutter and date; at most 28."""
    seed: int = 0
    """Everything is drawn from this number."""
    mixed: bool = False
    """Adds sequences with objects of several classes (every fifth)."""
    test_every: int = 10
    """One sequence in so many goes to sequences/test, without images; 0 = none."""
    jobs: int = 2
    """Worker processes; the bytes written do not depend on it."""


@dataclass(frozen=True)
class Report:
    """What a run wrote."""

    out: Path
    sequences: int
    test_sequences: int
    frames: int
    objects: int
    seconds: float

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0
