"""Two learners never share a state directory."""

from pathlib import Path

import pytest

from rvsense.errors import ConfigError
from rvsense.learner.lock import only_learner


def never() -> bool:
    """Nobody asks to stop."""
    return False


def test_the_second_learner_is_refused_by_folder(tmp_path: Path) -> None:
    """After its wait it names the folder; once the first is gone the folder is free."""
    with only_learner(tmp_path / "state", never) as held:
        assert held
        with pytest.raises(ConfigError, match=str(tmp_path)):
            only_learner(tmp_path / "state", never, wait_s=0.0).__enter__()
    with only_learner(tmp_path / "state", never, wait_s=0.0) as held:
        assert held


def test_the_second_learner_waits_for_the_first(tmp_path: Path) -> None:
    """An orphan that lets go during the wait costs nothing but time."""
    first = only_learner(tmp_path, never)
    first.__enter__()
    asked: list[None] = []

    def first_ends_at_second_try() -> bool:
        asked.append(None)
        if len(asked) == 2:
            first.__exit__(None, None, None)
        return False

    with only_learner(tmp_path, first_ends_at_second_try) as held:
        assert held
    assert len(asked) == 2


def test_a_stop_ends_the_wait(tmp_path: Path) -> None:
    """A learner told to stop while it waits goes without the folder."""
    with only_learner(tmp_path, never), only_learner(tmp_path, lambda: True) as held:
        assert not held
