"""`rvsense record OUT`: keep what a running daemon takes in and answers.

The daemon never waits for this process, and this process never waits for the daemon: what was
lost between the two shows as a gap in the tap's numbers, is counted, and said.
"""

import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import zmq

from rvsense import wire
from rvsense.errors import FrameError, RvsenseError, UsageError
from rvsense.replay.recording.books import Books
from rvsense.replay.recording.caps import Caps
from rvsense.replay.recording.form import KINDS, Message
from rvsense.replay.recording.lease import Lease
from rvsense.replay.recording.segments import Segments
from rvsense.replay.recording.talk import Talk

HIGH_WATER_MESSAGES = 16
"""Few: what waits is to wait in the daemon's count, where its loss is known."""
POLL_MS = 100
DRAIN_S = 2.0
REACH_S = 3.0
"""A tap that has not found us listening by then is out of our reach."""


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """What a recorder is asked for. `seconds` None is until it is told to stop."""

    out: Path
    requests: str
    caps: Caps
    seconds: float | None = None
    proceed: bool = False
    """Add to a recording that the folder holds already."""
    keys: str | None = None
    """Folder of CURVE keys; None = as the environment says."""

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise UsageError(f"--for {self.seconds:g}: seconds above 0 expected")


def record(settings: RecordSettings) -> Books:
    """Record until a signal or the end of the time; what was kept and lost.

    Raises:
        UsageError: the folder cannot be written to.
        NoAnswerError, RefusedError: there is no daemon, or it will not be recorded.
        UnreachedError: its tap was never reached.
    """
    stop, talk = threading.Event(), Talk()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Lease(settings.requests, settings.keys) as lease:
            segments = Segments(settings.out, settings.caps, talk.say, proceed=settings.proceed)
            talk.say(f"recording to {segments.path}-*.mcap")
            endpoint = lease.endpoint
            try:
                _follow(lease, segments, stop, talk, settings.seconds)
            finally:
                talk.end()
                segments.close()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not lease.reached:
        raise UnreachedError(f"nothing was recorded: {_unreached(endpoint)}")
    return segments.books


def _follow(
    lease: Lease, segments: Segments, stop: threading.Event, talk: Talk, seconds: float | None
) -> None:
    ends_s = None if seconds is None else time.monotonic() + seconds
    with zmq.Context() as context:
        listener = Listener(context, segments)
        trouble: str | None = None
        attached_s: float | None = time.monotonic()
        while not stop.is_set() and (ends_s is None or time.monotonic() < ends_s):
            if lease.trouble != trouble:
                trouble = lease.trouble
                again = f"{trouble}; asking again"
                talk.say("the daemon is back" if trouble is None else again)
            if lease.attached or lease.endpoint is None:
                attached_s = time.monotonic()
            elif attached_s is not None and time.monotonic() - attached_s > REACH_S:
                attached_s = None  # said once
                talk.say(_unreached(lease.endpoint))
            talk.show(segments.books)
            listener.listen_at(lease.endpoint, lease.ended_seq)
            if not listener.take(POLL_MS):
                segments.idle()
        lease.end()
        drained_s = time.monotonic() + DRAIN_S
        while not listener.through(lease.end_seq) and time.monotonic() < drained_s:
            listener.take(POLL_MS)
        listener.close(lease.end_seq)


class UnreachedError(RvsenseError):
    """The daemon answers, and its tap cannot be read from here."""


def _unreached(endpoint: str | None) -> str:
    return f"cannot reach {endpoint}: run on the daemon's machine and as its user"


def tapped(parts: Sequence[memoryview]) -> tuple[int, Message | None]:
    """A message of the tap: its number, and what there is to be kept of it.

    Raises:
        FrameError: it is out of form.
    """
    values = wire.unpack_map(parts[0])
    seq = _number(values, "seq")
    kind, site = values.get("kind"), values.get("site")
    if kind not in KINDS:
        return seq, None
    if not isinstance(site, str) or not wire.SITE.fullmatch(site) or len(parts) not in (2, 3):
        raise FrameError("bad_parts", "what is to be kept has no site, or no parts")
    times = _number(values, "received_ns"), _number(values, "stamp_ns", low=-wire.INT64_MAX)
    return seq, Message(kind, site, *times, parts=parts[1:])


def _number(values: Mapping[str, Any], name: str, low: int = 0) -> int:
    value = values.get(name)
    if type(value) is not int or not low <= value <= wire.INT64_MAX:
        raise FrameError("bad_field", f"{name} of the tap is {wire.short(value)}")
    return value


class Listener:
    """The reading end of the tap, and the gaps in what comes."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", segments: Segments) -> None:
        self._context, self._segments = context, segments
        self._socket: zmq.Socket[bytes] | None = None
        self._endpoint: str | None = None
        self._next_seq: int | None = None

    def listen_at(self, endpoint: str | None, ended_seq: int | None = None) -> None:
        """Connect to the tap; to another one when the daemon has started again.

        Args:
            ended_seq: what the one before had; None where that is not known.
        """
        if endpoint is None or endpoint == self._endpoint:
            return
        if self._socket is not None:
            while self.take(0):
                pass  # what the old tap had sent on
            self._segments.books.interruptions += 1
            self.close(ended_seq)
        self._socket = self._context.socket(zmq.PULL)
        self._socket.set_hwm(HIGH_WATER_MESSAGES)
        self._socket.connect(endpoint)
        self._endpoint = endpoint

    def take(self, timeout_ms: int) -> bool:
        """Keep the next message; False when none came in time."""
        if self._socket is None:
            time.sleep(timeout_ms / 1000)
            return False
        if not self._socket.poll(timeout_ms):
            return False
        try:
            seq, message = tapped([part.buffer for part in self._socket.recv_multipart(copy=False)])
        except FrameError:  # of a daemon of another version, say
            self._segments.books.lost["form"] += 1
            return True
        self._note_gap(seq)
        if message is not None:
            self._next_seq = seq + 1
            self._segments.add(message)
        return True

    def through(self, end_seq: int | None) -> bool:
        """Whether everything has come that there was; also when that is not known."""
        return self._next_seq is None or end_seq is None or self._next_seq >= end_seq

    def close(self, end_seq: int | None) -> None:
        """Hang up; what is missing up to `end_seq` is a gap."""
        if end_seq is not None and self._next_seq is not None:
            self._note_gap(end_seq)
        if self._socket is not None:
            self._socket.close(linger=0)
        self._socket = self._endpoint = self._next_seq = None

    def _note_gap(self, seq: int) -> None:
        if self._next_seq is not None and seq > self._next_seq:
            self._segments.books.lost["tap"] += seq - self._next_seq
        self._next_seq = seq
