"""The commands for a terminal beside a real daemon: what it says is what they show."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process


def rvsense(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, as in a terminal of 80 × 24 that is none."""
    command = [sys.executable, "-P", "-m", "rvsense", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80", "LINES": "24"}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, env=environment
    )


def test_look_and_label(cruw: Path, tmp_path: Path, start: Callable[..., Any]) -> None:
    """Sites and health are shown, clocks judged, and labels join the frames that they name."""
    daemon = start("--replay", cruw, "--loop", "--labels", "0")
    ready = daemon.wait_for("ready")
    requests = ready["requests"]
    heard = rvsense("echo", ready["results"], "--count", "40", "--timeout", "60", "--json")
    sites = sorted({json.loads(line)["site"] for line in heard.stdout.splitlines()})

    status = json.loads(rvsense("top", requests, "--json").stdout)
    assert set(sites) <= status["sites"].keys()
    screen = rvsense("top", requests).stdout
    assert len(screen.splitlines()) <= 24
    assert "READY" in screen
    assert all(site in screen for site in sites)
    assert "replay playing" in screen

    clocks = json.loads(rvsense("skew", requests, "--site", sites[0], "--json").stdout)
    assert clocks[sites[0]]["clocks"]["radar"]["delay_p50_ms"] > 0
    assert "stamps of another day" in rvsense("skew", requests, "--site", sites[0]).stdout

    where = ("--site", sites[0], "--requests", requests)
    done = rvsense("label", "--last", "car@12.5,-14.3", *where, "--json")
    assert json.loads(done.stdout)["use"] in ("taught", "examined"), done.stderr
    assert done.returncode == 0
    labels = json.loads(rvsense("top", requests, "--json").stdout)["labels"]
    assert labels["taught"] + labels["examined"] == 1

    done = rvsense("label", "--past", "0.1", "empty", *where)
    assert done.returncode == 0
    assert 1 <= len(done.stdout.splitlines()) <= 4
    table = tmp_path / "labels.csv"
    table.write_text("stamp,class,range_m,azimuth_deg,epoch\n1,car,4,5,999999\n")
    done = rvsense("label", "--csv", table, *where)
    assert "waiting" in done.stdout
    done = rvsense("label", "--last", "empty", "--site", "nowhere", "--requests", requests)
    assert (done.returncode, sites[0] in done.stderr) == (2, True)

    daemon.stop()
    done = rvsense("label", "--last", "empty", *where)
    assert (done.returncode, "no requests endpoint at" in done.stderr) == (1, True)
