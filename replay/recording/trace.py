"""A recording's frames as lines of a trace, for `rvsense pair`: why were these not paired?"""

import json
from collections.abc import Iterator
from pathlib import Path

import msgpack

from rvsense.replay.recording.form import Message
from rvsense.replay.recording.reader import Findings, messages, segments


def trace(path: Path) -> Iterator[str]:
    """A JSON line for each radar and camera frame, in the order in which they were taken in.

    Raises:
        DatasetError: there is no recording at `path`, or a file of it cannot be read.
    """
    for file in segments(path):
        for message in messages(file, Findings()):
            if message.kind in ("radar", "camera"):
                yield json.dumps(_frame(message))


def _frame(message: Message) -> dict[str, object]:
    head = msgpack.unpackb(message.parts[0])
    named = {"kind": message.kind, "site": message.site}
    return named | {key: head[key] for key in ("seq", "stamp_ns", "epoch") if key in head}
