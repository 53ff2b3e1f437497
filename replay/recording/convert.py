"""`rvsense record --from DATASET OUT`: what a player would send, kept instead of sent.

The order, numbers and epochs are the player's, the labels those of `--labels` and `--score`; each
message is dated by its playing time. So a recording made here and the dataset it was made from
are the same to a daemon.
"""

import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rvsense.errors import UsageError
from rvsense.replay.ahead import read_ahead
from rvsense.replay.plan import Labels, plan, playing_order
from rvsense.replay.recording.books import Books
from rvsense.replay.recording.caps import Caps
from rvsense.replay.recording.form import SEQUENCE_NOTE, Message
from rvsense.replay.recording.segments import Segments
from rvsense.replay.recording.talk import Talk
from rvsense.replay.report import Tally
from rvsense.replay.sequence import Dataset


@dataclass(frozen=True, slots=True)
class ConvertSettings:
    """Where to, and which annotations the classifier may learn from when it is played."""

    out: Path
    caps: Caps
    labels: float = 0.0
    seed: int = 0


def convert(dataset: Dataset, settings: ConvertSettings) -> tuple[Books, Tally]:
    """Write a dataset as a recording; what was kept, and what could not be read.

    Raises:
        UsageError: the folder cannot be written to, holds a recording, or its disk is full.
    """
    talk = Talk()
    # A dataset without its beginning is no dataset: when the disk is full, converting fails.
    segments = Segments(settings.out, replace(settings.caps, ring=False), talk.say)
    tally = Tally(None)
    start_ns = time.time_ns()
    labels = Labels(settings.labels, score=True, seed=settings.seed)
    for sequence in playing_order(dataset.sequences):
        for problem in sequence.problems:
            _tell(tally.count_rejected(problem.reason, problem.detail))
    noted: set[str] = set()
    for item in read_ahead(plan(dataset.sequences, labels), threading.Event()):
        slot = item.slot
        if item.error:
            _tell(tally.count_rejected(item.error.reason, item.error.detail))
            continue
        if slot.sequence.name not in noted:
            noted.add(slot.sequence.name)
            values = {"sequence": slot.sequence.name, "split": slot.sequence.split}
            segments.note(SEQUENCE_NOTE, values | {"simulated": dataset.simulated})
        for packed in item.messages:
            now_ns = start_ns + slot.play_ns
            segments.add(
                Message(packed.kind, slot.sequence.site, now_ns, slot.stamp_ns, packed.parts)
            )
        talk.show(segments.books)
        if segments.paused:
            segments.close()
            raise UsageError(
                f"{settings.out}: the disk is full, or has less than --free-gb left; what is there "
                "is not the whole dataset: remove it, and give another place"
            )
    talk.end()
    segments.close()
    return segments.books, tally


def _tell(line: str | None) -> None:
    if line:
        print(line, file=sys.stderr)
