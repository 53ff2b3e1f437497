"""A simulated dataset, by one process."""

import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np

from rvsense.config import Simulate
from rvsense.errors import RvsenseError
from rvsense.replay.layouts import open_dataset
from rvsense.replay.simulate import run
from tests.faults.disk import Killed
from tests.faults.every import Said, Writer

SMALL = Simulate(sequences=2, frames=1, sites=1, seed=1, jobs=1)


class Scene:
    """Nothing at all, at once: what is seen is not what is tried here."""

    def __init__(self, *_: object) -> None:
        self._maps = np.zeros((4, 2, 2, 2), np.float32)

    def radar(self, _: int) -> tuple[object, list[object]]:
        """Four chirps of next to nothing."""
        return self._maps, []

    def pictures(self) -> object:
        """One after the other."""
        return iter(range(1000))


def _simulate(folder: Path, said: Said) -> None:
    if "done" in said or (Killed in said and (folder / "set" / "sequences").exists()):
        shutil.rmtree(folder / "set")
    with patch.multiple(run, Scene=Scene, to_jpeg=lambda _: b"\xff\xd8"):
        run.simulate(folder / "set", SMALL)
    said.append("done")


def _holds(folder: Path, said: Said, done: bool) -> None:
    if "done" not in said and not (folder / "set" / "sequences").exists():
        assert Killed in said or not (folder / "set").exists()
        return
    sequences = open_dataset(folder / "set").sequences
    assert len(sequences) == SMALL.sequences
    assert all(sequence.simulated and list(sequence.radar_ns) == [0] for sequence in sequences)


SIMULATED = Writer("simulate", lambda folder: folder.mkdir(), _simulate, _holds, (RvsenseError,))
