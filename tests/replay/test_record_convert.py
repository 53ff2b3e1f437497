"""A dataset into a recording and back, to the bit; other recordings as far as ROD2021 can tell."""

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense import wire
from rvsense.errors import DatasetError, UsageError
from rvsense.frames import AnyFrame, CameraFrame, LabelFrame, RadarFrame, SceneObject
from rvsense.replay.layouts import open_dataset
from rvsense.replay.plan import Labels, plan
from rvsense.replay.recording.annotating import SPAN_FRAMES, cuts, says_all
from rvsense.replay.recording.caps import Caps
from rvsense.replay.recording.convert import ConvertSettings, convert
from rvsense.replay.recording.export import FRAMES_PER_SEQUENCE, ExportReport, export
from rvsense.replay.recording.form import SEQUENCE_NOTE, Message
from rvsense.replay.recording.playing import Recording
from rvsense.replay.recording.reader import Findings, messages, segments
from rvsense.replay.recording.segment import Segment
from rvsense.replay.sequence import SIMULATED, Dataset
from rvsense.replay.stamps import index_ns

CAPS = Caps(segment_bytes=2_000_000, segment_s=1e9, most_bytes=10**12, free_bytes=0)
Rod2021 = Callable[..., Path]


def files(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def dataset(rod2021: Rod2021) -> Dataset:
    """Two sites, gaps in both streams, an empty annotation, none, and a test split."""
    rod2021("2019_04_09_A", [0, 1, 3], labels="0 5.0000 0.1234 cyclist\n3 7.2500 -0.5000 car\n")
    rod2021("2019_04_09_B", range(4), images=[1, 2], labels="")
    rod2021("2019_04_09_C", range(2), labels=None)
    rod2021("2019_04_30_D", range(3), labels="1 5.123456789 0.25 pedestrian\n2 6.0000 0.0000 car\n")
    root = rod2021("2019_05_01_E", range(2), split="test", labels=None)
    return open_dataset(root)


def test_a_dataset_comes_back_to_the_bit(rod2021: Rod2021, tmp_path: Path) -> None:
    """CRUW → MCAP → CRUW: every heatmap, picture and annotation is the file it was."""
    source = dataset(rod2021)
    books, tally = convert(source, ConvertSettings(tmp_path / "rec", CAPS))
    assert not tally.rejected
    assert len(list((tmp_path / "rec").iterdir())) > 1
    report = export([tmp_path / "rec"], tmp_path / "back")
    before, after = files(source.path), files(tmp_path / "back")
    assert before.keys() == after.keys()
    # 0.25 was written shorter than ROD2021 does; its value is the same.
    odd = "annotations/train/2019_04_30_D.txt"
    assert before.pop(odd).replace(b" 0.25 ", b" 0.2500 ") == after.pop(odd)
    assert before == after
    assert (report.sequences, report.left_out) == (5, {})
    assert books.kept["radar"] == report.written["radar"] == 14


def test_a_recording_plays_as_the_dataset_does(rod2021: Rod2021, tmp_path: Path) -> None:
    """The same messages to the byte, in the same order and at the same times."""
    source = dataset(rod2021)
    convert(source, ConvertSettings(tmp_path / "rec", CAPS, labels=0.5, seed=4))
    slots = plan(source.sequences, Labels(0.5, score=True, seed=4))
    wanted = [(slot.play_ns, packed) for slot in slots for packed in slot.messages()]
    dues = list(Recording(tmp_path / "rec").slots(forever=False))
    assert len(dues) == len(wanted)
    for due, (play_ns, packed) in zip(dues, wanted, strict=True):
        assert (due.play_ns, due.kind) == (play_ns, packed.kind)
        assert [bytes(part) for part in due.parts] == [bytes(part) for part in packed.parts]


def test_what_cannot_be_read_is_counted(rod2021: Rod2021, tmp_path: Path) -> None:
    """A damaged frame of the dataset costs itself alone."""
    root = rod2021(labels="0 5.0 0.1 cyclist\n1 x y z\n")
    next(root.rglob("000001_0064.npy")).unlink()
    _, tally = convert(open_dataset(root), ConvertSettings(tmp_path / "rec", CAPS))
    assert tally.rejected == {"bad_annotation": 1, "missing_chirp": 1}
    assert export([tmp_path / "rec"], tmp_path / "back").written["radar"] == 2


def test_a_full_disk_ends_converting(rod2021: Rod2021, tmp_path: Path) -> None:
    """Half a dataset must not look whole."""
    greedy = Caps(segment_bytes=10**6, segment_s=1e9, most_bytes=10**9, free_bytes=10**18)
    frames = range(40)  # the disk is looked at every 16 MB
    with pytest.raises(UsageError, match="not the whole dataset"):
        convert(open_dataset(rod2021(frames=frames)), ConvertSettings(tmp_path / "rec", greedy))


def live(folder: Path, frames: list[AnyFrame]) -> Path:
    """A recording of frames as a device sends them."""
    folder.mkdir()
    segment = Segment(folder / "a.mcap", {})
    for frame in frames:
        segment.add(Message(frame.kind, frame.site, 10**18, 0, wire.encode(frame)))
    segment.close({})
    return folder


def radar(number: int, dtype: str = "<f4", chirps: int = 4) -> RadarFrame:
    """A radar frame of a site without sequences; every value says which it is."""
    heatmap = np.full((chirps, 128, 128, 2), number, dtype)
    return RadarFrame(
        site="north", seq=number, epoch=2, stamp_ns=10**18 + index_ns(number), heatmap=heatmap
    )


def label(number: int, *objects: SceneObject) -> LabelFrame:
    """A label for such a frame."""
    stamp_ns = 10**18 + index_ns(number)
    return LabelFrame(site="north", seq=0, epoch=2, stamp_ns=stamp_ns, objects=objects)


CAR = SceneObject("car", 5.0, 0.1)


def exported(tmp_path: Path, frames: list[AnyFrame]) -> tuple[Dataset, ExportReport]:
    """The dataset that comes of a recording."""
    report = export([live(tmp_path / "live", frames)], tmp_path / "out")
    return open_dataset(tmp_path / "out"), report


def test_live_frames_are_numbered_by_their_stamps(tmp_path: Path) -> None:
    """30 s make a sequence; the frames of a moment share a number in both streams."""
    late = FRAMES_PER_SEQUENCE + 5
    image = CameraFrame(
        site="north",
        seq=0,
        epoch=2,
        stamp_ns=10**18 + index_ns(3) + 9_000_000,
        codec="rgb8",
        image=bytes(8 * 8 * 3),
        shape=(8, 8, 3),
    )
    found, report = exported(
        tmp_path, [radar(0), radar(3, "<f2"), image, radar(3), radar(late, chirps=2)]
    )
    first, second = found.sequences
    assert (first.name, second.name) == ("north_0002_0000", "north_0002_0001")
    assert list(first.radar_ns) == [30, 33]
    assert list(first.camera_ns) == [33]
    assert list(second.radar_ns) == [35]
    assert first.read_camera(33).image[:2] == b"\xff\xd8"
    assert (first.read_radar(33).heatmap == 3).all()
    assert second.read_radar(35).heatmap.shape == (2, 128, 128, 2)
    assert report.left_out == {"same_number": 1}


def test_labels_of_some_frames_make_no_annotation(tmp_path: Path) -> None:
    """ROD2021 would take every other frame for an empty scene."""
    found, report = exported(tmp_path, [radar(0), radar(1), radar(2), label(2, CAR)])
    assert [found.sequences[0].objects(number) for number in (30, 31, 32)] == [None] * 3
    assert report.left_out == {"labels_of_some_frames": 1}


def test_labels_of_all_frames_make_one(tmp_path: Path) -> None:
    """Objects where there are some, an empty scene where the label says so."""
    frames: list[AnyFrame] = [radar(0), radar(1), radar(2)]
    frames += [label(0), label(1, CAR), label(2, CAR, CAR)]
    found, report = exported(tmp_path, frames)
    said = [found.sequences[0].objects(number) for number in (30, 31, 32)]
    assert said == [(), (CAR,), (CAR, CAR)]
    assert report.left_out == {}


def test_only_into_a_new_folder(tmp_path: Path) -> None:
    """Nothing is mixed with what is there; what is no recording is named."""
    folder = live(tmp_path / "live", [radar(0)])
    with pytest.raises(UsageError, match="not empty"):
        export([folder], folder)
    with pytest.raises(DatasetError, match="no recording"):
        export([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(DatasetError, match="--export"):
        open_dataset(folder)


def test_simulated_data_and_splits_are_known_by_every_frame(
    rod2021: Rod2021, tmp_path: Path
) -> None:
    """A recording of what was played live has no notes; its frames say split and simulated."""
    rod2021("2019_04_09_A", [0])
    rod2021("2019_04_09_B", [0], split="test", labels=None)
    root = rod2021("2019_04_09_C", [0])
    (root / SIMULATED).write_text("{}")
    slots = plan(open_dataset(root).sequences, Labels())
    found, _ = exported(tmp_path, [frame for slot in slots for frame in slot.read()])
    assert found.simulated
    assert [(item.name[-1], item.split) for item in found.sequences] == [
        ("B", "test"),
        ("A", "train"),
        ("C", "train"),
    ]


def test_frames_of_the_laptop_device_are_simulated(tmp_path: Path) -> None:
    """It says so in every radar frame; of other devices' frames nothing is claimed."""
    assert not exported(tmp_path, [radar(0)])[0].simulated
    report = export(
        [live(tmp_path / "laptop", [replace(radar(0), source={"radar": "simulated"})])],
        tmp_path / "of_laptop",
    )
    assert open_dataset(report.out).simulated


def test_test_sequences_stay_test_ones_however_files_end(rod2021: Rod2021, tmp_path: Path) -> None:
    """A note that comes when a file was just closed begins the next one."""
    for letter in "ABCDE":
        root = rod2021(f"2019_04_09_{letter}", range(4), split="test", labels=None)
    small = Caps(segment_bytes=1_000_000, segment_s=1e9, most_bytes=10**12, free_bytes=0)
    convert(open_dataset(root), ConvertSettings(tmp_path / "rec", small))
    findings = [Findings() for _ in segments(tmp_path / "rec")]
    for path, finding in zip(segments(tmp_path / "rec"), findings, strict=True):
        list(messages(path, finding))
    notes = [note for finding in findings for note in finding.notes if note.name == SEQUENCE_NOTE]
    assert sorted(note.metadata["sequence"][-1] for note in notes) == [*"ABCDE"]
    export([tmp_path / "rec"], tmp_path / "back")
    assert {item.split for item in open_dataset(tmp_path / "back").sequences} == {"test"}


def named(name: str, number: int, site: str = "north") -> RadarFrame:
    """A radar frame with a place of its own."""
    source = {"sequence": name, "frame_id": number}
    return replace(radar(number), site=site, source=source)


def test_an_operators_label_finds_its_frame_by_the_stamp(tmp_path: Path) -> None:
    """It names no sequence, and may be half a frame off or come first; others are counted."""
    near = replace(label(1, CAR), stamp_ns=label(1).stamp_ns + 16_000_000)
    far = replace(label(7, CAR), seq=3)
    elsewhere = replace(label(0, CAR), site="south")
    found, report = exported(
        tmp_path, [near, far, elsewhere, named("A", 0), named("A", 1), label(0)]
    )
    assert [item.name for item in found.sequences] == ["A"]
    assert [found.sequences[0].objects(number) for number in (0, 1)] == [(), (CAR,)]
    assert report.left_out == {"label_without_frame": 2}
    assert report.sequences == 1


@pytest.mark.parametrize(("range_m", "azimuth_rad"), [(-5.0, 0.0), (5.0, 3.0), (0.0, 0.0)])
def test_an_object_that_rod2021_cannot_have_makes_no_empty_scene(
    range_m: float, azimuth_rad: float, tmp_path: Path
) -> None:
    """The wire takes it, a reader of annotations does not: the frame is not spoken of."""
    odd = label(0, SceneObject("car", range_m, azimuth_rad))
    found, report = exported(tmp_path, [radar(0), radar(1), odd, label(1, CAR)])
    assert found.sequences[0].objects(30) is None
    assert report.left_out == {"label_out_of_view": 1, "labels_of_some_frames": 1}


def test_two_sites_that_name_the_same_sequence_keep_theirs(tmp_path: Path) -> None:
    """The second gets its site's name behind it, and that is said."""
    found, report = exported(tmp_path, [named("A", 0), named("A", 1, "south"), named("A", 1)])
    assert {item.name: list(item.radar_ns) for item in found.sequences} == {
        "A": [0, 1],
        "A_south": [1],
    }
    assert report.renamed == ["A_south"]
    assert "A_south" in report.as_text()
    assert report.left_out == {}


def test_a_live_sequence_is_cut_at_the_ends_of_labelled_spans(tmp_path: Path) -> None:
    """What was labelled for a while is a sequence of its own, with its pictures; all is there."""
    spoken = range(20, 60)
    frames: list[AnyFrame] = [radar(number, "<f2", 1) for number in range(100)]
    picture = CameraFrame(
        site="north",
        seq=0,
        epoch=2,
        stamp_ns=frames[25].stamp_ns,
        codec="jpeg",
        image=b"\xff\xd8\xff\xd9",
    )
    labels = [label(number, CAR) for number in [*spoken, 80]]
    found, report = exported(tmp_path, [*frames, picture, *labels])
    assert {item.name: list(item.radar_ns) for item in found.sequences} == {
        "north_0002_0000": list(range(30, 50)),
        "north_0002_0000_01": list(range(50, 90)),
        "north_0002_0000_02": list(range(90, 130)),
    }
    assert [list(item.camera_ns) for item in found.sequences] == [[], [55], []]
    assert [item.annotations is not None for item in found.sequences] == [False, True, False]
    assert all(found.sequences[1].objects(number) == (CAR,) for number in range(50, 90))
    assert report.written == {"radar": 100, "camera": 1, "labels": 40}
    assert report.left_out == {"labels_of_some_frames": 1}
    assert report.sequences == 3


@given(st.sets(st.integers(0, 300), min_size=1), st.lists(st.integers(0, 300), max_size=6))
def test_cuts_make_every_long_span_a_whole(radar_ids: set[int], ends: list[int]) -> None:
    """A piece is labelled throughout, or none of its labelled runs is long."""
    bounds = sorted(ends)
    spans = [range(*pair) for pair in zip(bounds[::2], bounds[1::2], strict=False)]
    said = {number: (CAR,) for span in spans for number in span if number in radar_ids}
    starts = cuts(radar_ids, said)
    assert starts == sorted(set(starts) & radar_ids - {min(radar_ids)})
    if says_all(radar_ids, said):
        return
    edges = [min(radar_ids), *starts, max(radar_ids) + 1]
    for low, high in pairwise(edges):
        piece = sorted(number for number in radar_ids if low <= number < high)
        runs = [list(run) for _, run in groupby(piece, key=said.__contains__)]
        long = [run for run in runs if run[0] in said and run[-1] - run[0] + 1 >= SPAN_FRAMES]
        assert long == ([piece] if long else [])


def test_an_export_is_its_owners(tmp_path: Path) -> None:
    """It holds camera images, as the recording does."""
    _, report = exported(tmp_path, [radar(0)])
    assert report.out.stat().st_mode & 0o077 == 0
