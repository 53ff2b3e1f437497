"""Where state is kept, and the grids of a heatmap."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rvsense import grids, state
from rvsense.config import Config
from rvsense.errors import ConfigError


def test_the_state_directory_s_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting goes first, then systemd's, then the user's; the home is the last resort."""
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/rvsense:/var/lib/other")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    set_one = replace(Config(), state_dir=str(tmp_path / "own"))
    assert state.state_dir(set_one) == tmp_path / "own"
    assert state.state_dir(Config()) == Path("/var/lib/rvsense")
    monkeypatch.delenv("STATE_DIRECTORY")
    assert state.state_dir(Config()) == tmp_path / "rvsense"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state.state_dir(Config()) == tmp_path / ".local" / "state" / "rvsense"


def test_a_state_directory_is_made(tmp_path: Path) -> None:
    """The folder and its models appear, and no probe stays behind."""
    made = state.prepare(tmp_path / "a" / "b")
    assert [item.name for item in made.iterdir()] == ["models"]
    assert state.prepare(made) == made


def test_a_state_directory_that_cannot_be_made_is_a_config_error(tmp_path: Path) -> None:
    """The error names the path and the remedy; its exit status is 78."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"file/state.*--state-dir") as refused:
        state.prepare(tmp_path / "file" / "state")
    assert refused.value.status == 78


def test_grids_against_the_devkit_s_figures() -> None:
    """First and last cells, step and symmetry are CRUW's."""
    ranges, azimuths = grids.range_grid_m(), grids.azimuth_grid_rad()
    assert ranges.shape == azimuths.shape == (128,)
    assert ranges[0] == pytest.approx(0.639, abs=1e-3)
    assert ranges[-1] == pytest.approx(27.697, abs=1e-3)
    assert azimuths[0] == pytest.approx(-np.pi / 2)
    assert np.allclose(azimuths, -azimuths[::-1])


def test_the_nearest_cell_of_every_cell_is_itself() -> None:
    """Positions on the grid come back as their row and column; others go to the border."""
    ranges, azimuths = grids.range_grid_m(), grids.azimuth_grid_rad()
    for row, column in ((0, 0), (5, 64), (127, 127), (77, 3)):
        assert grids.nearest_cell(ranges[row], azimuths[column]) == (row, column)
    assert grids.nearest_cell(-5.0, -3.0) == (0, 0)
    assert grids.nearest_cell(500.0, 3.0) == (127, 127)
