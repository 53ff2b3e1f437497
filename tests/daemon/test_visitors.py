"""One connection of many is ended, and no other."""

import os
from socket import socketpair
from types import SimpleNamespace
from typing import Any

import zmq

from rvsense.denials import Denials
from rvsense.lobby import MOST_TOPICS, Lobby
from rvsense.visitors import hang_up


def test_only_the_socket_that_was_seen_is_ended() -> None:
    """Not who has its descriptor by now, nor what is no socket; and no copy stays open."""
    opened = len(os.listdir("/proc/self/fd"))
    one, other = socketpair()
    with one, other, open(os.devnull) as file:
        inode = os.fstat(one.fileno()).st_ino
        assert not hang_up(one.fileno(), inode + 1)
        assert not hang_up(file.fileno(), os.fstat(file.fileno()).st_ino)
        assert other.send(b"still here") > 0
        assert one.recv(100) == b"still here"
        assert hang_up(one.fileno(), inode)
        assert other.recv(100) == b""
    assert not hang_up(one.fileno(), inode)
    assert len(os.listdir("/proc/self/fd")) <= opened


def test_what_one_left_behind_is_not_the_next_one_s() -> None:
    """Subscriptions of a connection that has ended come late, and its descriptor is used again."""
    lobby = Lobby(zmq.Poller(), 10, Denials())
    ours, theirs = socketpair()
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket, ours, theirs:
        lobby.watch(socket, "results")
        late: Any = SimpleNamespace(get=lambda _: ours.fileno(), bytes=b"\x01status")
        for _ in range(MOST_TOPICS):
            assert lobby.hears_out("results", late, 0.0)
        lobby._note("results", zmq.EVENT_ACCEPTED, ours.fileno(), 0.0)
        assert lobby.hears_out("results", late, 0.0)
        assert lobby.connections() == {"results": 1}
        lobby.close()
