"""A real daemon recorded, its recording replayed; recorders that are killed and held up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from rvsense.published import PublishedModel
from rvsense.replay.recording.check import check
from rvsense.replay.recording.form import Message
from rvsense.replay.recording.reader import Findings, messages, segments
from rvsense.requesting import RefusedError, ask

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

PATIENCE_S = 60.0
KILLS = 4
TIMES = ("received_ns", "published_ns")
FEW_STEPS = """
[learning]
batch = 8
min_pool_pairs = 8
queue = 32
heldout_pairs = 4
steps_per_pair = 0.2
"""


def rvsense(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    """A command of ours."""
    command = [sys.executable, "-P", "-m", "rvsense", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options)


class Recorder:
    """A running `rvsense record`."""

    def __init__(self, out: Path, requests: str, *options: object) -> None:
        self.requests = requests
        self.process = rvsense("record", out, "--requests", requests, "--json", *options)
        self.wait(lambda status: status is not None)

    def wait(self, until: Callable[[dict[str, Any] | None], bool]) -> None:
        """Wait until the daemon says so of its recording."""
        end_s = time.monotonic() + PATIENCE_S
        while not until(ask(self.requests, "status")["status"]["recording"]):
            assert self.process.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.05)
        time.sleep(0.3)  # it is asked for; the recorder's next question finds it listening

    def stop(self) -> dict[str, Any]:
        """SIGINT; its report."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0
        report: dict[str, Any] = json.loads(out)
        return report

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def record() -> Iterator[Callable[..., Recorder]]:
    """Starts recorders; none outlives the test."""
    running: list[Recorder] = []

    def begin(*arguments: Any) -> Recorder:
        running.append(Recorder(*arguments))
        return running[-1]

    yield begin
    for recorder in running:
        recorder.kill()


def play(source: Path, intake: str, *options: object) -> dict[str, Any]:
    """`rvsense replay` to its end; its report."""
    out, _ = rvsense("replay", source, "--to", intake, "--json", *options).communicate(
        timeout=PATIENCE_S
    )
    report: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert report["delivered"]
    return report


def recorded(path: Path) -> list[Message]:
    """All messages of a recording."""
    return [item for file in segments(path) for item in messages(file, Findings())]


def frames(path: Path) -> list[tuple[str, list[bytes]]]:
    """Site and bytes of the frames, in the order they were taken in."""
    return [
        (item.site, [bytes(part) for part in item.parts])
        for item in recorded(path)
        if item.kind != "result"
    ]


def results(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Results by site, without the times at which they were made."""
    found: dict[str, list[dict[str, Any]]] = {}
    for item in recorded(path):
        if item.kind == "result":
            values = msgpack.unpackb(item.parts[0])
            found.setdefault(item.site, []).append(
                {key: value for key, value in values.items() if key not in TIMES}
            )
    return found


def watched(
    source: Path,
    out: Path,
    start: Callable[..., Any],
    record: Callable[..., Recorder],
    state: Path,
    *options: object,
) -> dict[str, Any]:
    """Play into a daemon that is recorded; its last status, with the recorder's report."""
    daemon = start("--no-learn", state=state)
    ready = daemon.wait_for("ready")
    recorder = record(out, ready["requests"])
    sent = play(source, ready["intake"], *options)["sent"]
    recorder.wait(lambda status: status is not None and status["messages"] >= sum(sent.values()))
    report = recorder.stop()
    status: dict[str, Any] = daemon.stop()
    assert report["lost"] == {}
    assert {kind: report["kept"].get(kind, 0) for kind in sent} == sent
    return status | {"report": report}


def test_a_replayed_recording_is_the_live_run(
    cruw: Path,
    tmp_path: Path,
    start: Callable[..., Any],
    record: Callable[..., Recorder],
    make_model: Callable[..., PublishedModel],
) -> None:
    """Same frames to the byte, same pairs, and by the same model the same results but for times.

    The live run is clocked, from outside; its recording is played clocked, and then in lock-step:
    what is learned from it is what is learned from the dataset itself, to the bit of the weights.
    """
    for name in ("a", "b"):
        model = make_model(tmp_path / name / "models", step=7)
    labels = ("--labels", "0.2", "--seed", "5")
    live = watched(cruw, tmp_path / "live", start, record, tmp_path / "a", *labels, "--score")
    assert live["report"]["kept"]["result"] == live["serving"]["answered"] > 0
    again = watched(tmp_path / "live", tmp_path / "again", start, record, tmp_path / "b")
    assert frames(tmp_path / "again") == frames(tmp_path / "live")
    answers = results(tmp_path / "live")
    assert results(tmp_path / "again") == answers
    assert {item["model"]["id"] for one in answers.values() for item in one} == {model.id}
    assert again["pairing"]["pair_log_sha256"] == live["pairing"]["pair_log_sha256"]

    few = tmp_path / "few.toml"
    few.write_text(FEW_STEPS)
    learned = []
    for source in (cruw, tmp_path / "live"):
        options = ("--replay", source, "--speed", "max", "--exit-at-end", "--config", few)
        status = start(*options, *labels, state=tmp_path / f"of-{source.name}").finish()
        assert status["pairing"]["pair_log_sha256"] == live["pairing"]["pair_log_sha256"]
        assert status["learner"]["figures"]["step"] > 0
        learned.append(status["learner"]["drained"]["weights_sha256"])
    assert learned[0] == learned[1]


def test_a_killed_recorder_leaves_every_whole_message(
    cruw: Path, tmp_path: Path, start: Callable[..., Any], record: Callable[..., Recorder]
) -> None:
    """kill -9 at any moment: what is there is whole, in order, and can be played.

    The daemon closes the tap by itself, and another recorder may come.
    """
    daemon = start("--no-learn", "--replay", cruw, "--loop", "--speed", "4")
    requests = daemon.wait_for("ready")["requests"]
    for number in range(KILLS):
        out = tmp_path / f"killed-{number}"
        recorder = record(out, requests)
        recorder.wait(lambda status: status is not None and status["messages"] > 20)
        time.sleep(0.037 * number)
        recorder.kill()
        report = check(out)
        assert report.counts.total() > 0
        assert all(line.endswith("killed") or "cut at byte" in line for line in report.damage)
        # In lock-step with itself: radar numbers of a site follow one another.
        for site in {item.site for item in recorded(out)}:
            mine = [item for item in recorded(out) if (item.site, item.kind) == (site, "radar")]
            numbers = [msgpack.unpackb(item.parts[0])["seq"] for item in mine]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert rvsense("record", "--check", out).wait(PATIENCE_S) == 1
        with pytest.raises(RefusedError, match="records already"):
            ask(requests, "record", lease_s=1.0, by="test", token="test" * 4)
        end_s = time.monotonic() + PATIENCE_S
        while ask(requests, "status")["status"]["recording"] is not None:
            assert time.monotonic() < end_s
            time.sleep(0.2)
    daemon.stop()


def test_a_recorder_that_is_held_up_loses_and_costs_nobody(
    cruw: Path, tmp_path: Path, start: Callable[..., Any], record: Callable[..., Recorder]
) -> None:
    """SIGSTOP: serving drops nothing; the daemon, the recorder and the file tell one loss."""
    few = tmp_path / "few.toml"
    few.write_text("[recording]\nwaiting_messages = 8\n")
    daemon = start("--no-learn", "--replay", cruw, "--loop", "--speed", "4", "--config", few)
    requests = daemon.wait_for("ready")["requests"]
    recorder = record(tmp_path / "out", requests)
    recorder.wait(lambda status: status is not None and status["messages"] > 20)
    recorder.process.send_signal(signal.SIGSTOP)
    recorder.wait(lambda status: status is not None and status["lost"] > 100)
    recorder.process.send_signal(signal.SIGCONT)
    time.sleep(1.0)
    report = recorder.stop()
    serving = daemon.stop()["serving"]
    assert serving["dropped"] == {}
    ended = next(event for event in daemon.events if event["event"] == "recording_ended")
    assert report["lost"] == {"tap": ended["lost"]}
    assert report["messages"] == ended["messages"]
    found = check(tmp_path / "out")
    assert found.whole
    assert found.counts.total() == report["messages"]
    assert found.lost == report["lost"]


def test_a_recorder_that_is_held_up_for_longer_than_its_lease_counts_that_too(
    cruw: Path, tmp_path: Path, start: Callable[..., Any], record: Callable[..., Recorder]
) -> None:
    """It is recorded again, and every number that either tap gave out is kept or lost."""
    few = tmp_path / "few.toml"
    few.write_text("[recording]\nwaiting_messages = 8\n")
    daemon = start("--no-learn", "--replay", cruw, "--loop", "--speed", "4", "--config", few)
    requests = daemon.wait_for("ready")["requests"]
    recorder = record(tmp_path / "out", requests)
    recorder.wait(lambda status: status is not None and status["messages"] > 20)
    recorder.process.send_signal(signal.SIGSTOP)
    recorder.wait(lambda status: status is None)
    recorder.process.send_signal(signal.SIGCONT)
    recorder.wait(lambda status: status is not None and status["messages"] > 20)
    report = recorder.stop()
    daemon.stop()
    ended = [event for event in daemon.events if event["event"] == "recording_ended"]
    assert len(ended) == 2
    given_out = sum(event["messages"] + event["lost"] for event in ended)
    assert report["messages"] + report["lost"]["tap"] == given_out
    assert report["lost"]["tap"] >= ended[0]["lost"] > 0
    assert report["interruptions"] == 1


def test_a_recorder_outlives_its_daemon(
    cruw: Path, tmp_path: Path, start: Callable[..., Any], record: Callable[..., Recorder]
) -> None:
    """A daemon that starts again at the same place is recorded again; that is counted."""
    first = start("--no-learn", "--replay", cruw, "--loop")
    requests = first.wait_for("ready")["requests"]
    recorder = record(tmp_path / "out", requests)
    recorder.wait(lambda status: status is not None and status["messages"] > 20)
    first.kill()
    second = start("--no-learn", "--replay", cruw, "--loop", "--requests", requests)
    second.wait_for("ready")
    recorder.wait(lambda status: status is not None and status["messages"] > 20)
    report = recorder.stop()
    second.stop()
    assert report["interruptions"] == 1
    assert check(tmp_path / "out").whole
    assert len({item.site for item in recorded(tmp_path / "out")}) == 2


def test_no_daemon_no_recording(tmp_path: Path) -> None:
    """Nobody there, and nowhere to write, are said at once."""
    none = rvsense("record", tmp_path / "out", "--requests", f"ipc://{tmp_path}/none", stderr=-1)
    _, said = none.communicate(timeout=PATIENCE_S)
    assert none.returncode == 1
    assert "is a daemon running there?" in said
    assert not (tmp_path / "out").exists()
