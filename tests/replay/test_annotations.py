"""Label files: good lines are used, bad ones are counted, and silence is read honestly."""

import math
from pathlib import Path

import pytest

from rvsense.frames import SceneObject
from rvsense.replay.annotations import TAIL_FRAMES, read_annotations

VIA_HEAD = (
    "filename,file_size,file_attributes,region_count,region_id,"
    "region_shape_attributes,region_attributes\n"
)


def _file(tmp_path: Path, text: str, name: str = "labels.txt") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_objects_come_by_frame_in_file_order(tmp_path: Path) -> None:
    """Several lines of one frame are several objects, with values as written."""
    text = "1 5.13 -0.6283 cyclist\n1 26.9 1.2 car\n\n3 4 0 pedestrian\n"
    labels, problems = read_annotations(_file(tmp_path, text), last_frame_id=3)
    assert problems == []
    assert labels.of(1) == (SceneObject("cyclist", 5.13, -0.6283), SceneObject("car", 26.9, 1.2))
    assert labels.of(3) == (SceneObject("pedestrian", 4.0, 0.0),)


def test_frame_without_a_line_is_empty(tmp_path: Path) -> None:
    """Before and between labelled frames no line means an empty scene, as in ONRD005."""
    labels, _ = read_annotations(_file(tmp_path, "2 4 0 car\n4 4 0 car\n"), last_frame_id=4)
    assert (labels.of(0), labels.of(3)) == ((), ())


@pytest.mark.parametrize(
    ("tail", "expected"), [(0, None), (2, None), (TAIL_FRAMES - 1, None), (TAIL_FRAMES, ())]
)
def test_short_tail_is_unlabelled_and_long_tail_is_empty(
    tail: int, expected: tuple[()] | None, tmp_path: Path
) -> None:
    """A file that stops just before the end was cut short; one that stops long before was not."""
    labels, _ = read_annotations(_file(tmp_path, "9 4 0 car\n"), last_frame_id=9 + tail)
    assert labels.of(9) != ()
    assert labels.of(10) == (expected if tail else None)


def test_file_without_lines_is_an_empty_sequence(tmp_path: Path) -> None:
    """A label file that is there and empty says that the scene stays empty."""
    labels, _ = read_annotations(_file(tmp_path, ""), last_frame_id=2)
    assert [labels.of(frame) for frame in (0, 2, 3)] == [(), (), None]


@pytest.mark.parametrize(
    "line",
    [
        "1 5.0 0.1",
        "1 5.0 0.1 cyclist 0.9",
        "1 5.0 0.1 tram",
        "-1 5.0 0.1 car",
        "1.5 5.0 0.1 car",
        "1 nan 0.1 car",
        "1 5.0 inf car",
        "1 -5.0 0.1 car",
        "1 5.0 3.1 car",
        "1 five 0.1 car",
        "1 5.0 0.1 empty",
    ],
)
def test_bad_line_is_counted_and_the_rest_used(line: str, tmp_path: Path) -> None:
    """One bad line costs that line, and is reported with file and line number."""
    path = _file(tmp_path, f"0 5.0 0.1 car\n{line}\n2 5.0 0.1 car\n")
    labels, problems = read_annotations(path, last_frame_id=2)
    assert [problem.reason for problem in problems] == ["bad_annotation"]
    assert f"{path}:2: " in problems[0].detail
    assert labels.of(0) == labels.of(2) == (SceneObject("car", 5.0, 0.1),)
    assert labels.of(1) == ()


def test_via_points_lie_on_the_label_grid(tmp_path: Path) -> None:
    """The lab's points count ranges from far to near and angles by one degree from -60."""
    rows = [
        'seq_000003.jpg,1,{},1,0,"{""cx"":60,""cy"":0}","{""class"":""car""}"',
        'seq_000003.jpg,1,{},1,0,"{""cx"":120,""cy"":121}","{""class"":""cyclist""}"',
        "seq_000004.jpg,1,{},0,,{},{}",
        'seq_000005.jpg,1,{},1,0,"{""cx"":121,""cy"":0}","{""class"":""car""}"',
        'seq_x.jpg,1,{},1,0,"{""cx"":1,""cy"":0}","{""class"":""car""}"',
        "seq_000006.jpg,1,{},1,0,not json,{}",
        "seq_000006.jpg",
        f"seq_000006.jpg,1,{{}},1,0,{'[' * 5000},{{}}",
    ]
    path = _file(tmp_path, VIA_HEAD + "\n".join(rows), "ramap_labels.csv")
    labels, problems = read_annotations(path, last_frame_id=4)
    far, near = labels.of(3) or ()
    assert (far.label, far.azimuth_rad) == ("car", 0.0)
    assert far.range_m == pytest.approx(27.657, abs=1e-3)
    assert near.range_m == pytest.approx(0.669, abs=1e-3)
    assert near.azimuth_rad == pytest.approx(math.radians(60))
    assert labels.of(4) == ()
    assert [problem.detail.split(":")[1] for problem in problems] == ["5", "6", "7", "8", "9"]


def test_unreadable_file_leaves_frames_unlabelled(tmp_path: Path) -> None:
    """Where the label file cannot be read nothing is called empty."""
    (tmp_path / "labels.txt").mkdir()
    labels, problems = read_annotations(tmp_path / "labels.txt", last_frame_id=5)
    assert labels.of(0) is None
    assert [problem.reason for problem in problems] == ["bad_annotation"]
