"""Recordings that somebody made to do harm: bombs, notes without end, and numbers out of range."""

import resource
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from mcap.data_stream import RecordBuilder
from mcap.records import Chunk
from mcap.writer import MCAP0_MAGIC

from rvsense.frames import CameraFrame
from rvsense.replay.recording.check import check
from rvsense.replay.recording.chunks import MOST_BYTES
from rvsense.replay.recording.export import export
from rvsense.replay.recording.form import END_NOTE, NOTE, SEQUENCE_NOTE, Message
from rvsense.replay.recording.playing import Recording
from rvsense.replay.recording.reader import Findings, messages
from rvsense.replay.recording.segment import Segment
from rvsense.wire import INT64_MAX, encode
from tests.fuzz.files.recordings import BOMB_BYTES, zeros

ROOM_BYTES = 300 * 2**20


def head(**changes: Any) -> dict[str, Any]:
    """The header of a camera frame."""
    return {"v": 1, "kind": "camera", "site": "east", "seq": 1, "epoch": 0} | changes


def recorded(path: Path, *heads: dict[str, Any], **notes: Any) -> Path:
    """A recording of these headers, with notes of these names."""
    segment = Segment(path, {})
    for name, values in notes.items():
        segment.note(f"rvsense.{name}", values)
    for values in heads:
        segment.add(Message("camera", "east", 10**18, 0, [msgpack.packb(values), b"x"]))
    segment.close({})
    return path


def _bytes(record: RecordBuilder) -> bytes:
    return bytes(record.end())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("says", [100, MOST_BYTES])
def test_a_chunk_that_unpacks_to_more_than_it_says_costs_itself(
    compression: str, says: int, tmp_path: Path
) -> None:
    """A few bytes that stand for 600 MiB: no more of them is made than the chunk may have."""
    data = recorded(tmp_path / "a.mcap", head()).read_bytes()
    record = RecordBuilder()
    Chunk(compression, zeros(compression), 0, 0, 0, says).write(record)
    (tmp_path / "a.mcap").write_bytes(MCAP0_MAGIC + _bytes(record) + data[len(MCAP0_MAGIC) :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    findings = Findings()
    assert [message.kind for message in messages(tmp_path / "a.mcap", findings)] == ["camera"]
    assert "a chunk of" in findings.damage[0]
    grown_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown_bytes < ROOM_BYTES < BOMB_BYTES


def test_a_chunk_of_no_known_records_is_not_gone_through(tmp_path: Path) -> None:
    """Millions of records of nine bytes: the first tells that nothing of it makes sense."""
    data = recorded(tmp_path / "a.mcap", head()).read_bytes()
    record = RecordBuilder()
    Chunk("", bytes(MOST_BYTES), 0, 0, 0, MOST_BYTES).write(record)
    (tmp_path / "a.mcap").write_bytes(MCAP0_MAGIC + _bytes(record) + data[len(MCAP0_MAGIC) :])
    findings = Findings()
    assert len(list(messages(tmp_path / "a.mcap", findings))) == 1
    assert "unknown kind" in findings.damage[0]


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ('{"tap": 3}', {"tap": 3}),
        ("{'tap': 3}", {"tap": 3}),
        ("{'tap': 1e999}", None),
        ("(" * 900, None),
        ("-" * 900 + "1", None),
        ("[" * 100_000, None),
        ("9" * 900, None),
        ("__import__('os').mkdir('x')", None),
    ],
)
def test_what_an_end_note_says_is_read_or_not_known(
    said: str, lost: dict[str, int] | None, tmp_path: Path
) -> None:
    """Earlier versions wrote it as Python does; nothing of it is executed."""
    assert (NOTE, END_NOTE) == ("rvsense.recording", "rvsense.end")
    segment = Segment(tmp_path / "a.mcap", {"recording": "r"})
    segment.add(Message("camera", "east", 10**18, 0, [msgpack.packb(head()), b"x"]))
    segment.close({"lost": said})
    assert check(tmp_path / "a.mcap").as_map()["lost"] == lost


def test_a_note_of_a_sequence_without_a_name_is_none(tmp_path: Path) -> None:
    """Such a recording is exported like any other."""
    path = recorded(tmp_path / "a.mcap", head(), sequence={"split": "test"})
    assert SEQUENCE_NOTE == "rvsense.sequence"
    assert export([path], tmp_path / "out").sequences == 0


def test_an_image_too_wide_for_a_jpeg_is_left_out(tmp_path: Path) -> None:
    """And costs no other."""
    segment = Segment(tmp_path / "a.mcap", {})
    for seq, width in enumerate((65_501, 8)):
        image = np.zeros((1, width, 3), np.uint8).tobytes()
        shape = (1, width, 3)
        frame = CameraFrame(site="e", seq=seq, stamp_ns=seq, codec="rgb8", image=image, shape=shape)
        segment.add(Message("camera", "e", 10**18, 0, encode(frame)))
    segment.close({})
    report = export([tmp_path / "a.mcap"], tmp_path / "out")
    assert report.written == {"camera": 1}
    assert report.left_out == {"no_jpeg": 1}


@pytest.mark.parametrize("name", ["seq", "epoch"])
def test_numbers_that_grow_out_of_their_range_are_damage(name: str, tmp_path: Path) -> None:
    """What is beyond it in the first pass, and what would be in a later one."""
    path = recorded(tmp_path / "a.mcap", head(), head(**{name: INT64_MAX}), head(**{name: 2**63}))
    dues = list(Recording(path).slots(forever=True))
    assert [bool(due.damage) for due in dues] == [False, False, True]
