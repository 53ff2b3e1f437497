"""A replay from end to end, through real sockets and processes."""

import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rvsense import subscribe
from rvsense.results import Result

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]


def listen(endpoint: str) -> tuple[list[Result], threading.Thread]:
    """Collect results in the background until none has come for a while."""
    results: list[Result] = []

    def run() -> None:
        with subscribe(endpoint, timeout_s=20.0) as subscriber:
            results.extend(subscriber)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return results, thread


def assert_whole(status: dict[str, Any]) -> None:
    """Every radar frame was answered, none dropped, and all books balance."""
    serving = status["serving"]
    assert serving["balanced"]
    assert serving["answered"] == serving["radar"] > 0
    assert sum(serving["dropped"].values()) == serving["waiting"] == 0
    for site in status["pairing"]["sites"].values():
        for stream in ("radar", "camera"):
            book = site[stream]
            assert book["received"] == book["paired"] + sum(book["dropped"].values())
            assert book["pending"] == 0


def test_lockstep_runs_repeat_to_the_bit(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Two runs with one seed give the same pairs and weights; a clocked run the same pairs."""
    seen = []
    for name in ("a", "b"):
        replay = ["--replay", cruw, "--speed", "max", "--labels", "0.2", "--exit-at-end"]
        status = start(*replay, "--seed", "5", state=tmp_path / name).finish()
        assert_whole(status)
        assert status["learner"]["figures"]["step"] > 0
        drained = status["learner"]["drained"]
        seen.append((status["pairing"]["pair_log_sha256"], drained["weights_sha256"]))
    assert seen[0] == seen[1]

    clocked = start("--replay", cruw, "--speed", "10", "--exit-at-end", "--no-learn")
    status = clocked.finish()
    assert status["pairing"]["pair_log_sha256"] == seen[0][0]


def test_nobody_labels_anything(cruw: Path, start: Callable[..., Any]) -> None:
    """With the detector as label source no annotation is learned from; all are compared with."""
    replay = ["--replay", cruw, "--speed", "max", "--labels", "1.0", "--exit-at-end"]
    status = start(*replay, "--label-source", "detector").finish()
    assert_whole(status)
    figures = status["learner"]["figures"]
    assert status["labels"]["taught"] == status["labels"]["examined"] == figures["labels"] == 0
    assert figures["pseudo_labels"] > 0
    assert figures["looks"] >= figures["pseudo_labels"]
    assert status["intake"]["received"]["label"] > 0


def test_each_radar_frame_gets_one_result_in_capture_order(
    cruw: Path, start: Callable[..., Any]
) -> None:
    """A subscriber sees as many results as radar frames, each once, in order, radio only."""
    daemon = start("--no-learn")
    ready = daemon.wait_for("ready")
    results, thread = listen(ready["results"])
    player = start_player(cruw, ready["intake"])
    thread.join()
    status = daemon.stop()
    assert_whole(status)
    assert len(results) == player["sent"]["radar"] == status["serving"]["answered"]
    for site in {result.site for result in results}:
        mine = [result for result in results if result.site == site]
        assert [result.seq for result in mine] == list(range(len(mine)))
        assert [result.result_seq for result in mine] == list(range(len(mine)))
    assert {result.abstain for result in results} == {"no_model"}


def test_pages_tell_what_the_daemon_does(cruw: Path, start: Callable[..., Any]) -> None:
    """After a replay the daemon serves on; its pages and the status request agree."""
    daemon = start("--replay", cruw, "--speed", "max", "--no-learn")
    http = "http://" + daemon.wait_for("ready")["http"]
    daemon.wait_for("replay_ended")
    with urllib.request.urlopen(f"{http}/statusz", timeout=10) as page:
        status = json.load(page)
    with urllib.request.urlopen(f"{http}/metrics", timeout=10) as page:
        metrics = page.read().decode()
    with urllib.request.urlopen(f"{http}/readyz", timeout=10) as page:
        assert json.load(page)["ready"]
    answered = status["serving"]["answered"]
    counted = [line for line in metrics.splitlines() if line.startswith("rvsense_abstentions")]
    assert (
        sum(float(line.split()[-1]) for line in counted)
        == answered
        == status["replay"]["report"]["sent"]["radar"]
    )
    daemon.stop()


def start_player(cruw: Path, endpoint: str) -> dict[str, Any]:
    """`rvsense replay` at speed max; its report."""
    import subprocess
    import sys

    command = [sys.executable, "-P", "-m", "rvsense", "replay", str(cruw), "--to", endpoint]
    done = subprocess.run(
        [*command, "--speed", "10", "--json"], check=True, capture_output=True, timeout=120
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
