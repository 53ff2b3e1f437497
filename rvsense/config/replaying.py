"""What is played and what is simulated."""

from dataclasses import dataclass

from rvsense.config.setting import setting


@dataclass(frozen=True, slots=True)
class Replay:
    """What the daemon plays into itself, through its own intake socket."""

    path: str = setting("", "Dataset or recording to play; empty = none, frames come from outside.")
    speed: float = setting(
        1.0, "Times the source's own rate; 0 = max, lock-step.", low=0.0, high=1000.0
    )
    loop: bool = setting(False, "Play it again and again.")
    labels: float = setting(
        0.01,
        "Share of the frames whose annotation the classifier may see; the encoder sees none.",
        low=0.0,
        high=1.0,
    )
    exit_at_end: bool = setting(False, "End the daemon with the replay.")

    @property
    def lockstep(self) -> bool:
        """Whether nothing may be dropped and every run must be the same."""
        return bool(self.path) and self.speed == 0


@dataclass(frozen=True, slots=True)
class Simulate:
    """What `rvsense simulate` writes."""

    sequences: int = setting(
        120,
        "Sequences, every tenth of them a test sequence without images.",
        low=1,
        high=100_000,
    )
    frames: int = setting(30, "Frames per sequence, at 30 a second.", low=1, high=999_999)
    sites: int = setting(
        4, "Fixed places, each with its own clutter and background.", low=1, high=28
    )
    seed: int = setting(0, "Everything follows from it.", low=0, high=2**32 - 1)
    mixed: bool = setting(False, "Also scenes with several classes.")
    jobs: int = setting(0, "Processes; 0 = one per core.", low=0, high=256)
