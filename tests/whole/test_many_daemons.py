"""One learner and four daemons, each a process with a disk of its own, over TCP on loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rvsense.published import list_models

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

PATIENCE_S = 120.0
SETTINGS = {
    "preset": "edge",
    "device": "cpu",
    "niceness": 0,
    "teacher_weights": "random",
    "batch": 8,
    "min_pool_pairs": 16,
    "queue": 96,
    "publish_every_steps": 10,
    "heldout_pairs": 8,
    "checkpoint_every_s": 1.0,
    "max_reuse": 4.0,
    "label_source": "annotations",
}


class Learner:
    """A running `rvsense learner` and where it listens."""

    def __init__(self, state_dir: Path, endpoint: str = "tcp://127.0.0.1:*") -> None:
        command = [sys.executable, "-P", "-m"]
        command += ["rvsense", "learner", "--listen", endpoint, "--state-dir", str(state_dir)]
        command += ["--config-json", json.dumps(SETTINGS)]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        assert self.process.stderr is not None
        heard = (line.rpartition("listening at ") for line in self.process.stderr)
        self.endpoint = next(place.strip() for _, said, place in heard if said)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)

    def stop(self) -> None:
        """SIGTERM, which has to end it with 0."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0


@pytest.fixture
def listen() -> Iterator[Callable[..., Learner]]:
    """Starts learners; none outlives the test."""
    running: list[Learner] = []

    def begin(*arguments: Any, **more: Any) -> Learner:
        running.append(Learner(*arguments, **more))
        return running[-1]

    yield begin
    for learner in running:
        if learner.process.poll() is None:
            learner.kill()


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four simulated sites, each a dataset of 24 frames or more."""
    root = tmp_path_factory.mktemp("sites")
    whole = root / "whole"
    sizes = ["--sequences", "10", "--frames", "12", "--sites", "4", "--seed", "3", "--jobs", "2"]
    simulate = [sys.executable, "-P", "-m", "rvsense", "simulate", str(whole), *sizes]
    subprocess.run(simulate, check=True, capture_output=True, timeout=PATIENCE_S)
    found = []
    for number in range(1, 5):
        day = f"2026_01_{number:02}"
        kept = shutil.ignore_patterns(*(f"2026_01_{n:02}*" for n in range(1, 5) if n != number))
        found.append(Path(shutil.copytree(whole, root / day, ignore=kept)))
    return found


def page(daemon: Any, path: str) -> dict[str, Any]:
    """A page of a running daemon, as JSON."""
    http = next(event["http"] for event in daemon.events if event["event"] == "ready")
    with urllib.request.urlopen(f"http://{http}{path}", timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def until(agreed: Callable[[], bool]) -> None:
    """Look again and again; only a hang reaches the end."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not agreed():
        assert time.monotonic() < give_up_at, "never agreed"
        time.sleep(0.2)


def serves(daemon: Any) -> str:
    """The id of the model that answers."""
    return str((page(daemon, "/statusz")["model"] or {}).get("id"))


def played(daemon: Any) -> bool:
    """Whether the replay is through, with all that it taught."""
    return bool(page(daemon, "/statusz")["replay"]["phase"] == "done")


def learner_check(daemon: Any) -> str:
    """What /readyz, which has to be 200, says of the learner."""
    checks = page(daemon, "/readyz")["checks"]
    return str(next(check["reason"] for check in checks if check["name"] == "learner"))


def test_one_learner_serves_four_daemons_and_any_may_come_and_go(
    sites: list[Path],
    tmp_path: Path,
    start: Callable[..., Any],
    listen: Callable[..., Learner],
) -> None:
    """A daemon and then the learner are killed and started again: nobody misses an answer.

    All four daemons end with the learner's newest model, on disks of their own.
    """
    learner = listen(tmp_path / "learner")
    replays = [("--replay", site, "--labels", "0", "--learner", learner.endpoint) for site in sites]
    states = [tmp_path / f"daemon{n}" for n in range(4)]
    daemons = [start(*replay, state=state) for replay, state in zip(replays, states, strict=True)]
    for daemon in daemons:
        assert daemon.wait_for("learner_ready")["label_source"] == "annotations"
    for daemon in daemons:
        daemon.wait_for("model_swapped")

    daemons[0].kill()
    daemons[0] = start(*replays[0], state=states[0])
    assert daemons[0].wait_for("model_restored")["model"]
    daemons[0].wait_for("learner_ready")
    learner.kill()
    for daemon in daemons:
        daemon.wait_for("learner_cut_off")
        assert learner_check(daemon).startswith("unreachable since 2")
        assert serves(daemon).startswith("step-")

    again = listen(tmp_path / "learner", learner.endpoint)
    for daemon in daemons:
        assert daemon.wait_for("learner_ready")["restored"]
    newest = tmp_path / "learner" / "models"
    until(lambda: {serves(d) for d in daemons} == {list_models(newest)[-1].name})
    for daemon, state in zip(daemons, states, strict=True):
        assert learner_check(daemon) == "up"
        until(partial(played, daemon))
        status = daemon.stop()
        assert status["serving"]["balanced"]
        assert status["serving"]["answered"] == status["serving"]["radar"] >= 24
        assert status["learner"]["cuts"] == 1
        pairs = status["learner"]["pairs"]
        assert pairs["sent_on"] == pairs["taken"] + sum(pairs["dropped"].values())
        assert (state / "models" / status["model"]["id"]).is_dir()
    again.stop()
