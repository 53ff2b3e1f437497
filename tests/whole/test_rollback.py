"""Going back to a model in a running daemon, over a crash and a restart, by the command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rvsense

pytestmark = pytest.mark.process


def model(*arguments: str | Path) -> dict[str, Any]:
    """What `rvsense model` says as JSON."""
    command = [sys.executable, "-P", "-m", "rvsense", "model", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def answering(results: str) -> str:
    """The model of the newest result."""
    with rvsense.subscribe(results, timeout_s=30) as subscriber:
        for result in subscriber:
            if not result.repeat and result.model is not None:
                return result.model.id
    raise AssertionError("no result names a model")


def test_a_rollback_outlives_a_crash_and_ends_with_the_release(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """What the pinned model answers, whatever is published; then the newest has its turn."""
    state = tmp_path / "state"
    where = ("--state-dir", state)
    daemon = start("--replay", cruw, "--loop", "--labels", "0.3", state=state)
    results = daemon.wait_for("ready")["results"]
    first = daemon.wait_for("model_swapped")["model"]
    daemon.wait_for("model_swapped")
    reply = model("rollback", first, *where)
    assert reply["daemon"].startswith("tcp://")
    assert (reply["model"]["id"], reply["pinned"]) == (first, True)
    daemon.wait_for("model_held")
    assert answering(results) == first
    daemon.kill()

    listed = model("list", *where, "--check")["models"]
    assert [entry["id"] for entry in listed if entry["state"] == "pinned"] == [first]
    again = start("--replay", cruw, "--loop", state=state)
    results = again.wait_for("ready")["results"]
    assert answering(results) == first
    reply = model("release", *where)
    assert reply["pinned"] is False
    assert reply["tried"] != first
    status = again.stop()
    assert status["model"]["pinned"] is False
    assert model("show", "current", *where)["id"] == status["model"]["id"]
