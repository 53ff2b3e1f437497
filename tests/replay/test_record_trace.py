"""`rvsense pair` over a recording: its frames are paired anew, with settings to be tried."""

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from rvsense.cli import main
from rvsense.replay.recording.form import Message, RecordedKind
from rvsense.replay.recording.segment import Segment

MS = 1_000_000
COUNT = 6


def kept(segment: Segment, kind: RecordedKind, seq: int, stamp_ns: int) -> None:
    """Add a message to a segment."""
    head = {"kind": kind, "site": "east", "seq": seq, "stamp_ns": stamp_ns, "epoch": 2}
    parts = [msgpack.packb(head)] + ([b"payload"] if kind != "label" else [])
    segment.add(Message(kind, "east", 10**18 + stamp_ns, stamp_ns, parts))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two files of one site, whose camera's clock is 12 ms ahead; the second has no end."""
    for part in range(2):
        segment = Segment(tmp_path / f"{part}.mcap", {"format": 1})
        for seq in range(part * COUNT, (part + 1) * COUNT):
            kept(segment, "radar", seq, seq * 100 * MS)
            kept(segment, "label", seq, seq * 100 * MS)
            kept(segment, "camera", seq, (seq * 100 + 12) * MS)
        if part == 0:
            segment.close({"messages": 3 * COUNT})
    return tmp_path


def paired(capsys: Any, *words: str | Path) -> tuple[list[Any], Any]:
    """The pairs and the last line that `rvsense pair` prints."""
    assert main(["pair", *map(str, words)]) == 0
    *pairs, last = map(json.loads, capsys.readouterr().out.splitlines())
    return pairs, last


def test_a_recording_is_a_trace(recording: Path, capsys: Any) -> None:
    """Frames of all files in order, labels aside, with site and epoch as they were sent."""
    pairs, last = paired(capsys, recording, "--offset", "0")
    assert [line["pair"] for line in pairs] == [[seq, seq] for seq in range(2 * COUNT)]
    assert {(line["skew_ns"], line["epoch"]) for line in pairs} == {(-12 * MS, 2)}
    assert last["ledger"]["east"]["camera"]["received"] == 2 * COUNT
    assert last["rejected"] == 0


def test_another_tolerance_can_be_tried_on_it(recording: Path, capsys: Any) -> None:
    """One file alone, and a tolerance below its skew: no pair, and the ledger says why."""
    pairs, last = paired(capsys, recording / "0.mcap", "--offset", "0", "--tolerance", "0.01")
    assert pairs == []
    assert last["ledger"]["east"]["radar"]["dropped"] == {"unmatched": COUNT}
