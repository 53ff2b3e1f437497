"""`rvsense replay`: send a dataset or a recording over ZeroMQ, in time or as fast as it is taken.

Clocked, frames go out at `speed` times the source's rate against a monotonic clock. At speed
max the socket alone sets the pace: sending waits for the receiver, and nothing is dropped.
Either way the frames, their order, stamps and numbers are the same.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType

from rvsense.errors import UsageError
from rvsense.replay.ahead import Read, read_ahead
from rvsense.replay.pacing import Pacer
from rvsense.replay.plan import Labels, Slot, plan
from rvsense.replay.recording.playing import Due, Recording
from rvsense.replay.report import Tally
from rvsense.replay.sender import Sender
from rvsense.replay.sequence import Dataset
from rvsense.replay.sources import Source, open_source

LOWEST_SPEED, HIGHEST_SPEED = 0.001, 1000.0
_PARENT_CHECK_S = 0.5


@dataclass(frozen=True, slots=True)
class PlayerSettings:
    """What a player is asked for. `speed` None is max, lock-step with the receiver."""

    path: str | os.PathLike[str]
    to: str
    speed: float | None = 1.0
    loop: bool = False
    labels: float | None = None
    """Share of the annotations to learn from; None: none of a dataset, as recorded."""
    score: bool = False
    seed: int = 0
    json: bool = False
    keys: str | os.PathLike[str] | None = None
    until_pid: int | None = None
    """Stop once this process is no longer the parent: a killed daemon leaves no player behind."""

    def __post_init__(self) -> None:
        if self.speed is not None and not LOWEST_SPEED <= self.speed <= HIGHEST_SPEED:
            raise UsageError(
                f"--speed {self.speed:g}: {LOWEST_SPEED:g} to {HIGHEST_SPEED:g}, or max, expected"
            )
        if self.labels is not None and not 0 <= self.labels <= 1:
            raise UsageError(f"--labels {self.labels:g}: a fraction from 0 to 1 expected")


def main(settings: PlayerSettings) -> int:
    """Play until the end or a signal, then report; the process's exit status.

    The first SIGINT or SIGTERM stops sending, and a wait for the receiver to take the rest.

    Raises:
        DatasetError, UsageError: before anything is sent.
    """
    source = open_source(settings.path)
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    if settings.until_pid is not None:
        watch = partial(_stop_with_parent, settings.until_pid, stop)
        threading.Thread(target=watch, name="parent", daemon=True).start()
    try:
        tally = play(source, settings, stop)
    finally:
        stop.set()
        for number, handler in before.items():
            signal.signal(number, handler)
    if settings.json:
        print(tally.as_json(), flush=True)
    else:
        print(tally.as_text(), file=sys.stderr)
    return 0


def play(source: Source, settings: PlayerSettings, stop: threading.Event) -> Tally:
    """Send the frames of `source`; returns when the receiver has them, or after `stop`.

    Raises:
        UsageError: the endpoint is malformed.
    """
    tally = Tally(settings.speed)
    pacer = None if settings.speed is None else Pacer(settings.speed)
    with Sender(settings.to, stop, keys=settings.keys) as sender:
        if isinstance(source, Dataset):
            for sequence in source.sequences:
                for problem in sequence.problems:
                    _say(tally.count_rejected(problem.reason, problem.detail))
        started_s = time.monotonic()
        for item in read_ahead(_slots(source, settings), stop):
            tally.loops = item.slot.loop
            _send(item, sender, pacer, tally, stop)
        tally.loops += not stop.is_set()
        tally.seconds = time.monotonic() - started_s
    tally.delivered = sender.delivered
    if not tally.delivered:
        _say("rvsense replay: stopped before the receiver had taken everything")
    return tally


def _slots(source: Source, settings: PlayerSettings) -> Iterator[Slot | Due]:
    if isinstance(source, Recording):
        as_recorded = settings.labels is None
        return source.slots(
            forever=settings.loop,
            teach=as_recorded or settings.labels != 0,
            score=as_recorded or settings.score,
        )
    labels = Labels(settings.labels or 0.0, settings.score, settings.seed)
    return plan(source.sequences, labels, forever=settings.loop)


def _send(
    item: Read[Slot | Due], sender: Sender, pacer: Pacer | None, tally: Tally, stop: threading.Event
) -> None:
    play_ns = item.slot.play_ns
    if item.error:
        _say(tally.count_rejected(item.error.reason, item.error.detail))
        return
    if pacer:
        wait_ns = pacer.wait_ns(play_ns, time.monotonic_ns())
        if wait_ns and stop.wait(wait_ns / 1e9):
            return
    for message in item.messages:
        if sender.send_parts(message.parts):
            tally.count_sent(message.kind, play_ns, time.monotonic_ns())


def _stop_with_parent(pid: int, stop: threading.Event) -> None:
    while not stop.wait(_PARENT_CHECK_S):
        if os.getppid() != pid:
            stop.set()


def _say(line: str | None) -> None:
    if line:
        print(line, file=sys.stderr, flush=True)
