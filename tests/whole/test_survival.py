"""What must go on when a process dies, a camera is missing or a file is damaged."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rvsense import subscribe

pytestmark = pytest.mark.process


def train(cruw: Path, state: Path, start: Callable[..., Any]) -> dict[str, Any]:
    """A finished lock-step run that leaves a model with a classifier."""
    replay = ["--replay", cruw, "--speed", "max", "--labels", "0.3", "--exit-at-end"]
    status: dict[str, Any] = start(*replay, state=state).finish()
    assert status["model"]["head"] is not None
    return status


def test_a_killed_learner_costs_no_result_and_comes_back(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """kill -9 of the learner mid-run: it restarts from its checkpoint, all frames are answered."""
    daemon = start("--replay", cruw, "--speed", "max", "--labels", "0.3", "--loop")
    with subscribe(daemon.wait_for("ready")["results"]) as subscriber:
        learner = daemon.wait_for("learner_ready")["pid"]
        daemon.wait_for("model_swapped")
        os.kill(learner, signal.SIGKILL)
        daemon.wait_for("learner_ended", exit_status=-signal.SIGKILL)
        again = daemon.wait_for("learner_ready")
        assert again["restored"]
        assert again["step"] > 0
        daemon.wait_for("model_swapped")
        while subscriber.receive(0.0) is not None:
            pass
        assert subscriber.missed == 0
    status = daemon.stop()
    assert status["serving"]["balanced"]
    assert status["serving"]["answered"] == status["serving"]["radar"]
    assert status["learner"]["restarts"] == 1


def test_a_killed_daemon_serves_its_last_model_again_at_once(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """kill -9 of the daemon: its children end, and the next one begins with the same model."""
    before = train(cruw, tmp_path / "s", start)
    crashed = start("--replay", cruw, "--loop", state=tmp_path / "s")
    learner = crashed.wait_for("learner_ready")["pid"]
    crashed.kill()
    restarted = start("--no-learn", state=tmp_path / "s")
    assert restarted.wait_for("model_restored")["step"] >= before["model"]["step"]
    restarted.wait_for("ready")
    assert restarted.stop()["model"]["step"] >= before["model"]["step"]
    with pytest.raises(ProcessLookupError):
        _wait_gone(learner)


def test_results_go_on_without_a_camera(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """With every image taken away the radar frames are classified all the same (S3)."""
    train(cruw, tmp_path / "s", start)
    blind = tmp_path / "blind"
    shutil.copytree(cruw, blind, ignore=shutil.ignore_patterns("IMAGES_0"))
    daemon = start("--replay", blind, "--speed", "max", "--exit-at-end", state=tmp_path / "s")
    with subscribe(daemon.wait_for("ready")["results"], timeout_s=20.0) as subscriber:
        results = list(subscriber)
    status = daemon.finish()
    assert status["intake"]["received"].get("camera", 0) == 0
    assert status["pairing"]["pairs"] == 0
    assert status["serving"]["answered"] == status["serving"]["radar"] == 144
    assert all(result.probs and result.model for result in results)


def test_a_damaged_model_is_named_and_the_one_before_serves(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """One flipped byte: refused by name; the daemon begins with the previous model."""
    train(cruw, tmp_path / "s", start)
    models = sorted((tmp_path / "s" / "models").glob("step-*"))
    assert len(models) > 1
    weights = models[-1] / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    daemon = start("--no-learn", state=tmp_path / "s")
    refused = daemon.wait_for("model_refused")
    assert models[-1].name in refused["detail"]
    assert daemon.wait_for("model_restored")["model"] == models[-2].name
    daemon.wait_for("ready")
    assert daemon.stop()["refused"] == {"damaged": 1}


def _wait_gone(pid: int) -> None:
    """Return only by ProcessLookupError, or after a long time."""
    import time

    for _ in range(600):
        os.kill(pid, 0)
        time.sleep(0.1)
