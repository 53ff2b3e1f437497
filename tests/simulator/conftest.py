"""One small simulated dataset for all tests, and scenes without a dataset around them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rvsense.config import Simulate
from rvsense.replay.simulate.plan import SequencePlan
from rvsense.replay.simulate.run import simulate
from rvsense.replay.simulate.scene import Scene

SETTINGS = Simulate(sequences=10, frames=2, sites=2, seed=7, jobs=1)


@pytest.fixture(scope="session")
def settings() -> Simulate:
    """Ten sequences at two sites: every class twice, and one test sequence."""
    return SETTINGS


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of `settings`, made by one process."""
    out = tmp_path_factory.mktemp("simulated") / "cruw"
    simulate(out, SETTINGS)
    return out


@pytest.fixture(scope="session")
def make_scene() -> Callable[[str, int], Scene]:
    """A scene with the given content; different numbers give different scenes of one site."""

    def make(content: str, index: int) -> Scene:
        return Scene(SequencePlan(index, 0, content, "train", "X"), seed=7, frames=4)

    return make
