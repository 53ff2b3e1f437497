"""Radars, cameras, and people who label: on clocks of their own, over a network that loses things.

A source is a site's: two streams, each with a clock that drifts and jumps, and the labels of some
frames. What it sends carries its number, so that whatever comes out can be traced to it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rvsense import wire
from rvsense.frames import (
    CLASSES,
    OBJECT_CLASSES,
    AnyFrame,
    CameraFrame,
    LabelFrame,
    RadarFrame,
    SceneClass,
    SceneObject,
)
from tests.simulate.models import HEATMAPS
from tests.simulate.scheduler import START_NS

SCENE_S = 2.0
"""How long a scene stays one class."""


@dataclass(slots=True)
class Sent:
    """A frame on its way, and the truth about it.

    life   counts the clock's jumps and restarts; stamps compare within one
    """

    number: int
    frame: AnyFrame | None
    kind: str
    site: str
    taken_ns: int
    life: int


class Message(list[bytes]):
    """The parts, and what they are."""

    def __init__(self, parts: list[Any], sent: Sent) -> None:
        super().__init__(bytes(part) for part in parts)
        self.sent = sent


@dataclass(slots=True)
class Trouble:
    """What is wrong with one stream at the moment; all zero, nothing is."""

    loss: float = 0.0
    twice: float = 0.0
    delay_s: float = 0.0
    held: bool = False
    silent: bool = False
    malformed: float = 0.0
    wrong_labels: float = 0.0


@dataclass(slots=True)
class Stream:
    """One of a site's two streams."""

    site: str
    kind: str
    period_s: float
    jitter_s: float
    offset_ns: int = 0
    drift_ppm: float = 0.0
    seq: int = 0
    epoch: int = 0
    life: int = 0
    trouble: Trouble = field(default_factory=Trouble)
    held: list[Message] = field(default_factory=list)

    def stamp_ns(self, now_ns: int) -> int:
        """What its clock shows."""
        return now_ns + self.offset_ns + round((now_ns - START_NS) * self.drift_ppm * 1e-6)

    def jump(self, by_ns: int) -> None:
        """Its clock is set."""
        self.offset_ns += by_ns
        self.life += 1

    def restart(self, *, declared: bool) -> None:
        """It starts again, and counts anew."""
        self.seq = 0
        self.epoch += declared
        self.life += 1


class Source:
    """One site.

    Args:
        later: calls a function in so many seconds.
        send: hands a message to the daemon.
        count: gives the next frame's number.
    """

    def __init__(
        self,
        site: str,
        streams: tuple[Stream, Stream],
        chance: random.Random,
        *,
        label_share: float,
        now_ns: Callable[[], int],
        later: Callable[[float, Callable[[], None]], None],
        send: Callable[[Message], None],
        count: Callable[[], int],
    ) -> None:
        self.site, self.streams = site, streams
        self.ended = False
        self._chance, self._label_share = chance, label_share
        self._now_ns, self._later, self._send, self._count = now_ns, later, send, count
        self._shift = chance.randrange(len(CLASSES))

    def start(self) -> None:
        """Begin to send; both streams are triggered together."""
        for stream in self.streams:
            self._later(0.0, self._captures(stream))

    def release(self, stream: Stream) -> None:
        """What the network held back comes, all at once and in order."""
        stream.trouble.held = False
        held, stream.held = stream.held, []
        for message in held:
            self._send(message)

    def _captures(self, stream: Stream) -> Callable[[], None]:
        due_ns = self._now_ns()

        def capture() -> None:
            nonlocal due_ns
            if self.ended:
                return
            if not stream.trouble.silent:
                self._capture(stream)
            due_ns = max(due_ns, self._now_ns() - round(stream.period_s * 1e9))
            due_ns += round(stream.period_s * 1e9)
            late_s = self._chance.uniform(0, stream.jitter_s)
            self._later(max(0.0, (due_ns - self._now_ns()) / 1e9 + late_s), capture)

        due_ns += round(stream.period_s * 1e9)
        return capture

    def _capture(self, stream: Stream) -> None:
        now_ns, chance, trouble = self._now_ns(), self._chance, stream.trouble
        number, truth = self._count(), self._truth(now_ns)
        place: dict[str, Any] = {
            "site": self.site,
            "seq": stream.seq,
            "stamp_ns": stream.stamp_ns(now_ns),
            "epoch": stream.epoch,
        }
        frame: AnyFrame
        if stream.kind == "radar":
            frame = RadarFrame(**place, source={"number": number}, heatmap=HEATMAPS[truth])
        else:
            frame = CameraFrame(**place, codec="jpeg", image=b"\xff\xd8" + number.to_bytes(8))
        stream.seq += 1
        sent = Sent(number, frame, stream.kind, self.site, now_ns, stream.life)
        message = Message(wire.encode(frame), sent)
        if chance.random() < trouble.malformed:
            message = spoilt(message, chance)
        if chance.random() >= trouble.loss:
            for _ in range(1 + (chance.random() < trouble.twice)):
                self._travel(stream, message)
        if stream.kind == "radar" and chance.random() < self._label_share:
            self._later(chance.uniform(0, 1.5), lambda: self._label(frame, CLASSES[truth], trouble))

    def _travel(self, stream: Stream, message: Message) -> None:
        delay_s = self._chance.uniform(0.0005, 0.003)
        delay_s += self._chance.uniform(0, stream.trouble.delay_s)

        def arrive() -> None:
            if stream.trouble.held:
                stream.held.append(message)
            else:
                self._send(message)

        self._later(delay_s, arrive)

    def _label(self, frame: AnyFrame, truth: SceneClass, trouble: Trouble) -> None:
        chance = self._chance
        stamp_ns = frame.stamp_ns
        names: list[SceneClass] = [] if truth == "empty" else [truth]
        if chance.random() < trouble.wrong_labels:
            names = chance.choices(OBJECT_CLASSES, k=chance.randrange(3))
            stamp_ns += chance.choice((0, 5_000_000, 10**12))
        label = LabelFrame(
            site=frame.site,
            seq=frame.seq,
            stamp_ns=stamp_ns,
            epoch=frame.epoch,
            objects=tuple(SceneObject(name, 5.0, 0.0) for name in names),
            purpose="score" if chance.random() < 0.3 else "train",
        )
        sent = Sent(self._count(), label, "label", self.site, self._now_ns(), 0)
        self._send(Message(wire.encode(label), sent))

    def _truth(self, now_ns: int) -> int:
        return (int(now_ns / 1e9 / SCENE_S) + self._shift) % len(CLASSES)


def spoilt(message: Message, chance: random.Random) -> Message:
    """A message that no daemon may take, made of one that it would."""
    sent = message.sent
    ways = [
        [b"\xc1" + message[0], *message[1:]],
        [message[0][:-3], *message[1:]],
        [message[0], message[1][:-2] if sent.kind == "radar" else b"GIF89a"],
        [message[0]],
        [*message, b"more"],
        [b"\x00" * 5000, *message[1:]],
    ]
    if sent.kind == "radar":
        ways.append([message[0], b"\x00\x7e" + message[1][2:]])  # not a number
    bad = Sent(sent.number, None, "malformed", sent.site, sent.taken_ns, sent.life)
    return Message(chance.choice(ways), bad)
