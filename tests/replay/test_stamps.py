"""Capture times: by index, and by the lab's time files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.replay.layouts import open_dataset
from rvsense.replay.stamps import index_ns


@given(st.integers(0, 10**9))
def test_index_stamps_never_drift(frame_id: int) -> None:
    """A stamp is within half a nanosecond of frame/30 s however long the sequence is."""
    assert abs(index_ns(frame_id) * 30 - frame_id * 10**9) <= 15


Lab = Callable[..., Path]


@pytest.fixture
def lab(tmp_path: Path, write_radar: Callable[..., None], write_images: Callable[..., None]) -> Lab:
    """Writes one sequence of the lab's form with the given time files."""

    def write(images: list[int], timestamps: str, start_times: str | None) -> Path:
        folder = tmp_path / "2019_04_09" / "bms1000"
        write_radar(folder / "radar_chirps_win_RISEP_h", [0, 1], [0], per_chirp=True)
        write_images(folder / "images_0", images)
        (folder / "timestamps_0.txt").write_text(timestamps)
        if start_times is not None:
            (folder / "start_time_h.txt").write_text(start_times)
        return folder

    return write


def test_camera_stamps_come_from_its_files(lab: Lab) -> None:
    """Camera start minus radar start, plus the image's own line; the radar keeps index/30 s."""
    starts = "2019-04-09 23:59:59.900000\n2019-04-10 00:00:00.150000\n\n12345\n"
    folder = lab([0, 1], "0.0000000000\n0.0333000000\n", starts)
    (sequence,) = open_dataset(folder).sequences
    assert dict(sequence.camera_ns) == {0: 250_000_000, 1: 283_300_000}
    assert dict(sequence.radar_ns) == {0: 0, 1: 33_333_333}
    assert sequence.problems == ()


def test_camera_may_start_first(lab: Lab) -> None:
    """A camera that ran before the radar has negative stamps, not wrapped ones."""
    folder = lab([0], "0.0\n", "2019-04-09 10:00:01.000000\n2019-04-09 10:00:00.500000\n")
    (sequence,) = open_dataset(folder).sequences
    assert dict(sequence.camera_ns) == {0: -500_000_000}


def test_lines_belong_to_images_in_order(lab: Lab) -> None:
    """Lines follow the images that exist, also where numbers are left out."""
    folder = lab([3, 5], "0.0\n0.1\n", None)
    (sequence,) = open_dataset(folder).sequences
    assert dict(sequence.camera_ns) == {3: 0, 5: 100_000_000}


@pytest.mark.parametrize("second", ["", "soon\n", "nan\n"])
def test_image_without_a_time_is_left_out(second: str, lab: Lab) -> None:
    """No time is guessed: the image is reported and the rest plays."""
    (sequence,) = open_dataset(lab([0, 1], f"0.0\n{second}", None)).sequences
    assert list(sequence.camera_ns) == [0]
    assert [problem.reason for problem in sequence.problems] == ["no_stamp"]


@pytest.mark.parametrize("text", ["", "2019-04-09 10:00:00\n", "10 o'clock\n11 o'clock\n"])
def test_bad_start_times_are_reported(text: str, lab: Lab) -> None:
    """Start times that cannot be read count as equal, and that is said."""
    (sequence,) = open_dataset(lab([0], "0.0\n", text)).sequences
    assert dict(sequence.camera_ns) == {0: 0}
    assert [problem.reason for problem in sequence.problems] == ["bad_start_time"]


@pytest.mark.parametrize("second", ["9999-12-31 23:59:59", "2019-04-11 10:00:01"])
def test_starts_that_are_ages_apart_are_reported(second: str, lab: Lab) -> None:
    """No take lasts for days, and no stamp on the wire could say so; they count as equal."""
    text = f"2019-04-09 10:00:00.000000\n{second}\n"
    (sequence,) = open_dataset(lab([0], "0.0\n", text)).sequences
    assert dict(sequence.camera_ns) == {0: 0}
    assert [problem.reason for problem in sequence.problems] == ["bad_start_time"]
