"""A subscriber that stops reading costs the others nothing, and sees by itself what it lost."""

from collections.abc import Iterator

import pytest
import zmq

from rvsense.daemon.sockets import SUBSCRIPTION_BYTES, bind

RESULTS, BYTES = 6000, 4096


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    """One that closes its sockets."""
    it = zmq.Context()
    it.linger = 0
    yield it
    it.destroy(linger=0)


def test_who_does_not_read_loses_the_newest_and_nobody_waits(
    context: "zmq.Context[zmq.Socket[bytes]]",
) -> None:
    """24 MB are published beside it: each send succeeds at once, the other gets all in order."""
    out, at = bind(
        context, zmq.XPUB, "tcp://127.0.0.1:0", "--results", max_message_bytes=SUBSCRIPTION_BYTES
    )
    stuck, reader = context.socket(zmq.SUB), context.socket(zmq.SUB)
    for socket in (stuck, reader):
        socket.rcvhwm = 10
        socket.subscribe(b"")
        socket.connect(at)
        assert out.poll(5000)
        out.recv()
    for n in range(RESULTS):
        out.send_multipart([b"t", n.to_bytes(4, "big") + bytes(BYTES)], zmq.NOBLOCK)
        assert reader.poll(5000)
        assert reader.recv_multipart()[1][:4] == n.to_bytes(4, "big")
    kept = []
    while stuck.poll(200):
        kept.append(int.from_bytes(stuck.recv_multipart()[1][:4], "big"))
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < RESULTS
    for socket in (out, stuck, reader):
        socket.close()
