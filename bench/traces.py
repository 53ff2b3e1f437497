"""Arrivals of a radar and a camera stream with the truth known: the seq is the instant.

Both streams look at the same instants, numbered from 0 at 30 a second. A frame carries its instant
as `seq`, so a pair is true when its two seqs are equal. What a world does to stamps and arrivals
is its fields; all of it is drawn from a seed.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rvsense.daemon.decisions import Frame, Stream

RATE_HZ = 30
PERIOD_NS = 1_000_000_000 // RATE_HZ
START_NS = 1_700_000_000_000_000_000
"""Stamps as of a set clock; ROS takes none before 0."""
SIZE_BYTES = 500_000
STRETCH = 45
"""Instants for which one stream runs and the other does not, where they take turns."""
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class World:
    """What happens to two streams on their way.

    offset_ms     radar clock minus camera clock
    drift_ppm     how much faster the radar clock runs
    jitter_ms     standard deviation of each stamp
    loss          share of the frames of each stream that never come
    delay_ms      each frame arrives up to so much after its capture
    burst_ms      frames arrive together so often, one stream after the other
    repeated      share of the messages that come again within 50 ms
    camera_every  the camera sees only each n-th instant
    taking_turns  one stream runs while the other does not: nothing belongs together
    """

    name: str
    offset_ms: float = 0.0
    drift_ppm: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    delay_ms: float = 0.0
    burst_ms: int = 0
    repeated: float = 0.0
    camera_every: int = 1
    taking_turns: bool = False

    def frames(self, instants: int, seed: int) -> list[Frame]:
        """The frames in the order of arrival."""
        rng = random.Random(f"{self.name}/{seed}")
        arrivals = [
            arrival
            for instant in range(instants)
            for stream in self._seen_by(instant)
            if rng.random() >= self.loss
            for arrival in self._arrivals(stream, instant, rng)
        ]
        arrivals.sort(key=lambda arrival: arrival[:2])
        return [frame for _, _, frame in arrivals]

    def _seen_by(self, instant: int) -> Iterator[Stream]:
        turn = instant // STRETCH % 2 if self.taking_turns else None
        if turn != 1:
            yield "radar"
        if turn != 0 and instant % self.camera_every == 0:
            yield "camera"

    def _arrivals(
        self, stream: Stream, instant: int, rng: random.Random
    ) -> Iterator[tuple[float, str, Frame]]:
        """(when, tie-break, frame), once or twice."""
        captured_ns = instant * PERIOD_NS
        stamp_ns = START_NS + captured_ns + round(rng.gauss(0, self.jitter_ms) * MS)
        if stream == "radar":
            stamp_ns += round(self.offset_ms * MS + captured_ns * self.drift_ppm / 1e6)
        arrival_ns = captured_ns + rng.uniform(0, self.delay_ms) * MS
        tie = ""
        if self.burst_ms:
            arrival_ns = -(-arrival_ns // (self.burst_ms * MS)) * self.burst_ms * MS
            tie = stream
        frame = Frame(stream, instant, stamp_ns, 0, SIZE_BYTES, START_NS + round(arrival_ns))
        yield arrival_ns, tie, frame
        if rng.random() < self.repeated:
            yield arrival_ns + rng.uniform(0, 50) * MS, tie, frame


MATCHED = World("matched")
UNMATCHED = World("unmatched", taking_turns=True)
WORLDS = (
    MATCHED,
    World("15 ms offset", offset_ms=15, jitter_ms=1.5),
    World("jitter of 2 ms", jitter_ms=2),
    World("5 % loss", jitter_ms=1.5, loss=0.05),
    World("5 % loss, 15 ms offset", offset_ms=15, jitter_ms=1.5, loss=0.05),
    World("delays of 0–80 ms", jitter_ms=1.5, delay_ms=80),
    World("drift of 200 ppm", drift_ppm=200, jitter_ms=1.5),
    World("bursts each 150 ms", jitter_ms=1.5, burst_ms=150),
    World("5 % duplicates", jitter_ms=1.5, repeated=0.05),
    World("rates of 30 and 10 Hz", jitter_ms=1.5, camera_every=3),
    World(
        "all of these",
        offset_ms=15,
        drift_ppm=200,
        jitter_ms=2,
        loss=0.05,
        delay_ms=80,
        repeated=0.05,
    ),
    UNMATCHED,
)
HEAVY_JITTER = World("jitter of 4 ms", jitter_ms=4)
"""Beyond the set: the skew of one pair in 300 is above half a period, so no tolerance is right."""

SeqPairs = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a synchroniser's pairs are worth."""

    true: int
    wrong: int
    twice: int
    monotone: bool

    @classmethod
    def sum(cls, verdicts: Iterable["Verdict"]) -> "Verdict":
        """Of several traces."""
        parts = list(verdicts)
        return cls(
            sum(part.true for part in parts),
            sum(part.wrong for part in parts),
            sum(part.twice for part in parts),
            all(part.monotone for part in parts),
        )

    def __str__(self) -> str:
        notes = [f"{self.twice} twice"] * (self.twice > 0) + ["disordered"] * (not self.monotone)
        return " ".join([f"{self.true} / {self.wrong}", *notes])


def possible(frames: Iterable[Frame]) -> int:
    """Instants that both streams have a frame of."""
    seen: dict[str, set[int]] = {"radar": set(), "camera": set()}
    for frame in frames:
        seen[frame.stream].add(frame.seq)
    return len(seen["radar"] & seen["camera"])


def judge(pairs: SeqPairs) -> Verdict:
    """True pairs (each once), wrong partners, pairs with a frame paired before, and the order."""
    radar_seen: set[int] = set()
    camera_seen: set[int] = set()
    true = twice = 0
    for radar, camera in pairs:
        again = radar in radar_seen or camera in camera_seen
        twice += again
        true += radar == camera and not again
        radar_seen.add(radar)
        camera_seen.add(camera)
    monotone = all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    return Verdict(true, sum(a != b for a, b in pairs), twice, monotone)
