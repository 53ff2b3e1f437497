"""A recording as a source for the player."""

from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import msgpack
import pytest

from rvsense.errors import DatasetError, FrameError
from rvsense.replay.recording.form import Message
from rvsense.replay.recording.playing import GAP_NS, Due, Recording
from rvsense.replay.recording.segment import Segment
from rvsense.replay.sources import open_source
from rvsense.replay.stamps import PERIOD_NS

T0 = 10**18


def head(kind: str, seq: int, epoch: int, **more: Any) -> dict[str, Any]:
    """A header; the extra key is one that this version does not know."""
    return {"v": 1, "kind": kind, "site": "east", "seq": seq, "epoch": epoch, "new": 1} | more


STORY: list[tuple[int, dict[str, Any]]] = [
    (0, head("radar", 7, 3)),
    (1, head("label", 0, 3)),
    (1, head("label", 1, 3, purpose="score")),
    (2, head("camera", 9, 3)),
    (90, head("radar", 8, 4)),
    (60, head("camera", 10, 4)),
]


def recorded(folder: Path) -> Path:
    """Two files; time steps back between the last two messages, and an answer stands among them."""
    for name, story in (("a", STORY[:3]), ("b", STORY[3:])):
        segment = Segment(folder / f"{name}.mcap", {})
        for at_ns, values in story:
            payload = [] if values["kind"] == "label" else [b"x"]
            segment.add(
                Message(values["kind"], "east", T0 + at_ns, 0, [msgpack.packb(values), *payload])
            )
        segment.add(Message("result", "east", T0, 0, [msgpack.packb({"site": "east"})]))
        segment.close({})
    return folder


def heads(dues: Iterator[Due]) -> list[dict[str, Any]]:
    """What would be sent."""
    return [msgpack.unpackb(packed.parts[0]) for due in dues for packed in due.messages()]


def test_everything_goes_as_it_came(tmp_path: Path) -> None:
    """Header bytes, order and pace are the recorded ones; answers are not sent."""
    recording = Recording(recorded(tmp_path))
    dues = list(recording.slots(forever=False))
    assert [bytes(due.parts[0]) for due in dues] == [msgpack.packb(values) for _, values in STORY]
    assert [due.play_ns for due in dues] == [0, 1, 1, 2, 90, 90]
    assert {due.loop for due in dues} == {0}


def test_a_further_pass_goes_on_where_the_last_ended(tmp_path: Path) -> None:
    """No epoch and no number comes twice, unknown keys stay, labels are told once."""
    dues = list(islice(Recording(recorded(tmp_path)).slots(forever=True), 6 + 4 + 4))
    sent = heads(iter(dues))
    for name, first in (("radar", [(3, 7), (4, 8)]), ("camera", [(3, 9), (4, 10)])):
        numbers = [(item["epoch"], item["seq"]) for item in sent if item["kind"] == name]
        assert numbers == [(e + 2 * n, s + 2 * n) for n in range(3) for e, s in first]
    assert all(item["new"] == 1 for item in sent)
    assert sum(item["kind"] == "label" for item in sent) == 2
    times = [due.play_ns for due in dues]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("teach", "score", "purposes"),
    [
        (True, True, ["train", "score"]),
        (True, False, ["train"]),
        (False, True, ["score", "score"]),
        (False, False, []),
    ],
)
def test_which_labels_go(teach: bool, score: bool, purposes: list[str], tmp_path: Path) -> None:
    """As recorded, or for scoring alone, or none."""
    dues = Recording(recorded(tmp_path)).slots(forever=False, teach=teach, score=score)
    labels = [item for item in heads(dues) if item["kind"] == "label"]
    assert [item.get("purpose", "train") for item in labels] == purposes


def test_damage_takes_its_place_and_is_told_once(tmp_path: Path) -> None:
    """What is cut off is an error in the order; the next file plays all the same."""
    recorded(tmp_path)
    first = tmp_path / "a.mcap"
    first.write_bytes(first.read_bytes()[:-10])
    dues = list(islice(Recording(tmp_path).slots(forever=True), 12))
    assert [due.kind for due in dues if not due.damage][:4] == ["radar", "label", "label", "camera"]
    bad = [due for due in dues if due.damage]
    assert len(bad) == 1
    with pytest.raises(FrameError, match=r"damaged_recording: a\.mcap"):
        bad[0].messages()


def one(folder: Path, name: str, at_ns: int, packed: bytes, **note: str) -> None:
    """A file of one camera frame."""
    segment = Segment(folder / f"{name}.mcap", note)
    segment.add(Message("camera", "east", at_ns, 0, [packed, b"x"]))
    segment.close({})


@pytest.mark.parametrize(
    "packed",
    [
        b"\xc1",
        msgpack.packb(7),
        msgpack.packb({"kind": "camera", "site": "east", "seq": 1}),
        msgpack.packb(head("camera", 1, 3) | {"site": ["east"]}),
        msgpack.packb(head("camera", 1, 3) | {"epoch": None}),
        msgpack.packb(head("radar", 1, 3)),
    ],
)
def test_a_header_that_is_no_frames_is_damage(packed: bytes, tmp_path: Path) -> None:
    """It takes its place as an error, told once; every other message is played."""
    recorded(tmp_path)
    one(tmp_path, "c", T0 + 100, packed)
    dues = list(islice(Recording(tmp_path).slots(forever=True), 7 + 4))
    assert [bool(due.damage) for due in dues] == [False] * 6 + [True] + [False] * 4
    assert len(heads(due for due in dues if not due.damage)) == 10


def test_a_recording_that_grows_and_loses_files_plays_on(tmp_path: Path) -> None:
    """A further pass plays what the first one found; what has gone is left out."""
    recorded(tmp_path)
    grows = Segment(tmp_path / "c.mcap", {})

    def add(site: str) -> None:
        packed = msgpack.packb(head("camera", 20, 5) | {"site": site})
        grows.add(Message("camera", site, T0 + 100, 0, [packed, b"x"]))

    add("east")
    dues = Recording(tmp_path).slots(forever=True)
    first = list(islice(dues, 6 + 1 + 1))
    assert ["no end" in due.damage for due in first] == [False] * 7 + [True]
    add("west")
    # Of radar there were 7 and 8, of camera 9 to 20.
    assert [item["seq"] for item in heads(islice(dues, 5))] == [9, 21, 10, 22, 32]
    (tmp_path / "a.mcap").unlink()
    assert [item["seq"] for item in heads(islice(dues, 4))] == [33, 12, 34, 44]
    for path in tmp_path.iterdir():
        path.unlink()
    assert list(dues) == []


def test_clocks_that_step_between_recordings(tmp_path: Path) -> None:
    """An hour back costs no burst, a day's gap no day; a silence within a recording is kept."""
    hour_ns = 3600 * 10**9
    for number, (at_ns, name) in enumerate(
        [
            (T0, "first"),
            (T0 + 60 * 10**9, "first"),
            (T0 - hour_ns, "second"),
            (T0 - hour_ns + 5, "second"),
            (T0 + 24 * hour_ns, "third"),
        ]
    ):
        one(tmp_path, str(number), at_ns, msgpack.packb(head("camera", number, 3)), recording=name)
    dues = list(Recording(tmp_path).slots(forever=False))
    steps = [after.play_ns - before.play_ns for before, after in pairwise(dues)]
    assert steps == [60 * 10**9, PERIOD_NS, 5, GAP_NS]


def test_a_source_is_told_by_what_it_holds(tmp_path: Path) -> None:
    """A recording by its files; a file that is none, and one without a frame, are named."""
    assert isinstance(open_source(recorded(tmp_path)), Recording)
    assert isinstance(open_source(tmp_path / "a.mcap"), Recording)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DatasetError, match="no recording"):
        open_source(tmp_path / "notes.txt")
    Segment(tmp_path / "c.mcap", {}).close({})
    with pytest.raises(DatasetError, match="empty recording"):
        open_source(tmp_path / "c.mcap")
