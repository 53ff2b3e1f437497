"""The daemon's side of the link, against a learner that the test plays. No process is started."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq
from structlog.testing import capture_logs

from rvsense import link
from rvsense.config import Config, Intake, Learning
from rvsense.configfile import slots
from rvsense.daemon.learner_process import LearnerProcess
from rvsense.daemon.parts import build
from rvsense.errors import ConfigError
from rvsense.stopping import HURRY

WITHIN_MS = 10_000


class Child(SimpleNamespace):
    """A process that runs for as long as nobody ends it."""

    pid = 7
    returncode: int | None = None

    def __init__(self) -> None:
        self.signals: list[int] = []

    def send_signal(self, number: int) -> None:
        """It hears all of them."""
        self.signals.append(number)

    def poll(self) -> int | None:
        """None: it runs."""
        return self.returncode

    def kill(self) -> None:
        """As SIGKILL does."""
        self.returncode = -9

    def wait(self, timeout: float) -> int:
        """Gone at once."""
        return 0


class Bench:
    """A LearnerProcess, and the ROUTER of the learner that it talks to.

    spawned   the children that it has started
    """

    def __init__(
        self, folder: Path, spawned: list[Child], *, remote: bool, lockstep: bool = False
    ) -> None:
        self.spawned = spawned
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.endpoint = f"ipc://{folder}/learner.sock"
        self.router.bind(self.endpoint)
        self.learner = LearnerProcess(
            self.context,
            zmq.Poller(),
            Learning(),
            seed=0,
            state_dir=folder,
            runtime_dir=folder,
            lockstep=lockstep,
            endpoint=self.endpoint if remote else None,
        )
        self.peer = b""

    def hear(self) -> str:
        """The operation of the next message at the learner; who sent it is answered from then."""
        assert self.router.poll(WITHIN_MS), "nothing came"
        self.peer, *parts = self.router.recv_multipart()
        return link.unpack(parts)[0]

    def say(self, op: str, **values: Any) -> None:
        """The learner says so, and the daemon has heard it."""
        self.router.send_multipart([self.peer, *link.pack(op, **values)])
        give_up_at = time.monotonic() + WITHIN_MS / 1000
        while op not in [said[0] for said in self.learner.receive()]:
            assert time.monotonic() < give_up_at, "never heard"
            time.sleep(0.01)

    def greet(self) -> None:
        """Answer the greeting."""
        assert self.hear() == "hello"
        self.say("ready", step=0)

    def through(self, seconds: int) -> None:
        """So many turns of the daemon, one a second."""
        for second in range(seconds + 1):
            self.later(second)

    def later(self, seconds: float) -> None:
        """A turn of the daemon, as if so much later."""
        self.learner.pump(time.monotonic() + seconds)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    """`bench(remote=..., lockstep=...)`: a daemon's side that has started; no child has a body."""
    made: list[Bench] = []
    spawned: list[Child] = []

    def spawn(*_: Any, **__: Any) -> Child:
        spawned.append(Child())
        return spawned[-1]

    monkeypatch.setattr(subprocess, "Popen", spawn)

    def make(*, remote: bool, lockstep: bool = False) -> Bench:
        made.append(Bench(tmp_path, spawned, remote=remote, lockstep=lockstep))
        made[-1].learner.start()
        return made[-1]

    yield make
    for each in made:
        each.learner.close()
        each.router.close(linger=0)
        each.context.term()


def test_a_child_that_forgot_us_is_greeted_and_has_no_twin(bench: Callable[..., Any]) -> None:
    """`stranger` from a child that runs: the link is made anew, and no second learner."""
    own = bench(remote=False)
    own.greet()
    own.say("stranger")
    assert not own.learner.state.up
    own.later(60)
    own.greet()
    state = own.learner.state
    assert (state.up, state.restarts, state.cuts, len(own.spawned)) == (True, 0, 1, 1)


def test_a_child_that_hangs_is_killed_and_started_again(bench: Callable[..., Any]) -> None:
    """Silent for `hang_timeout_s` while it is up: it would take no pair, and publish no model."""
    own = bench(remote=False)
    own.greet()
    with capture_logs() as logs:
        own.through(119)
        assert own.learner.state.up
        own.through(123)
    assert [log["event"] for log in logs] == ["learner_hung", "learner_ended"]
    state = own.learner.state
    assert (state.exit_status, state.restarts, len(own.spawned)) == (-9, 1, 2)


def test_a_child_that_loads_for_long_is_no_hanging_one(bench: Callable[..., Any]) -> None:
    """Before `ready` it says nothing: a slow disk, a teacher on a small processor."""
    own = bench(remote=False)
    assert own.hear() == "hello"
    own.through(1000)
    assert len(own.spawned) == 1


def test_only_a_child_that_is_up_is_hurried_and_once(bench: Callable[..., Any]) -> None:
    """Before, the signal would be its end; a remote learner makes models for others, too."""
    own = bench(remote=False)
    own.learner.hurry()
    (child,) = own.spawned
    assert child.signals == []
    own.greet()
    own.learner.hurry()
    own.learner.hurry()
    assert child.signals == [HURRY]
    other = bench(remote=True)
    other.greet()
    other.learner.hurry()
    assert own.spawned == [child]
    assert child.signals == [HURRY]


def test_a_child_that_cannot_die_holds_nobody_up(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a disk that hangs keeps after SIGKILL is left to it: the daemon ends in time."""
    own = bench(remote=False)

    def wait(child: Child, timeout: float) -> int:
        raise subprocess.TimeoutExpired("learner", timeout)

    monkeypatch.setattr(Child, "wait", wait)
    own.learner.close()
    assert own.spawned[0].returncode == -9


@pytest.mark.parametrize(("remote", "lockstep"), [(True, False), (False, True)])
def test_who_may_be_silent_is_not_killed(
    bench: Callable[..., Any], remote: bool, lockstep: bool
) -> None:
    """One elsewhere is not ours to end; in lock-step everything waits for it."""
    one = bench(remote=remote, lockstep=lockstep)
    one.greet()
    with capture_logs() as logs:
        one.through(300)
    assert "learner_hung" not in [log["event"] for log in logs]


def test_it_was_the_machine_that_stood_still(bench: Callable[..., Any]) -> None:
    """After a suspension of both, the learner is given its time before it counts as hanging."""
    own = bench(remote=False)
    own.greet()
    own.later(0)
    own.later(1000)
    assert own.learner.state.up


def test_a_silent_learner_is_greeted_again(bench: Callable[..., Any]) -> None:
    """One that has lost us from sight would never be told by us, with no pair to send."""
    far = bench(remote=True)
    far.greet()
    far.later(59)
    assert far.learner.state.up
    far.later(61)
    assert (far.learner.state.up, far.learner.state.cuts) == (False, 1)
    far.later(70)
    far.greet()
    assert far.learner.state.up


def test_a_learner_that_nobody_starts_is_named_once(bench: Callable[..., Any]) -> None:
    """With where it should be, and what to do; again after the next outage alone."""
    far = bench(remote=True)
    with capture_logs() as logs:
        far.later(9)
        assert logs == []
        far.later(11)
        far.later(12)
        (event,) = logs
        assert (event["event"], event["endpoint"]) == ("learner_not_reached", far.endpoint)
        assert "--learner" in event["remedy"]
        far.greet()
        far.later(12)
        assert len(logs) == 1


def test_a_refusal_does_not_outlive_who_refused(bench: Callable[..., Any]) -> None:
    """It is told while it is repeated, and not of a learner that is not there any more."""
    far = bench(remote=True)
    assert far.hear() == "hello"
    far.say("refused", reason="lock-step")
    far.later(1)
    assert far.learner.state.refused == "lock-step"
    far.later(12)
    assert far.learner.state.refused == ""


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1", "tcp://*:5570"])
def test_a_learner_that_is_no_endpoint_is_refused(tmp_path: Path, endpoint: str) -> None:
    """Before anything is bound or started, by its name."""
    config = replace(Config(), learner=endpoint)
    with pytest.raises(ConfigError, match=re.escape(endpoint)):
        build(
            config,
            state_dir=tmp_path,
            runtime_dir=tmp_path,
            reload=None,
            configure_logs=lambda _: None,
        )


def test_no_image_is_too_long_for_the_link() -> None:
    """A part beyond MOST_BYTES ends the connection, so no setting lets one in."""
    high = slots()["intake.max_image_bytes"].high
    assert high is not None
    assert Intake().max_image_bytes <= high < link.MOST_BYTES
