"""What a daemon says to a recorder, and what subscribers say to a daemon, damaged."""

import contextlib
import shutil
import socket
import time
from pathlib import Path
from random import Random

import msgpack
import zmq

from rvsense.replay.recording.caps import Caps
from rvsense.replay.recording.recorder import Listener
from rvsense.replay.recording.segments import Segments
from tests.fuzz import golden, grammar, zmtp
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.ends import DaemonEnd
from tests.fuzz.mutate import mutated

CAPS = Caps(segment_bytes=10**7, segment_s=1e9, most_bytes=10**8, free_bytes=0)
HEAD = {"kind": "camera", "site": "north", "seq": 3, "received_ns": 10**18, "stamp_ns": 10**18}
WITHIN_MS = 10_000


def tapped(rng: Random) -> Case:
    """A message of the tap."""
    how = rng.choice(("bytes", "fields", "fields", "parts", "valid"))
    head: bytes = msgpack.packb(HEAD)
    if how == "bytes":
        head = mutated(head, rng)
    elif how == "fields":
        head = grammar.packed(grammar.changed(HEAD, rng), rng)
    parts = [golden.head("camera frame"), golden.jpeg()]
    if how == "parts":
        parts = rng.choice(([], parts[:1], parts * 3, [b""], [b"", b""]))
    return Case(how, [head, *parts])


class Recorder:
    """A recorder's reading end, and the tap."""

    def __init__(self, work: Path) -> None:
        self._context = zmq.Context()
        self._push = self._context.socket(zmq.PUSH)
        self._push.linger = 0
        self._push.bind(at := f"ipc://{work}/tap")
        self._folder = work / "recording"
        self.segments = Segments(self._folder, CAPS, lambda _: None)
        self._listener = Listener(self._context, self.segments)
        self._listener.listen_at(at)

    def hear(self, case: Case) -> str:
        """One message; whether it was kept, or what became of it."""
        before = self.segments.books.kept.total(), self.segments.books.lost.total()
        self._push.send_multipart(list(case.parts))
        if not self._listener.take(WITHIN_MS):
            raise BrokenError("never heard")
        kept, lost = self.segments.books.kept.total(), self.segments.books.lost.total()
        return "kept" if kept > before[0] else "lost" if lost > before[1] else "passed over"

    def close(self) -> None:
        """End both, and forget what was kept."""
        self._listener.close(None)
        self.segments.close()
        self._push.close()
        self._context.term()
        shutil.rmtree(self._folder)


def subscription(rng: Random) -> Case:
    """What a subscriber may send: frames of all kinds, right and wrong."""
    frames = []
    for _ in range(rng.choice((1, 2, 5))):
        topic = rng.choice((b"", b"status", b"classification/", rng.randbytes(300), b"x" * 1100))
        body = rng.choice((b"\x01", b"\x01", b"\x00", b"\x07", b"")) + topic
        if rng.random() < 0.2:
            body = mutated(body or b"\x01", rng)
        flags = rng.choice((0, 0, 0, zmtp.MORE, zmtp.COMMAND, 0x80))
        if flags == zmtp.COMMAND:
            word = rng.choice((b"PING", b"PONG", b"SUBSCRIBE", b"CANCEL", b"ERROR", b"READY", b"X"))
            body = bytes([len(word)]) + word + body
        data = zmtp.frame(body, flags)
        frames.append(mutated(data, rng, most=2) if rng.random() < 0.1 else data)
    return Case("frames", [b"".join(frames)])


class Subscribers:
    """Connections to a daemon's results, one after another as they are cut off."""

    def __init__(self, daemon: DaemonEnd) -> None:
        self._daemon = daemon
        self._line: socket.socket | None = None

    def say(self, case: Case) -> str:
        """Say it through a connection that is there, or a new one."""
        answer = "heard"
        if self._line is None:
            answer = "heard, newly connected"
            self._line = self._connected()
        try:
            self._line.sendall(case.parts[0])
        except OSError:
            self._line = None
        for _ in range(3):
            self._daemon.loop.turn(1)
        with contextlib.suppress(BlockingIOError, TimeoutError):
            if self._line is not None and self._gone(self._line):
                self._line.close()
                self._line, answer = None, "cut off"
        if not 0 <= self._daemon.parts.publisher.subscribers <= 300:
            raise BrokenError(f"{self._daemon.parts.publisher.subscribers} subscribers")
        return answer

    def close(self) -> int:
        """Hang up; how many subscribers are left."""
        if self._line is not None:
            self._line.close()
        until_s = time.monotonic() + WITHIN_MS / 1000
        while self._daemon.parts.publisher.subscribers and time.monotonic() < until_s:
            self._daemon.loop.turn(10)
        return self._daemon.parts.publisher.subscribers

    def _connected(self) -> socket.socket:
        line = None
        while line is None:
            with contextlib.suppress(ConnectionError):
                line = zmtp.connect(self._daemon.parts.endpoints["results"], b"SUB")
        line.setblocking(False)
        return line

    def _gone(self, line: socket.socket) -> bool:
        try:
            while data := line.recv(65_536):
                del data
        except ConnectionError:
            return True
        return True
