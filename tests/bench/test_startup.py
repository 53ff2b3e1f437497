"""The command loads nothing heavy, a daemon is ready when it says so, and pools fill up."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import startup
from bench.startup import (
    NOTHING,
    RVSENSE,
    learner_of,
    processor_s,
    resident_with_pool,
    starting_daemon,
    torch_mib,
    wait_until_ready,
    wall_s,
)

HEAVY = "{'torch', 'numpy', 'zmq', 'msgpack', 'structlog', 'prometheus_client', 'rvsense.config'}"


@pytest.mark.parametrize("command", ["--help", "--version"])
def test_the_command_loads_nothing_that_it_does_not_need(command: str) -> None:
    """Not even the settings: what `--help` costs is Python and argparse."""
    code = f"""
import sys
from rvsense.cli import main
try:
    main([{command!r}])
except SystemExit:
    print("loaded:", sorted({HEAVY} & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "loaded: []"


def test_help_names_every_command_and_a_command_its_options() -> None:
    """Options are made late, and are there all the same."""
    names, flags = (
        subprocess.run([str(RVSENSE), *words], capture_output=True, text=True, check=True).stdout
        for words in (["--help"], ["pair", "--help"])
    )
    for name in ("daemon", "learner", "pair"):
        assert f"    {name} " in names
    assert "--idle-timeout" in flags


def test_times_are_of_a_process_that_ran() -> None:
    """A command that fails has no time."""
    assert wall_s(NOTHING) > 0
    assert processor_s(NOTHING) >= 0
    with pytest.raises(subprocess.CalledProcessError):
        wall_s((sys.executable, "-c", "raise SystemExit(3)"))


@pytest.mark.process
def test_a_daemon_is_waited_for_until_it_is_ready_and_leaves_nothing(tmp_path: Path) -> None:
    """It runs while it is measured, and has ended after."""
    with starting_daemon(tmp_path, "--no-learn") as (daemon, address):
        wait_until_ready(daemon, address)
        assert daemon.poll() is None
    assert daemon.returncode == 0


@pytest.mark.process
def test_a_daemon_that_ends_early_is_no_ready_daemon(tmp_path: Path) -> None:
    """Its exit status is told, at once."""
    with (
        starting_daemon(tmp_path, "--loop") as (daemon, address),
        pytest.raises(RuntimeError, match="ended with status 2"),
    ):
        wait_until_ready(daemon, address)


def test_resident_memory_is_of_a_process_with_torch() -> None:
    """Shared out or not, it is more than a bare Python, and PSS is the smaller."""
    rss, pss = torch_mib()
    assert rss >= pss > 50


def test_the_learner_is_told_from_the_other_children() -> None:
    """By its command line; without one there is nothing to measure."""
    player = SimpleNamespace(cmdline=lambda: ["python", "-m", "rvsense", "replay"])
    learner = SimpleNamespace(cmdline=lambda: ["python", "-m", "rvsense.learner"])
    parent = SimpleNamespace(children=lambda: [player, learner])
    assert learner_of(parent) is learner
    parent = SimpleNamespace(children=lambda: [player])
    with pytest.raises(RuntimeError, match="no learner"):
        learner_of(parent)


def test_an_entry_of_the_pool_is_what_the_settings_say() -> None:
    """(2, 128, 128) and (1280,) in float16, two numbers of 64 bits: "about 70 KiB"."""
    _, sum_of_tensors = resident_with_pool(16)
    assert sum_of_tensors == 2 * 128 * 128 * 2 + 1280 * 2 + 16


def test_the_pool_row_is_the_slope_between_two_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """What both have in common does not count."""
    sizes = {10: (5_000_000, 2048), 20: (5_000_000 + 10 * 3072, 2048)}
    monkeypatch.setattr(startup, "resident_elsewhere", sizes.__getitem__)
    row = startup.pool_row(10, 20)
    assert (row.ours, row.theirs, row.ratio) == ((3.0,), (2.0,), 1.5)
