"""Small units for the tests of the crew: importable by the processes that it starts."""

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvsense.learner.offline.crew import Tell


def no_context() -> None:
    """For work that needs none."""


def broken_context() -> None:
    """What a folder that has gone looks like."""
    raise FileNotFoundError("the samples have gone")


@dataclass(frozen=True)
class Draw:
    """Draws of a seed; leaves a line in a log."""

    seed: int
    log: Path

    def __call__(self, context: None, tell: Tell) -> dict[str, Any]:
        """Ten numbers that depend on the seed alone."""
        with self.log.open("a") as out:
            out.write(f"{self.seed}\n")
        source, numbers = random.Random(self.seed), []
        for _ in range(10):
            numbers.append(source.random())
            tell(0.1)
        return {"numbers": numbers}


@dataclass(frozen=True)
class Fail:
    """Fails as a unit with a defect would."""

    def __call__(self, context: None, tell: Tell) -> dict[str, Any]:
        """Never returns."""
        raise ZeroDivisionError("one part of nothing")


@dataclass(frozen=True)
class Die:
    """Ends as a process that the kernel takes for want of memory."""

    def __call__(self, context: None, tell: Tell) -> dict[str, Any]:
        """Never returns."""
        os.kill(os.getpid(), signal.SIGKILL)
        return {}


@dataclass(frozen=True)
class Linger:
    """Says which process it is in, and goes on for longer than any test."""

    pid_file: Path

    def __call__(self, context: None, tell: Tell) -> dict[str, Any]:
        """Never returns in time."""
        aside = self.pid_file.with_suffix(".writing")
        aside.write_text(str(os.getpid()))
        aside.rename(self.pid_file)
        time.sleep(600)
        return {}
