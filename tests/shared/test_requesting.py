"""Asking a daemon: replies, refusals, silence."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from rvsense import curve
from rvsense.errors import UsageError
from rvsense.handshake import DeniedError
from rvsense.requesting import NoAnswerError, RefusedError, Requester, ask

Serve = Callable[[dict[str, Any]], list[bytes]]


@pytest.fixture
def serve() -> Iterator[Callable[[Serve], str]]:
    """`serve(answer)`: the endpoint of a daemon that replies with the parts of `answer(head)`."""
    context = zmq.Context()
    threads: list[threading.Thread] = []
    over = threading.Event()

    def start(answer: Serve) -> str:
        socket = context.socket(zmq.ROUTER)
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def work() -> None:
            while not over.is_set():
                if socket.poll(20):
                    route, head, *_ = socket.recv_multipart()
                    for part in answer(msgpack.unpackb(head)):
                        socket.send_multipart([route, part])
            socket.close(linger=0)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return f"tcp://127.0.0.1:{port}"

    yield start
    over.set()
    for thread in threads:
        thread.join()
    context.term()


def test_a_reply_is_what_was_asked_for(serve: Callable[[Serve], str]) -> None:
    """Fields go out as they are; a late answer to an older question is passed over."""

    def answer(head: dict[str, Any]) -> list[bytes]:
        stale = {"v": 1, "id": head["id"] - 1, "ok": True, "echo": "older"}
        fresh = {"v": 1, "id": head["id"], "ok": True, "echo": head["word"]}
        return [msgpack.packb(stale), msgpack.packb(fresh)]

    with Requester(serve(answer)) as requester:
        assert requester.ask("say", word="one")["echo"] == "one"
        assert requester.ask("say", word="two")["echo"] == "two"


def test_a_refusal_has_a_code_and_the_daemons_words(serve: Callable[[Serve], str]) -> None:
    """What the daemon says of it is the error's message."""

    def answer(head: dict[str, Any]) -> list[bytes]:
        error = {"code": "bad_op", "message": "no such thing"}
        return [msgpack.packb({"v": 1, "id": None, "ok": False, "error": error})]

    with pytest.raises(RefusedError, match="no such thing") as refused:
        ask(serve(answer), "fly")
    assert refused.value.code == "bad_op"


def test_silence_names_the_endpoint_and_ends() -> None:
    """Nobody there: an error within the time given, and no hanging on close."""
    with pytest.raises(NoAnswerError, match=r"no requests endpoint at tcp://127.0.0.1:9"):
        ask("tcp://127.0.0.1:9", "status", timeout_s=0.2)


def test_a_daemon_that_does_not_answer_is_told_apart(serve: Callable[[Serve], str]) -> None:
    """Something listens, takes the question and stays silent."""
    with pytest.raises(NoAnswerError, match=r"within 0.3 s: is it a daemon's requests endpoint"):
        ask(serve(lambda _: []), "status", timeout_s=0.3)


def test_questions_of_a_time_without_a_daemon_are_not_asked_later() -> None:
    """Who was away gets the next question, not all those that nobody waits for any more."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    router.unbind(f"tcp://127.0.0.1:{port}")
    with Requester(f"tcp://127.0.0.1:{port}") as requester:
        for _ in range(3):
            with pytest.raises(NoAnswerError, match="no requests endpoint"):
                requester.ask("status", timeout_s=0.05)
        router.bind(f"tcp://127.0.0.1:{port}")
        with pytest.raises(NoAnswerError, match="within 2 s"):
            requester.ask("status", timeout_s=2.0)
        assert router.poll(1000)
        assert msgpack.unpackb(router.recv_multipart()[1])["id"] == 4
        assert not router.poll(100)
    context.destroy(linger=0)


def test_what_is_no_daemon_is_said(serve: Callable[[Serve], str]) -> None:
    """A reply that is no map is not taken for one."""
    with pytest.raises(RefusedError, match="no rvsense daemon"):
        ask(serve(lambda _: [b"\xc1"]), "status")


def test_who_hangs_up_without_a_word_may_be_full() -> None:
    """As a daemon does that has `access.max_connections`: keys would not help there."""
    with socket.create_server(("127.0.0.1", 0)) as full:

        def show_out() -> None:
            with contextlib.suppress(OSError):
                while True:
                    full.accept()[0].close()

        thread = threading.Thread(target=show_out)
        thread.start()
        with pytest.raises(DeniedError, match=r"hung up 5 times: it is full .* asks for keys, or"):
            ask(f"tcp://127.0.0.1:{full.getsockname()[1]}", "status", timeout_s=30.0)
        full.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1:0", "tcp://*:5562", ""])
def test_an_endpoint_must_be_one_to_connect_to(endpoint: str) -> None:
    """What cannot be connected to is a usage error that names it."""
    with pytest.raises(UsageError, match="endpoint"):
        ask(endpoint, "status")


def test_keys_open_the_door_and_a_lack_of_them_is_said_at_once(tmp_path: Path) -> None:
    """A daemon that asks for keys answers who has them, and nobody waits for a timeout else."""
    server, own = curve.new_pair(), curve.new_pair()
    curve.write_secret(tmp_path / curve.CLIENT_SECRET, own.secret)
    curve.write_public(tmp_path / curve.SERVER_PUBLIC, server.public)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.curve_server = True
    router.curve_publickey, router.curve_secretkey = server.public, server.secret
    endpoint = f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"

    def answer_one() -> None:
        route, head = router.recv_multipart()
        reply = {"v": 1, "id": msgpack.unpackb(head)["id"], "ok": True}
        router.send_multipart([route, msgpack.packb(reply)])

    thread = threading.Thread(target=answer_one)
    thread.start()
    assert ask(endpoint, "status", keys=tmp_path)["ok"]
    thread.join()
    began_s = time.monotonic()
    with pytest.raises(DeniedError, match="asks for keys"):
        ask(endpoint, "status", timeout_s=30.0)
    assert time.monotonic() - began_s < 10
    context.destroy(linger=0)
