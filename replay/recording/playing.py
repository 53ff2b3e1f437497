"""A recording as a source for the player: its frames as they came, in the order they came.

Rules:
- Each message is sent to the byte as it was taken in; answers are not sent.
- It is due when it was taken in, counted from the first. Where the clock stepped back between two
  messages the second comes a period later; a longer silence than `GAP_NS` between two recordings
  in one folder is played as one of that length, and said.
- A pass plays what the first one found: a recording may grow meanwhile, or lose its oldest files.
- A further pass goes on where the last one ended: epochs and numbers are raised by what the
  first pass used, so that no frame is taken for one of an earlier pass. Labels are told once.
- Labels are those that were recorded: the source had chosen them. Asked for a share of 0, none
  is learned from.
- What is damaged takes its place in the order as an error, and is counted.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgpack

from rvsense import wire
from rvsense.errors import DatasetError, FrameError
from rvsense.frames import Kind
from rvsense.replay.recording.form import NOTE, Message
from rvsense.replay.recording.reader import Findings, messages, segments
from rvsense.replay.sender import Packed
from rvsense.replay.stamps import PERIOD_NS

GAP_NS = 10 * 10**9


@dataclass(frozen=True, slots=True)
class Due:
    """One recorded message, or the damage that stands in its place."""

    kind: Kind
    play_ns: int
    loop: int
    parts: Sequence[bytes | memoryview] = ()
    damage: str = ""

    def messages(self) -> list[Packed]:
        """What to send. Raises FrameError, `damaged_recording`, where nothing can be."""
        if self.damage:
            raise FrameError("damaged_recording", self.damage)
        return [Packed(self.kind, self.parts)]


@dataclass(slots=True)
class _Span:
    """The numbers that the first pass used."""

    low: int
    high: int

    @property
    def length(self) -> int:
        return self.high - self.low + 1


@dataclass(slots=True)
class _Used:
    epochs: dict[str, _Span] = field(default_factory=dict)
    seqs: dict[tuple[str, str], _Span] = field(default_factory=dict)
    ends: dict[Path, int] = field(default_factory=dict)
    """Where the first pass found the end of each file."""

    def note(self, head: dict[str, Any]) -> None:
        _widen(self.epochs, head["site"], head["epoch"])
        _widen(self.seqs, (head["site"], head["kind"]), head["seq"])

    def raised(self, head: dict[str, Any], loop: int) -> dict[str, Any]:
        if head["site"] not in self.epochs or (head["site"], head["kind"]) not in self.seqs:
            self.note(head)
        epoch = head["epoch"] + loop * self.epochs[head["site"]].length
        seq = head["seq"] + loop * self.seqs[head["site"], head["kind"]].length
        return head | {"epoch": epoch, "seq": seq}


@dataclass(slots=True)
class _Clock:
    """When messages are due, from when they were taken in: time only goes forward."""

    play_ns: int
    last_ns: int | None = None
    recording: str | None = None

    def due(self, received_ns: int, recording: str | None) -> int:
        step_ns = 0 if self.last_ns is None else received_ns - self.last_ns
        if -PERIOD_NS <= step_ns < 0:
            return self.play_ns  # two that only changed places
        if step_ns < 0:
            step_ns = PERIOD_NS
        elif step_ns > GAP_NS and recording != self.recording:
            silent_s = round(step_ns / 1e9)
            print(
                f"rvsense replay: {recording} begins {silent_s} s after the recording before it; "
                f"{GAP_NS // 10**9} s of them are played",
                file=sys.stderr,
            )
            step_ns = GAP_NS
        self.play_ns += step_ns
        self.last_ns, self.recording = received_ns, recording
        return self.play_ns


class Recording:
    """A recording that can be played.

    Raises:
        DatasetError: there is none at `path`, or it holds no frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = segments(path)
        frames = (item for file in self._files for item in messages(file, Findings()))
        if not any(item.kind in ("radar", "camera") for item in frames):
            raise DatasetError(f"empty recording at {path}: no frame in it can be read")

    def slots(self, *, forever: bool, teach: bool = True, score: bool = True) -> Iterator[Due]:
        """Everything that is to be sent, in order; without end when `forever`.

        Args:
            teach: recorded labels may be learned from; else they are for scoring alone.
            score: send labels that are for scoring alone.
        """
        used = _Used()
        clock = _Clock(0)
        for loop in count() if forever else range(1):
            frames = 0
            for due in self._pass(loop, clock, used):
                frames += due.kind != "label" and not due.damage
                if due.kind != "label" or due.damage:
                    yield due
                elif loop == 0 and (label := _label(due, teach=teach, score=score)):
                    yield label
            if not frames:
                return  # every file has gone: another pass would be as empty
            clock = _Clock(clock.play_ns + PERIOD_NS)

    def _pass(self, loop: int, clock: _Clock, used: _Used) -> Iterator[Due]:
        for file in self._files:
            findings = Findings()
            told = 0
            for due in self._file(file, findings, loop, clock, used):
                if loop == 0 or not due.damage:
                    yield due
                if loop == 0:
                    for damage in findings.damage[told:]:
                        yield Due("radar", clock.play_ns, loop, damage=damage)
                    told = len(findings.damage)
            if loop == 0:
                for damage in findings.damage[told:]:
                    yield Due("radar", clock.play_ns, loop, damage=damage)
                used.ends[file] = findings.whole_bytes

    def _file(
        self, file: Path, findings: Findings, loop: int, clock: _Clock, used: _Used
    ) -> Iterator[Due]:
        """What one file holds, up to where the first pass found its end."""
        try:
            for message in messages(file, findings):
                if loop and findings.whole_bytes >= used.ends[file]:
                    return
                if message.kind == "result":
                    continue
                play_ns = clock.due(message.received_ns, findings.noted(NOTE, "recording"))
                try:
                    yield _due(message, loop, play_ns, used)
                except FrameError as error:
                    yield Due(message.kind, play_ns, loop, damage=f"{file.name}: {error.detail}")
        except (DatasetError, OSError) as error:
            findings.damage.append(str(error))


def _due(message: Message, loop: int, play_ns: int, used: _Used) -> Due:
    assert message.kind != "result"
    head = wire.unpack_map(message.parts[0])
    for key, kind in (("kind", str), ("site", str), ("seq", int), ("epoch", int)):
        if type(head.get(key)) is not kind:
            raise FrameError("bad_field", f"{key} of a recorded header is {head.get(key)!r:.40}")
    if _in_range(head)["kind"] != message.kind:
        raise FrameError("bad_field", f"a {head['kind']!r:.40} among the {message.kind} messages")
    parts = message.parts
    if loop == 0:
        used.note(head)
    else:
        parts = [msgpack.packb(_in_range(used.raised(head, loop))), *parts[1:]]
    return Due(message.kind, play_ns, loop, parts)


def _in_range(head: dict[str, Any]) -> dict[str, Any]:
    if not (0 <= head["seq"] <= wire.INT64_MAX and 0 <= head["epoch"] <= wire.INT64_MAX):
        raise FrameError("bad_field", "seq or epoch of a recorded header is out of range")
    return head


def _label(due: Due, *, teach: bool, score: bool) -> Due | None:
    head = msgpack.unpackb(due.parts[0])
    learned = head.get("purpose", "train") == "train"
    if learned and not teach:
        head["purpose"] = "score"
        due = Due(due.kind, due.play_ns, due.loop, [msgpack.packb(head)])
    return due if (learned and teach) or score else None


def _widen(spans: dict[Any, _Span], key: object, value: int) -> None:
    span = spans.setdefault(key, _Span(value, value))
    span.low, span.high = min(span.low, value), max(span.high, value)
