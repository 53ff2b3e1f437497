"""The commands beside the daemon, run as a person would."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rvsense.config import Config
from rvsense.configfile import load

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]


def rvsense(*arguments: str | Path, feed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-P", "-m", "rvsense", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, input=feed, timeout=120,
        env=environment,
    )  # fmt: skip


def test_classify_answers_for_stored_heatmaps(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """The chirp files of a frame make one line; a broken file is named, the rest answered."""
    replay = ["--replay", cruw, "--speed", "max", "--labels", "0.3", "--exit-at-end"]
    start(*replay, state=tmp_path / "s").finish()
    chirps = sorted(next(cruw.glob("sequences/test/*/RADAR_RA_H")).glob("000003_*.npy"))
    broken = tmp_path / "broken.npy"
    broken.write_bytes(b"\x93NUMPY")
    done = rvsense("classify", *chirps, broken, "--state-dir", tmp_path / "s")
    assert done.returncode == 1
    assert str(broken) in done.stderr
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["files"] == [str(path) for path in chirps]
    assert sum(line["probs"].values()) == pytest.approx(1.0, abs=1e-5)
    likeliest = max(line["probs"], key=line["probs"].get)
    assert line["label"] == (likeliest if line["abstain"] is None else None)

    done = rvsense("classify", chirps[0], "--state-dir", tmp_path / "nothing")
    assert done.returncode == 2
    assert "rvsense daemon --replay" in done.stderr


def test_echo_and_hz_follow_a_daemon(cruw: Path, start: Callable[..., Any]) -> None:
    """`echo --json` prints the contract's keys; `hz` prints rate, latency and gaps."""
    daemon = start("--replay", cruw, "--loop", "--no-learn")
    results = daemon.wait_for("ready")["results"]
    done = rvsense("echo", results, "--json", "--count", "3")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 3
    keys = {"v", "site", "seq", "stamp_ns", "source", "label", "probs", "abstain", "ood_score"}
    keys |= {"model", "received_ns", "published_ns", "result_seq", "drift", "radio_only"}
    assert keys <= lines[0].keys()
    done = rvsense("hz", results, "--window", "1", "--count", "1")
    assert "Hz" in done.stdout
    assert "p99" in done.stdout
    daemon.stop()


def test_print_config_is_a_file_that_loads_back(tmp_path: Path) -> None:
    """What `--print-config` prints is a whole configuration file of the defaults."""
    done = rvsense("daemon", "--print-config")
    path = tmp_path / "printed.toml"
    path.write_text(done.stdout)
    assert load(path, {}) == Config()


def test_pair_explains_a_trace() -> None:
    """`rvsense pair -` prints a line per pair, then the ledger and the offset."""
    period_ns = 33_333_333
    lines = [
        json.dumps({"kind": kind, "seq": n, "stamp_ns": n * period_ns + offset})
        for n in range(90)
        for kind, offset in (("radar", 5_000_000), ("camera", 0))
    ]
    done = rvsense("pair", "-", feed="\n".join(lines))
    *pairs, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [pair["pair"] for pair in pairs] == [[n, n] for n in range(90)]
    assert {pair["skew_ns"] for pair in pairs} == {5_000_000}
    assert "ledger" in last
    assert abs(next(iter(last["offset_ns"].values())) - 5_000_000) < 1_000_000


def test_help_names_every_command() -> None:
    """`rvsense --help` lists the commands of the contract that are there."""
    done = rvsense("--help")
    for command in ("daemon", "replay", "learner", "simulate", "classify", "pair", "echo", "hz"):
        assert command in done.stdout


def test_heatmaps_of_the_simulator_are_what_numpy_expects(cruw: Path) -> None:
    """A chirp file opens with plain NumPy and has the layout of ROD2021."""
    path = next(cruw.glob("sequences/train/*/RADAR_RA_H/000000_0000.npy"))
    heatmap = np.load(path, allow_pickle=False)
    assert heatmap.shape == (128, 128, 2)
    assert heatmap.dtype == np.float32
