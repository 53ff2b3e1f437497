"""An address in use, or a state directory in use: refused at once, by name, and nobody is hurt."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from rvsense.errors import ConfigError
from tests.chaos.report import Figure, Report, exactly
from tests.chaos.stage import staged
from tests.whole.running import FREE_PORTS, PATIENCE_S

NAME = "addresses"
HELP = "addresses and a state directory in use: exit 78 and one clear line"
BY_PATH, STATE = "requests by path", "state directory"
QUICK = ("results", BY_PATH)


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(options: argparse.Namespace) -> Report:
    """One daemon that has it all, and others that want it."""
    report = Report()
    by_path = f"ipc://{options.work}/requests"
    with staged(options.work, "--no-learn", "--requests", by_path) as first:
        there = first.endpoints
        taken = {name: (name, there[name]) for name in ("intake", "results", "http")}
        taken |= {"requests": ("requests", there["intake"]), BY_PATH: ("requests", by_path)}
        taken |= {STATE: ("state-dir", str(options.work / "state"))}
        for what, (flag, wanted) in taken.items():
            if not options.quick or what in QUICK:
                report.figures.append(_refused(what, flag, wanted, options.work))
        well = first.is_well()
    report.figures.append(exactly("who was there first is well", str(well), "True"))
    return report


def _refused(what: str, flag: str, wanted: str, work: Path) -> Figure:
    """How a daemon ends that wants what another has."""
    mine = ["--state-dir", str(work / "other"), *FREE_PORTS, f"--{flag}", wanted]
    command = [sys.executable, "-P", "-m", "rvsense", "daemon", "--no-learn", *mine]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    lines = done.stderr.splitlines()
    named = sum("in use" in line and wanted in line for line in lines)
    ended = f"{done.returncode}, {len(lines)} line, {named} of them names it"
    return exactly(f"{what} in use", ended, f"{ConfigError.status}, 1 line, 1 of them names it")
