"""Recordings: written file after file, recovered, exported as a dataset."""

import shutil
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from rvsense import wire
from rvsense.errors import RvsenseError
from rvsense.frames import CameraFrame, LabelFrame, RadarFrame, SceneObject
from rvsense.replay.layouts import open_dataset
from rvsense.replay.recording.caps import Caps
from rvsense.replay.recording.check import check
from rvsense.replay.recording.export import export
from rvsense.replay.recording.form import Message
from rvsense.replay.recording.reader import Findings, messages, segments
from rvsense.replay.recording.recover import recover
from rvsense.replay.recording.segments import Segments
from tests.faults.disk import ELSEWHERE, Killed
from tests.faults.every import Said, Writer

CAPS = Caps(segment_bytes=9_000, segment_s=60, most_bytes=30_000, free_bytes=0)
WITHOUT_END = ("no end", "empty", "not an MCAP file", "cut at")
"""What is wrong with a file that was not closed; its messages are whole up to there."""


def _message(seq: int) -> Message:
    head = msgpack.packb({"kind": "camera", "site": "east", "seq": seq, "epoch": 0})
    return Message("camera", "east", 10**18 + seq, seq, [head, bytes(2000)])


def _seqs(folder: Path) -> list[int]:
    found: list[Any] = []
    for path in segments(folder):
        found += [msgpack.unpackb(item.parts[0])["seq"] for item in messages(path, Findings())]
    return found


def _record(folder: Path, said: Said, *, first: int = 0) -> None:
    now_s = iter(range(10**6))
    recorder = Segments(
        folder / "out", CAPS, lambda _: None, proceed=True, clock_s=lambda: 0.7 * next(now_s)
    )
    start = first + 100 * sum(item is Segments for item in said)
    said.append(Segments)  # a run has begun
    recorder.note("rvsense.sequence", {"sequence": "a"})
    for seq in range(start, start + 9):
        recorder.add(_message(seq))
        if recorder.books.kept["camera"] == len([s for s in said if s in range(start, seq)]) + 1:
            said.append(seq)
    recorder.idle()
    recorder.close()
    said.append(dict(recorder.books.lost))


def _some_recording(folder: Path) -> None:
    _record(folder, [], first=1000)


def _recorded(folder: Path, said: Said, done: bool) -> None:
    found = _seqs(folder / "out")
    assert found == sorted(found, key=lambda seq: (seq < 1000, seq))
    assert len(set(found)) == len(found)
    kept = [seq for seq in said if isinstance(seq, int)]
    # The oldest files make room; of what is left nothing that was kept is missing.
    oldest = min((seq for seq in found if seq < 1000), default=None)
    if kept and oldest is not None:
        assert {seq for seq in kept if seq >= oldest} <= set(found)
    bad = [line for line in check(folder / "out").damage if not any(w in line for w in WITHOUT_END)]
    assert bad == []
    assert not done or (said[-1] == {} and kept[-9:] == found[-9:])


def _killed_recording(folder: Path) -> None:
    _record(folder / ELSEWHERE, [], first=1000)
    damaged = segments(folder / ELSEWHERE / "out")[-1]
    damaged.write_bytes(damaged.read_bytes()[:5000])


def _recover(folder: Path, said: Said) -> None:
    if said:  # it was done, or a killed one has left half, as the error would tell
        shutil.rmtree(folder / "anew", ignore_errors=True)
    said.append(recover(folder / ELSEWHERE / "out", folder / "anew")[0])


def _recovered(folder: Path, said: Said, done: bool) -> None:
    if not any(isinstance(item, int) for item in said):
        assert Killed in said or not list(folder.glob("anew/*"))
        return
    assert check(folder / "anew").whole
    assert _seqs(folder / "anew") == _seqs(folder / ELSEWHERE / "out")


def _frames() -> list[RadarFrame | CameraFrame | LabelFrame]:
    frames: list[RadarFrame | CameraFrame | LabelFrame] = []
    for seq in range(3):
        place: dict[str, Any] = {"site": "east", "seq": seq, "stamp_ns": seq * 33_333_333}
        source = {"sequence": "walk", "frame_id": seq, "split": "train", "simulated": True}
        values = np.full((1, 128, 128, 2), seq, np.float16)
        frames += [
            RadarFrame(**place, heatmap=values, source=source),
            CameraFrame(**place, codec="jpeg", image=b"\xff\xd8" + bytes([seq]), source=source),
            LabelFrame(**place, objects=(SceneObject("car", 5.0, 0.1),), source=source),
        ]
    return frames


def _recording_to_export(folder: Path) -> None:
    (folder / "keep").mkdir(parents=True)
    recorder = Segments(
        folder / ELSEWHERE / "in", Caps(10**7, 60, 10**9, 0), lambda _: None, clock_s=lambda: 0.0
    )
    for number, frame in enumerate(_frames()):
        parts = [bytes(part) for part in wire.encode(frame)]
        recorder.add(Message(frame.kind, "east", 10**18 + number, frame.stamp_ns, parts))
    recorder.close()


def _export(folder: Path, said: Said) -> None:
    if "exported" in said or (Killed in said and (folder / "set" / "sequences").exists()):
        shutil.rmtree(folder / "set")
    export([folder / ELSEWHERE / "in"], folder / "set")
    said.append("exported")


def _exported(folder: Path, said: Said, done: bool) -> None:
    if "exported" not in said and not (folder / "set" / "sequences").exists():
        return  # else it is the whole of it
    (sequence,) = open_dataset(folder / "set").sequences
    assert list(sequence.radar_ns) == list(sequence.camera_ns) == [0, 1, 2]
    assert all(sequence.objects(number) for number in range(3))
    assert sequence.simulated


RECORDER = Writer("recorder", _some_recording, _record, _recorded, (RvsenseError,))
RECOVER = Writer("recover", _killed_recording, _recover, _recovered, (RvsenseError,))
EXPORT = Writer("export", _recording_to_export, _export, _exported, (RvsenseError,))
