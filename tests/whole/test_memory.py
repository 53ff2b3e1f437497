"""A learner that gets no more memory: it takes smaller steps, or is replaced, and nobody waits."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rvsense import subscribe
from rvsense.learner.yielding import SACRIFICED

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

LARGE = """
[pairing]
thin_rate_hz = 30.0
[learning]
niceness = 0
batch = 48
min_pool_pairs = 48
pool_pairs = 96
queue = 96
heldout_pairs = 8
publish_every_steps = 10
checkpoint_every_s = 1.0
"""
ROOM_BYTES = 64 * 1024 * 1024
"""Beyond what a learner has when it is ready; its first step of so many pairs takes more."""


def data_bytes(pid: int) -> int:
    """What RLIMIT_DATA counts of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith("VmData:"))
    return 1024 * kib


def test_a_learner_without_memory_costs_no_result(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Under a limit that its steps exceed, all frames are answered and learning goes on.

    By half the batch where the libraries let it: at the limit some of them end the process, and
    then the daemon starts another.
    """
    config = tmp_path / "large.toml"
    config.write_text(LARGE)
    replay = ("--replay", cruw, "--speed", "max", "--labels", "0.3", "--loop")
    daemon = start(*replay, "--config", config)
    with subscribe(daemon.wait_for("ready")["results"]) as subscriber:
        learner = daemon.wait_for("learner_ready")["pid"]
        limit = data_bytes(learner) + ROOM_BYTES
        resource.prlimit(learner, resource.RLIMIT_DATA, (limit, limit))
        score = Path(f"/proc/{learner}/oom_score_adj").read_text().strip()
        daemon.wait_for("model_swapped")
        while subscriber.receive(0.0) is not None:
            pass
        assert subscriber.missed == 0
    said = [event["event"] for event in daemon.events]
    status = daemon.stop()
    assert {"out_of_memory", "learner_ended"} & set(said)
    assert status["learner"]["restarts"] == said.count("learner_ended")
    assert status["learner"]["figures"]["step"] >= 10
    assert status["serving"]["balanced"]
    assert status["serving"]["answered"] == status["serving"]["radar"]
    assert score == str(SACRIFICED)
