"""Listening sockets: how much of a message is let in."""

from collections.abc import Iterator

import pytest
import zmq

from rvsense.config import Intake
from rvsense.daemon.sockets import HEADER_BYTES, bind, intake_message_bytes, request_message_bytes


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
