"""The daemon under some hundreds of seeds; the long suite runs thousands."""

import gc
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.simulate.run import Report, run_scenario, run_seed
from tests.simulate.scenario import FAULTS, Fault, draw
from tests.simulate.world import World

SEEDS = int(os.environ.get("RVSENSE_SIMULATE_SEEDS", "300"))
BATCHES = 10


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_seed_breaks_a_guarantee(batch: int) -> None:
    """Safety after every event, and everything flows again once the faults have stopped."""
    for seed in range(batch, SEEDS, BATCHES):
        report = run_seed(seed)
        assert not report.failure, report.as_text()


def test_a_learner_that_hangs_for_good_is_replaced() -> None:
    """It neither ends nor says anything: pairs are learned again all the same."""
    quiet = draw(26)
    learning = replace(quiet.config.learning, hang_timeout_s=5.0)
    hanging = replace(
        quiet,
        config=replace(quiet.config, learn=True, learner="", learning=learning),
        faults=(Fault("hang", 5.0, 1000.0, 0),),
    )
    report = run_scenario(hanging)
    assert not report.failure, report.as_text()
    never = replace(hanging.config, learning=replace(learning, hang_timeout_s=0.0))
    assert "pairs learned" in run_scenario(replace(hanging, config=never)).failure


def test_a_pair_that_nothing_could_tell_apart_is_no_failure() -> None:
    """One clock is set back by as long as the network holds the other stream; then all is well."""
    assert not run_seed(4164).failure


def test_the_second_stream_falls_silent_before_the_first_is_given_up() -> None:
    """What was pending then waits for both idle timeouts, and no longer."""
    assert not run_seed(6662).failure


def test_a_crowd_takes_no_place_that_is_kept() -> None:
    """The daemon starts anew while a radar is silent, and others come first."""
    crowded = draw(2442)
    report = run_scenario(crowded)
    assert not report.failure, report.as_text()
    intake = replace(crowded.config.intake, sites="")
    unnamed = replace(crowded, config=replace(crowded.config, intake=intake))
    assert "pairs of site1" in run_scenario(unnamed).failure


@pytest.mark.parametrize("seed", [1, 2, 26])
def test_a_disk_that_is_well_takes_every_note(seed: int) -> None:
    """What fails for want of a pretended name would pass for a disk that fails."""
    report = run_scenario(replace(draw(seed), faults=()))
    assert not report.failure, report.as_text()
    assert report.seen["model swapped"] > 0
    assert not [what for what in report.seen if what.endswith(("_failed", "_not_saved"))]


def test_every_fault_is_drawn() -> None:
    """Within the seeds that are always run."""
    names = {fault.name for seed in range(100) for fault in draw(seed).faults}
    assert names == {*FAULTS, "cut"}


@pytest.mark.parametrize("seed", [1, 7, 26])
def test_a_seed_is_the_same_to_the_last_event(seed: int) -> None:
    """In two processes with other hashes, and in one that has run other seeds before."""
    lines = set()
    for hashes in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-m", "tests.simulate", "--seed", str(seed)],
            env=os.environ | {"PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        )
        lines.add(ran.stdout.splitlines()[0])
    assert lines == {run_seed(seed).as_text()}


def test_a_world_that_has_ended_is_let_go() -> None:
    """Thousands of seeds run in one process: what stays of each would fill the machine."""
    for seed in (2, 7, 26):
        run_seed(seed)
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is World]


def test_a_failure_tells_how_to_see_it_again() -> None:
    """The last events, what was broken, and a command."""
    report = Report(5, "ab" * 32, 9, 1, 0, "broken: S1: a frame is lost", ("   1.0 out",))
    assert report.as_text().splitlines() == [
        "   1.0 out",
        "",
        "seed 5: 9 events, 1 results, 0 pairs learned, " + "ab" * 8,
        "broken: S1: a frame is lost",
        "python -m tests.simulate --seed 5",
    ]
