"""Messages without end, of a million parts, and what nobody asked for: cut off, and nobody else."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from rvsense.config import Serving
from rvsense.daemon.publisher import Publisher
from rvsense.inlet import MOST_PARTS, Inlet
from rvsense.lobby import HELD_BACK_BYTES
from tests.daemon.house import House, wait_until
from tests.fuzz import zmtp

PEERS = {"intake": b"PUSH", "results": b"SUB", "requests": b"DEALER"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Without keys: anybody comes in."""
    it = House(tmp_path / "keys", keys="")
    yield it
    it.close()


@contextlib.contextmanager
def flood(line: socket.socket, piece: bytes) -> Iterator[Callable[[], int]]:
    """Send `piece` again and again until the other end hangs up; tells how many bytes so far."""
    sent, over = [0], threading.Event()

    def pour() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                line.sendall(piece)
                sent[0] += len(piece)

    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    yield lambda: sent[0]
    over.set()
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    thread.join()
    line.close()


@pytest.mark.parametrize("part", [bytes(900), bytes(20)])
@pytest.mark.parametrize("entrance", PEERS)
def test_a_message_without_end_is_cut_off(house: House, entrance: str, part: bytes) -> None:
    """Soon after it is longer than any; who sends a large one slowly is not."""
    slow = zmtp.connect(house.at[entrance], PEERS[entrance])
    slow.sendall(zmtp.frame(part, zmtp.MORE))
    piece = zmtp.frame(part, zmtp.MORE) * (65_536 // len(zmtp.frame(part)))
    endless = zmtp.connect(house.at[entrance], PEERS[entrance])
    with flood(endless, piece) as sent:
        house.denied(entrance, "flood")
        wait_until(lambda: house.doors.as_map()["connections"][entrance] == 1)
        assert sent() > HELD_BACK_BYTES
    assert house.doors.denials.counts.total() == 1
    if entrance != "results":
        slow.sendall(zmtp.frame(b"the end"))
        wait_until(lambda: (entrance, b"the end") in house.heard)
    slow.close()


def test_of_too_many_parts_the_first_are_taken_and_the_next_message_is_whole() -> None:
    """What is thrown away is thrown away some at a time."""
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        endpoint = f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}"
        with context.socket(zmq.PUSH) as push:
            push.connect(endpoint)
            push.send_multipart([b"%d" % n for n in range(100_000)])
            push.send_multipart([b"next", b"one"])
            inlet, turns = Inlet(pull), 0
            taken: list[list[bytes]] = []
            while len(taken) < 2:
                assert pull.poll(10_000)
                if (message := inlet.take()) is not None:
                    taken.append([part.bytes for part in message])
                turns += 1
    assert taken == [[b"%d" % n for n in range(MOST_PARTS + 1)], [b"next", b"one"]]
    assert turns > 20


def test_who_sends_too_many_parts_is_cut_off(house: House) -> None:
    """More than any message could have by mistake."""
    for entrance in ("intake", "requests"):
        line = zmtp.connect(house.at[entrance], PEERS[entrance])
        line.sendall(zmtp.frame(b"x", zmtp.MORE) * 50 + zmtp.frame(b"y"))
        house.denied(entrance, "flood")
        assert line.recv(100) == b""
        line.close()


@pytest.mark.parametrize(
    ("says", "reason"),
    [(b"\x07hello", "flood"), (b"", "flood"), (b"\x00never", "topics"), (b"\x01same", "topics")],
)
def test_a_subscriber_that_says_what_nobody_asked_for_is_cut_off(
    house: House, says: bytes, reason: str
) -> None:
    """ZeroMQ keeps all of it until it is read; another subscriber does not notice."""
    other = zmtp.connect(house.at["results"], b"SUB")
    odd = zmtp.connect(house.at["results"], b"SUB")
    with flood(odd, zmtp.frame(says) * 1000):
        house.denied("results", reason)
        wait_until(lambda: house.doors.as_map()["connections"]["results"] == 1)
    assert house.doors.denials.counts["results", reason] == 1
    other.sendall(zmtp.frame(b"\x01classification/"))
    wait_until(lambda: ("results", b"\x01classification/") in house.heard)
    other.close()


def test_what_a_subscriber_says_does_not_move_the_count(house: House) -> None:
    """Neither topics that it never followed, nor one that it asks for again and again."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.XPUB_VERBOSER, 1)
        endpoint = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
        publisher = Publisher(socket, Serving())

        def settle(expected: int) -> None:
            deadline = time.monotonic() + 10
            while publisher.subscribers != expected or socket.poll(50):
                publisher.handle_subscriptions()
                assert time.monotonic() < deadline, publisher.subscribers

        line = zmtp.connect(endpoint, b"SUB")
        line.sendall(zmtp.frame(b"\x00never") * 20 + zmtp.frame(b"\x01a") * 20)
        settle(1)
        line.sendall(zmtp.frame(b"\x01b") + zmtp.frame(b"\x00a"))
        settle(1)
        line.sendall(zmtp.frame(b"\x01c"))
        settle(2)
        line.close()
        settle(0)


OLD = (
    b"\x01\x00" + b"\x06\x00hello",  # ZMTP 1.0: no greeting, an identity and a message
    b"\x01\x00" + b"\x09\x00\x01status\x00"[:9],
    b"\xff" + bytes(8) + b"\x7f\x00" + b"\x00\x00" + b"\x00\x05hello",  # 1.0 with a signature
    b"\xff" + bytes(8) + b"\x7f\x01" + b"\x08" + b"\x00\x00" + b"\x00\x05hello",  # 2.0
    b"GET / HTTP/1.1\r\n" + b"x" * 100,  # a length of 71, and no identity for long
)


@pytest.mark.parametrize("words", OLD)
@pytest.mark.parametrize("entrance", PEERS)
def test_a_peer_that_tells_not_where_it_is_does_not_come_in(
    house: House, entrance: str, words: bytes
) -> None:
    """Peers of before ZeroMQ 4, and what looks like one; nobody else notices."""
    host, _, port = house.at[entrance].removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=zmtp.WITHIN_S) as old:
        old.sendall(words)
        with contextlib.suppress(OSError):  # it may have been hung up on already
            old.shutdown(socket.SHUT_WR)
            while old.recv(100):
                pass
    line = zmtp.connect(house.at[entrance], PEERS[entrance])
    line.sendall(zmtp.frame(b"\x01new"))
    wait_until(lambda: (entrance, b"\x01new") in house.heard)
    assert house.heard == [(entrance, b"\x01new")]
    line.close()
