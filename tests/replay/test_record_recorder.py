"""The recorder against a daemon of the test's own: taps out of reach, and those that come anew."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from rvsense.replay.recording import recorder
from rvsense.replay.recording.caps import Caps
from rvsense.replay.recording.recorder import (
    Listener,
    RecordSettings,
    UnreachedError,
    record,
)
from rvsense.replay.recording.segments import Segments

CAPS = Caps(segment_bytes=10**6, segment_s=60, most_bytes=10**9, free_bytes=0)


@contextmanager
def answering(endpoint: str, reply: dict[str, Any]) -> Iterator[None]:
    """A requests endpoint that gives one answer to everything."""
    done = threading.Event()

    def work(socket: "zmq.Socket[bytes]") -> None:
        while not done.is_set():
            if socket.poll(20):
                sender, *_, body = socket.recv_multipart()
                number = msgpack.unpackb(body)["id"]
                answer = {"v": 1, "id": number, "ok": True} | reply
                socket.send_multipart([sender, msgpack.packb(answer)])

    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.bind(endpoint)
        thread = threading.Thread(target=work, args=(socket,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def test_a_tap_out_of_reach_is_said_and_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon answers, but its tap is on another machine: once while it goes, and at the end."""
    monkeypatch.setattr(recorder, "REACH_S", 0.1)
    requests, tap = f"ipc://{tmp_path}/requests", f"ipc://{tmp_path}/elsewhere/tap-1"
    reply = {"endpoint": tap, "attached": False, "seq": 0, "ended_seq": None}
    settings = RecordSettings(tmp_path / "out", requests, CAPS, seconds=1.0)
    with answering(requests, reply), pytest.raises(UnreachedError, match="nothing was rec") as end:
        record(settings)
    assert end.value.status == 1
    assert capsys.readouterr().err.count(f"cannot reach {tap}: run on the daemon's machine") == 1


@pytest.mark.parametrize(("ended_seq", "lost"), [(7, {"tap": 4}), (None, {})])
def test_a_tap_that_comes_anew(ended_seq: int | None, lost: dict[str, int], tmp_path: Path) -> None:
    """What the old one had and never came is lost; where that is not known, it is interrupted."""
    segments = Segments(tmp_path / "out", CAPS, lambda _: None)
    with zmq.Context() as context:
        listener = Listener(context, segments)
        with context.socket(zmq.PUSH) as tap:
            tap.bind(f"ipc://{tmp_path}/tap-1")
            listener.listen_at(f"ipc://{tmp_path}/tap-1")
            for seq in range(3):
                head = {"kind": "label", "site": "east", "seq": seq, "received_ns": 1}
                tap.send_multipart([msgpack.packb(head | {"stamp_ns": 1}), b"\x80"])
            while not listener.through(3) or not segments.books.kept:
                assert listener.take(5000)
            listener.listen_at(f"ipc://{tmp_path}/tap-2", ended_seq)
        listener.close(None)
    segments.close()
    books = segments.books
    assert (books.kept["label"], books.lost, books.interruptions) == (3, lost, 1)


HEAD = {"kind": "camera", "site": "east", "seq": 1, "received_ns": 10**18, "stamp_ns": 5}


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"\xc1", b"h", b"p"],
        [msgpack.packb({"kind": "hello"})],
        [msgpack.packb(HEAD | {"seq": "1"}), b"h", b"p"],
        [msgpack.packb(HEAD | {"seq": -1}), b"h", b"p"],
        [msgpack.packb(HEAD | {"stamp_ns": 2**63}), b"h", b"p"],
        [msgpack.packb(HEAD | {"received_ns": None}), b"h", b"p"],
        [msgpack.packb(HEAD | {"site": "../east"}), b"h", b"p"],
        [msgpack.packb(HEAD)],
        [msgpack.packb(HEAD), b"h", b"p", b"more"],
    ],
)
def test_what_is_out_of_form_is_counted_and_costs_nothing_else(
    parts: list[bytes], tmp_path: Path
) -> None:
    """A daemon of another version, say; the next message is kept."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as tap:
        tap.linger = 0
        tap.bind(at := f"ipc://{tmp_path}/tap")
        segments = Segments(tmp_path / "out", CAPS, lambda _: None)
        listener = Listener(context, segments)
        listener.listen_at(at)
        for message in (parts, [msgpack.packb(HEAD), b"h", b"p"]):
            tap.send_multipart(message)
            assert listener.take(10_000)
        listener.close(None)
        segments.close()
    assert segments.books.lost == {"form": 1}
    assert segments.books.kept == {"camera": 1}
