"""The learner's door: daemons with a key come in, whatever the learner is doing meanwhile."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq
from structlog.testing import capture_logs

from rvsense import curve, keyring, link
from rvsense.config import Access
from rvsense.daemon.learner_link import LearnerLink
from rvsense.errors import ConfigError
from rvsense.inlet import MOST_PARTS, Inlet
from rvsense.learner import door

WITHIN_MS = 10_000


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """The learner's folder of keys."""
    keyring.new_server(tmp_path / "keys")
    return tmp_path / "keys"


@dataclass
class Learner:
    """The learner's socket, which nobody polls: it is busy with a step."""

    socket: "zmq.Socket[bytes]"
    at: str
    reload: threading.Event
    door: door.Door

    def read_again(self) -> None:
        """As SIGHUP does."""
        self.reload.set()
        wait_for(lambda: not self.reload.is_set())

    def hears(self) -> str | None:
        """The next message's operation; None from one who is not admitted any more."""
        assert self.socket.poll(WITHIN_MS)
        frames = self.socket.recv_multipart(copy=False)
        return (
            link.unpack([one.bytes for one in frames[1:]])[0] if self.door.admits(frames) else None
        )


@pytest.fixture
def learner(ring: Path) -> Iterator[Learner]:
    """One with keys, which allows nobody yet."""
    reload = threading.Event()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        with door.guarded(context, socket, str(ring), reload) as found:
            socket.bind("tcp://127.0.0.1:*")
            at = socket.getsockopt_string(zmq.LAST_ENDPOINT)
            yield Learner(socket, at, reload, found)


@pytest.fixture
def daemon() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    """A daemon's context."""
    context = zmq.Context()
    context.linger = 0
    yield context
    context.destroy(linger=0)


def new_link(context: "zmq.Context[zmq.Socket[bytes]]", at: str, keys: Path | None) -> LearnerLink:
    """A daemon's end of the link, connected."""
    found = curve.client_keys(keys, {})
    made = LearnerLink(context, zmq.Poller(), at, lockstep=False, remote=True, keys=found)
    made.connect()
    return made


def test_a_daemon_with_a_key_is_heard(
    ring: Path, learner: Learner, daemon: "zmq.Context[zmq.Socket[bytes]]"
) -> None:
    """From the reload on; before it, it is told that it is kept out."""
    bundle = keyring.new_client(ring, "daemon", "north")
    early = new_link(daemon, learner.at, bundle)
    wait_for(lambda: early.broken)
    assert early.denied
    early.disconnect()
    learner.read_again()
    later = new_link(daemon, learner.at, bundle)
    assert learner.hears() == "hello"
    assert not later.broken
    later.disconnect()


def test_a_reload_is_told(ring: Path, learner: Learner) -> None:
    """Whether others are let in now; or what was wrong, and the list stands."""
    keyring.new_client(ring, "daemon", "north")
    with capture_logs() as logs:
        learner.read_again()
        wait_for(lambda: len(logs) == 1)
        ring.rename(ring.with_name("away"))
        learner.read_again()
        wait_for(lambda: len(logs) == 2)
    assert [log["event"] for log in logs] == ["reloaded", "reload_refused"]
    assert logs[0]["applied"] == ["access.keys"]


@pytest.mark.parametrize("silent", [False, True])
def test_revoking_cuts_a_daemon_off_and_no_other(
    ring: Path, learner: Learner, daemon: "zmq.Context[zmq.Socket[bytes]]", silent: bool
) -> None:
    """At the reload who was heard of, at its first word who was silent until then."""
    bad, good = (keyring.new_client(ring, "daemon", name) for name in ("bad", "good"))
    learner.read_again()
    staying = new_link(daemon, learner.at, good)
    assert learner.hears() == "hello"
    leaving = new_link(daemon, learner.at, bad)
    if silent:
        assert learner.socket.poll(WITHIN_MS)  # it has come, and was not looked at
    else:
        assert learner.hears() == "hello"
    keyring.revoke(ring, "daemon", "bad")
    learner.read_again()
    if silent:
        assert learner.hears() is None
    wait_for(lambda: leaving.broken)
    assert not staying.broken
    leaving.disconnect()
    staying.disconnect()


@pytest.mark.parametrize("role", ["device", "subscriber", "operator", None])
def test_nobody_else_is(
    ring: Path, learner: Learner, daemon: "zmq.Context[zmq.Socket[bytes]]", role: str | None
) -> None:
    """No other role, and no daemon without keys."""
    bundle = keyring.new_client(ring, role, "other") if role else None
    learner.read_again()
    knocking = new_link(daemon, learner.at, bundle)
    wait_for(lambda: knocking.broken)
    assert not learner.socket.poll(200)
    knocking.disconnect()


@pytest.mark.parametrize("endpoint", ["tcp://*:5570", "tcp://10.0.0.1:5570", "tcp://eth0:1"])
def test_what_other_machines_reach_needs_keys(endpoint: str) -> None:
    """Or the word that the risk is taken."""
    with pytest.raises(ConfigError, match=r"--keys.*--insecure"):
        door.check(endpoint, Access())
    door.check(endpoint, Access(keys="somewhere"))
    door.check(endpoint, Access(insecure=True))


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5570", "ipc:///run/learner"])
def test_what_stays_on_this_machine_needs_none(endpoint: str) -> None:
    """Loopback and ipc."""
    door.check(endpoint, Access())


def wait_for(what: object) -> None:
    """Poll; only a failure takes long."""
    assert callable(what)
    until = time.monotonic() + WITHIN_MS / 1e3
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_message_of_far_too_many_parts_cuts_its_daemon_off(
    ring: Path, learner: Learner, daemon: "zmq.Context[zmq.Socket[bytes]]"
) -> None:
    """And no other: it greets again, and is heard."""
    bundles = [keyring.new_client(ring, "daemon", name) for name in ("north", "south")]
    learner.read_again()
    bad, good = (new_link(daemon, learner.at, bundle) for bundle in bundles)
    assert [learner.hears() for _ in range(2)] == ["hello", "hello"]
    bad.send([b"x"] * 50)
    inlet = Inlet(learner.socket)
    assert learner.socket.poll(WITHIN_MS)
    message = inlet.take()
    assert message is not None
    assert len(message) == MOST_PARTS + 1
    learner.door.admits(message)
    wait_for(lambda: bad.broken)
    assert not good.broken
    good.send(link.pack("drain"))
    while (message := inlet.take()) is None:
        assert learner.socket.poll(WITHIN_MS)
    assert link.unpack([part.bytes for part in message[1:]])[0] in ("drain", "hello")
    for one in (bad, good):
        one.disconnect()
