"""Listening sockets: where they listen, and how much of a message is let in."""

import contextlib
import socket as sockets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from rvsense.client import Subscriber
from rvsense.config import Intake
from rvsense.daemon.learner_link import LearnerLink
from rvsense.daemon.sockets import HEADER_BYTES, bind, intake_message_bytes, request_message_bytes
from rvsense.errors import ConfigError
from rvsense.replay.sender import Sender
from rvsense.requesting import NoAnswerError, Requester


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    with contextlib.suppress(OSError), sockets.socket(sockets.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    """One that closes its sockets."""
    it = zmq.Context()
    it.linger = 0
    yield it
    it.destroy(linger=0)


def test_room_is_made_for_the_largest_frame_and_little_more() -> None:
    """An image or the heatmap of the most chirps, whichever is larger, fits with its header."""
    few = Intake(max_chirps=1, max_image_bytes=5_000_000)
    assert intake_message_bytes(few) == 5_000_000 + HEADER_BYTES
    assert request_message_bytes(few) == 128 * 128 * 2 * 4 + HEADER_BYTES
    many = Intake(max_chirps=255, max_image_bytes=1024)
    assert intake_message_bytes(many) == 255 * 128 * 128 * 2 * 4 + HEADER_BYTES
    assert request_message_bytes(many) == intake_message_bytes(many)


def test_a_larger_message_is_not_let_in(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    """What is allowed arrives whole; one byte more never does, and others are still heard."""
    pull, endpoint = bind(
        context, zmq.PULL, "tcp://127.0.0.1:0", "--intake", max_message_bytes=10_000
    )

    def send(count: int) -> bool:
        push = context.socket(zmq.PUSH)
        push.connect(endpoint)
        push.send(b"x" * count)
        came = bool(pull.poll(300 if count > 10_000 else 5000))
        push.close(linger=0)
        return came and len(pull.recv()) == count

    came = [send(count) for count in (10_000, 10_001, 10_000)]
    pull.close()
    assert came == [True, False, True]


def test_a_path_may_end_as_a_free_port_does(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    """`ipc://…:0` is a file of that very name."""
    made, _ = bind(context, zmq.PULL, f"ipc://{tmp_path}/a:0", "--intake", max_message_bytes=9)
    made.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a:0"]


def test_a_path_is_taken_from_nobody(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    """ZeroMQ removes what is there: not one who listens, nor a file. What is left over goes."""
    there, file = tmp_path / "there", tmp_path / "file"
    file.write_text("mine")

    def listen(path: Path) -> "zmq.Socket[bytes]":
        return bind(context, zmq.PULL, f"ipc://{path}", "--intake", max_message_bytes=10_000)[0]

    with listen(there) as first:
        with pytest.raises(ConfigError, match=r"there is in use; choose another with --intake"):
            listen(there)
        with context.socket(zmq.PUSH) as push:
            push.connect(f"ipc://{there}")
            push.send(b"x")
            assert first.poll(5000)
    with pytest.raises(ConfigError, match=r"file is a file; choose another with --intake"):
        listen(file)
    assert file.read_text() == "mine"
    with sockets.socket(sockets.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "left over"))
    listen(tmp_path / "left over").close()


@pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")
def test_an_address_of_ipv6_can_be_used(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    """It can be bound, and everything of ours that connects to one does: each says its first."""

    def listen(kind: int) -> tuple["zmq.Socket[bytes]", str]:
        return bind(context, kind, "tcp://[::1]:0", "--x", max_message_bytes=10_000)

    (results, results_at), (requests, requests_at) = listen(zmq.XPUB), listen(zmq.ROUTER)
    (intake, intake_at), (learner, learner_at) = listen(zmq.PULL), listen(zmq.ROUTER)
    link = LearnerLink(context, zmq.Poller(), learner_at, lockstep=False, remote=True)
    link.connect()
    with Subscriber(results_at), Requester(requests_at) as asking:
        with contextlib.suppress(NoAnswerError):
            asking.ask("status", timeout_s=0.5)
        with Sender(intake_at, threading.Event()) as sender:
            assert sender.ready()
        came = [bool(one.poll(5000)) for one in (results, requests, learner)]
    link.disconnect()
    for one in (results, requests, intake, learner):
        one.close()
    assert came == [True, True, True]


def test_a_receiver_that_pauses_loses_nothing(
    context: "zmq.Context[zmq.Socket[bytes]]",
) -> None:
    """Heartbeats on the intake would cut off senders that lock-step makes wait."""
    pull, _ = bind(context, zmq.PULL, "tcp://127.0.0.1:0", "--intake", max_message_bytes=10_000)
    router, _ = bind(context, zmq.ROUTER, "tcp://127.0.0.1:0", "--requests", max_message_bytes=9)
    assert pull.getsockopt(zmq.HEARTBEAT_IVL) == 0
    assert int(router.getsockopt(zmq.HEARTBEAT_IVL)) > 0
    pull.close()
    router.close()
