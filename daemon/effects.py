"""What the core decides. The I/O thread carries these out; the core never does. Pure data."""

from dataclasses import dataclass
from typing import Literal

from rvsense.frames import RadarFrame, SceneClass
from rvsense.link import Label, Pair


@dataclass(frozen=True, slots=True)
class Classify:
    """Answer this radar frame; effects of this kind come in capture order."""

    frame: RadarFrame
    received_ns: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A radar frame that gets no answer, and why."""

    site: str
    reason: Literal["late", "duplicate"]


@dataclass(frozen=True, slots=True)
class PairFound:
    """A radar frame met its camera frame; `lag_ns` after the later of the two came in."""

    site: str
    epoch: int
    radar_seq: int
    camera_seq: int
    skew_ns: int
    lag_ns: int


@dataclass(frozen=True, slots=True)
class PairDropped:
    """A frame of a stream that found no partner, and why."""

    site: str
    stream: str
    reason: str


@dataclass(frozen=True, slots=True)
class Learn:
    """A pair, thinned by stamp, for the learner."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Teach:
    """A labelled radar frame for the classification head."""

    label: Label


@dataclass(frozen=True, slots=True)
class Examine:
    """A labelled radar frame that is kept from the learner, to check models with."""

    label: Label


@dataclass(frozen=True, slots=True)
class Truth:
    """What a frame really showed; to be compared with the answer it got."""

    site: str
    epoch: int
    stamp_ns: int
    label: SceneClass


Effect = Classify | Refused | PairFound | PairDropped | Learn | Teach | Examine | Truth
