"""The order of a run: every frame of every sequence with its stamp, number and playing time.

Rules:
- Sequences play one after another, the sites in turn and each site's own by name: a real
  deployment hears all its sites at once, so no site may wait until another is through.
- Within a sequence frames come by stamp; at one stamp radar first (its answer should not wait
  for the image), then its label, then the camera.
- `epoch` is the number of the sequence within its site, counted on through the loops, because
  each sequence starts its clock anew. `seq` counts through the run per site and kind, also
  over frames that turn out unreadable: a gap says that a frame of the source is missing.
- An annotation is told once, in the first pass: the answers of a later one are about frames
  that were learned from, and what was taught need not be taught again.
- `play_ns` is time on one clock of the whole run; between two sequences lies one period.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from itertools import count, zip_longest

from rvsense.frames import AnyFrame, Kind
from rvsense.replay.choice import Purpose, purpose_of
from rvsense.replay.sender import Packed, packed
from rvsense.replay.sequence import Sequence
from rvsense.replay.stamps import PERIOD_NS

_RADAR, _CAMERA = 0, 1


@dataclass(frozen=True, slots=True)
class Slot:
    """One frame to read and send, and, for a radar frame, the label that follows it."""

    sequence: Sequence
    kind: Kind
    frame_id: int
    stamp_ns: int
    play_ns: int
    seq: int
    epoch: int
    loop: int
    label: Purpose | None = None
    label_seq: int = 0

    def messages(self) -> list[Packed]:
        """`read`, encoded for the wire."""
        return [packed(frame) for frame in self.read()]

    def read(self) -> list[AnyFrame]:
        """The frames to send, in order. Raises FrameError where the files are no good."""
        numbers = {"seq": self.seq, "epoch": self.epoch}
        if self.kind == "camera":
            return [self.sequence.read_camera(self.frame_id, **numbers)]
        frames: list[AnyFrame] = [self.sequence.read_radar(self.frame_id, **numbers)]
        if self.label:
            label = self.sequence.label(
                self.frame_id, purpose=self.label, seq=self.label_seq, epoch=self.epoch
            )
            frames += [label] if label else []
        return frames


@dataclass(frozen=True, slots=True)
class Labels:
    """Which annotations are sent: a fraction to learn from, the rest to score or not at all."""

    fraction: float = 0.0
    score: bool = False
    seed: int = 0


def playing_order(sequences: Iterable[Sequence]) -> list[Sequence]:
    """Sequences with the sites in turn, and by name within a site. Empty ones are left out."""
    sites: dict[str, list[Sequence]] = defaultdict(list)
    for sequence in sorted(sequences, key=lambda one: (one.site, one.name)):
        if sequence.frame_ids:
            sites[sequence.site].append(sequence)
    rounds = zip_longest(*sites.values())
    return [sequence for round_ in rounds for sequence in round_ if sequence is not None]


def plan(
    sequences: AnySequence[Sequence], labels: Labels, *, forever: bool = False
) -> Iterator[Slot]:
    """All slots of a run in playing order; without end when `forever`."""
    order = playing_order(sequences)
    if not order:
        return
    epochs: Counter[str] = Counter()
    numbers: Counter[tuple[str, Kind]] = Counter()
    start_ns = 0
    for loop in count() if forever else range(1):
        for sequence in order:
            epoch = epochs[sequence.site]
            epochs[sequence.site] += 1
            last_ns = start_ns
            for slot in _slots(
                sequence, labels, numbers, epoch=epoch, loop=loop, start_ns=start_ns
            ):
                last_ns = slot.play_ns
                yield slot
            start_ns = last_ns + PERIOD_NS


def _slots(
    sequence: Sequence,
    labels: Labels,
    numbers: Counter[tuple[str, Kind]],
    *,
    epoch: int,
    loop: int,
    start_ns: int,
) -> Iterator[Slot]:
    events = sorted(
        [(ns, _RADAR, frame) for frame, ns in sequence.radar_ns.items()]
        + [(ns, _CAMERA, frame) for frame, ns in sequence.camera_ns.items()]
    )
    first_ns = events[0][0]
    for stamp_ns, order, frame_id in events:
        kind: Kind = "radar" if order == _RADAR else "camera"
        told = kind == "radar" and loop == 0
        label = _label(sequence, frame_id, labels) if told else None
        yield Slot(
            sequence=sequence,
            kind=kind,
            frame_id=frame_id,
            stamp_ns=stamp_ns,
            play_ns=start_ns + stamp_ns - first_ns,
            seq=_next(numbers, sequence.site, kind),
            epoch=epoch,
            loop=loop,
            label=label,
            label_seq=_next(numbers, sequence.site, "label") if label else 0,
        )


def _label(sequence: Sequence, frame_id: int, labels: Labels) -> Purpose | None:
    if sequence.objects(frame_id) is None:
        return None
    return purpose_of(
        sequence.split,
        sequence.name,
        frame_id,
        fraction=labels.fraction,
        score=labels.score,
        seed=labels.seed,
    )


def _next(numbers: Counter[tuple[str, Kind]], site: str, kind: Kind) -> int:
    number = numbers[site, kind]
    numbers[site, kind] += 1
    return number
