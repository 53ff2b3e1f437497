"""Builders of streams and a second, slow and plain, opinion on what the pairs should be."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pytest

from rvsense.config import Pairing
from rvsense.daemon.decisions import Decision, Dropped, Frame, Paired, Stream
from rvsense.daemon.pairing import Pairer

MS = 1_000_000
PERIOD_NS = 1_000_000_000 // 30

Pairs = list[tuple[int, int]]
Cost = tuple[int, int, tuple[tuple[int, int], ...]]


@dataclass
class Run:
    """What came out of a pairer, and the pairer itself."""

    pairer: Pairer
    decisions: list[Decision] = field(default_factory=list)

    @property
    def pairs(self) -> list[Paired]:
        """The pairs in the order they came."""
        return [decision for decision in self.decisions if isinstance(decision, Paired)]

    @property
    def seqs(self) -> Pairs:
        """(radar seq, camera seq) of each pair."""
        return [(pair.radar.seq, pair.camera.seq) for pair in self.pairs]

    def dropped(self, reason: str) -> list[tuple[str, int]]:
        """(stream, seq) of the frames dropped for this reason."""
        drops = [decision for decision in self.decisions if isinstance(decision, Dropped)]
        return [(drop.frame.stream, drop.frame.seq) for drop in drops if drop.reason == reason]


def run(settings: Pairing, frames: Iterable[Frame], flush: bool = True) -> Run:
    """Push all frames, checking the ledger at every step."""
    result = Run(Pairer(settings))
    for frame in frames:
        result.decisions += result.pairer.push(frame)
        assert result.pairer.ledger().balanced()
    if flush:
        result.decisions += result.pairer.flush()
        assert result.pairer.ledger().balanced()
    return result


def frames_of(stream: Stream, stamps_ns: Iterable[int], epoch: int = 0) -> list[Frame]:
    """Frames numbered in the order of their stamps; a frame arrives when it is captured."""
    return [
        Frame(stream, seq, stamp_ns, epoch, 100, stamp_ns) for seq, stamp_ns in enumerate(stamps_ns)
    ]


def in_order(*streams: Sequence[Frame]) -> list[Frame]:
    """Several streams as one, by stamp."""
    return sorted((f for stream in streams for f in stream), key=lambda f: f.stamp_ns)


def shuffled(frames: Sequence[Frame], lateness_ns: int, rng: random.Random) -> list[Frame]:
    """The frames with each delayed by at most the lateness."""
    delayed = [
        (frame.stamp_ns + rng.randint(0, lateness_ns), rng.random(), frame) for frame in frames
    ]
    return [frame for _, _, frame in sorted(delayed, key=lambda entry: entry[:2])]


def cheapest(
    radar_ns: Sequence[int], camera_ns: Sequence[int], tolerance_ns: int, complete_from_ns: int
) -> Cost:
    """(twice the cost, minus pairs, index pairs) of the best matching: the O(n m) recurrence.

    Every cell keeps its whole answer, so that the order of costs is the tuple order of Python.
    """
    n, m = len(radar_ns), len(camera_ns)
    below: list[Cost] = [(tolerance_ns * (m - j), 0, ()) for j in range(m + 1)]
    for i in reversed(range(n)):
        row: list[Cost] = [(tolerance_ns * (n - i), 0, ())] * (m + 1)
        for j in reversed(range(m)):
            options = [
                (below[j][0] + tolerance_ns, *below[j][1:]),
                (row[j + 1][0] + tolerance_ns, *row[j + 1][1:]),
            ]
            apart_ns = abs(radar_ns[i] - camera_ns[j])
            if apart_ns <= tolerance_ns and max(radar_ns[i], camera_ns[j]) >= complete_from_ns:
                cost, count, rest = below[j + 1]
                options.append((cost + 2 * apart_ns, count - 1, ((i, j), *rest)))
            row[j] = min(options)
        below = row
    return below[0]


def oracle(radar_ns: Sequence[int], camera_ns: Sequence[int], tolerance_ns: int) -> Pairs:
    """The release rule word for word, with no shortcut: index pairs.

    For every stamp in turn: the best matching of all undecided frames up to a tolerance past it;
    if that pairs the frame there with an earlier one, the pair is final.
    """
    pairs: Pairs = []
    i = j = 0
    for now_ns in sorted({*radar_ns, *camera_ns}):
        radar = [stamp for stamp in radar_ns[i:] if stamp <= now_ns + tolerance_ns]
        camera = [stamp for stamp in camera_ns[j:] if stamp <= now_ns + tolerance_ns]
        for a, b in cheapest(radar, camera, tolerance_ns, now_ns)[2]:
            if max(radar[a], camera[b]) == now_ns:
                pairs.append((i + a, j + b))
                i, j = i + a + 1, j + b + 1
                break
    return pairs


def cost_of(
    pairs: Pairs, radar_ns: Sequence[int], camera_ns: Sequence[int], tolerance_ns: int
) -> int:
    """Twice the cost of a matching."""
    left_out = len(radar_ns) + len(camera_ns) - 2 * len(pairs)
    return 2 * sum(abs(radar_ns[i] - camera_ns[j]) for i, j in pairs) + tolerance_ns * left_out


def transcript(settings: Pairing, script: str) -> str:
    """Replay the `>>` lines of a script and answer each with `<<` lines of what was decided.

    Events: `>> radar SEQ @MS`, `>> camera SEQ @MS epoch N`, `>> tick @MS`, `>> flush`. A frame
    arrives at its stamp.
    """
    pairer = Pairer(settings)
    lines = []
    for line in (line.strip() for line in script.strip().splitlines()):
        if not line.startswith(">>"):
            continue
        lines.append(line)
        words = line.replace("@", "").split()[1:]
        if words[0] == "flush":
            decisions = pairer.flush()
        elif words[0] == "tick":
            decisions = pairer.tick(int(words[1]) * MS)
        else:
            stream: Stream = "radar" if words[0] == "radar" else "camera"
            stamp_ns = int(words[2]) * MS
            epoch = int(words[4]) if len(words) > 3 else 0
            decisions = pairer.push(Frame(stream, int(words[1]), stamp_ns, epoch, 100, stamp_ns))
        for decision in decisions:
            if isinstance(decision, Paired):
                lines.append(f"<< pair {decision.radar.seq} {decision.camera.seq}")
            else:
                lines.append(f"<< {decision.reason} {decision.frame.stream} {decision.frame.seq}")
        assert pairer.ledger().balanced()
    return "\n".join(lines)


@dataclass
class Tools:
    """The helpers of this folder, for tests to take as one fixture."""

    run: Callable[..., Run] = run
    frames_of: Callable[..., list[Frame]] = frames_of
    in_order: Callable[..., list[Frame]] = in_order
    shuffled: Callable[..., list[Frame]] = shuffled
    cheapest: Callable[..., Cost] = cheapest
    oracle: Callable[..., Pairs] = oracle
    cost_of: Callable[..., int] = cost_of
    transcript: Callable[..., str] = transcript


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Stream builders, the runner and the oracle."""
    return Tools()
