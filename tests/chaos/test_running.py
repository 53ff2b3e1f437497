"""Signals, stopped subscribers, clocks and addresses on real daemons, in small counts."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.__main__ import every
from tests.chaos.report import Report
from tests.whole.running import simulate

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

TIMES = (" s", " ms", " times", " MB/h")
"""Bounds that depend on who else uses this machine: measured, but not here."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    return simulate(tmp_path_factory.mktemp("data") / "cruw")


@pytest.fixture
def run(played: Path, tmp_path: Path) -> Callable[[str], Report]:
    """`run(name)`: the quick form of a scenario; every bound that is no time was kept."""

    def begin(name: str) -> Report:
        scenario: Any = every()[name]
        parser = argparse.ArgumentParser()
        scenario.add_options(parser)
        options = parser.parse_args([])
        vars(options).update(quick=True, seed=0, work=tmp_path, data=str(played))
        report: Report = scenario.run(options)
        broken = [f for f in report.figures if f.kept is False and not f.bound.endswith(TIMES)]
        assert not broken, report.as_text()
        return report

    return begin


def test_stopped_subscribers_cost_the_others_nothing(run: Callable[[str], Report]) -> None:
    """Ten are stopped: no frame is without a result, the healthy one has all, memory stays."""
    run("stuck")


def test_sigterm_ends_well_and_the_next_start_goes_on(run: Callable[[str], Report]) -> None:
    """Exit 0, every frame answered, and the very checkpoint it left is loaded."""
    run("sigterm")


def test_sighup_takes_good_files_and_no_bad_one(run: Callable[[str], Report]) -> None:
    """By turns, and in a storm: frames go on, and the last one counts."""
    run("sighup")


def test_clocks_that_are_set_and_clocks_that_drift(run: Callable[[str], Report]) -> None:
    """No stall, no lost result, pairs again at once, and the offset within 2 ms."""
    run("clock")


def test_who_wants_what_another_has_is_refused(run: Callable[[str], Report]) -> None:
    """Exit 78 and one line that names it; who was there first is well."""
    run("addresses")


def test_a_soak_ends_with_its_books_balanced(run: Callable[[str], Report]) -> None:
    """Seconds of it: nothing lost, nothing failed, and neither descriptors nor threads are left."""
    run("soak")
