"""Every layout of CRUW gives the same sequence; what is no dataset says so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rvsense.errors import DatasetError
from rvsense.frames import SceneObject
from rvsense.replay.layouts import open_dataset, pick_chirps

NAME = "2019_04_09_BMS1000"
LABEL = "0 5.0 0.1 cyclist\n"
Write = Callable[..., None]


def _raw_unzip(root: Path, radar: Write, images: Write, *, nested: bool) -> Path:
    def place(top: str) -> Path:
        return root / top / top if nested else root / top

    radar(place("TRAIN_RAD_H") / NAME / "RADAR_RA_H")
    images(place("TRAIN_CAM_0") / NAME / "IMAGES_0")
    place("TRAIN_RAD_H_ANNO").mkdir(parents=True)
    (place("TRAIN_RAD_H_ANNO") / f"{NAME}.txt").write_text(LABEL)
    return root


def _reorganised(root: Path, radar: Write, images: Write, *, nested: bool) -> Path:
    split = root / "sequences" / "train"
    folder = (split / "train" if nested else split) / NAME
    radar(folder / "RADAR_RA_H")
    images(folder / "IMAGES_0")
    labels = root / "annotations" / ("train" if nested else "")
    labels.mkdir(parents=True)
    (labels / f"{NAME}.txt").write_text(LABEL)
    return root


def _lab(root: Path, radar: Write, images: Write, *, old_names: bool) -> Path:
    folder = root / "2019_04_09" / "bms1000"
    radar(folder / f"radar_chirps_win_RISEP{'' if old_names else '_h'}", per_chirp=True)
    images(folder / ("images" if old_names else "images_0"))
    (folder / "ramap_labels.csv").write_text(
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
        'region_attributes\nbms1000_000000.jpg,1,"{}",1,0,'
        '"{""name"":""point"",""cx"":70,""cy"":100}","{""class"":""cyclist""}"\n'
    )
    return root


LAYOUTS: dict[str, Callable[[Path, Write, Write], Path]] = {
    "reorganised": lambda *a: _reorganised(*a, nested=False),
    "reorganised, train/train": lambda *a: _reorganised(*a, nested=True),
    "raw unzip": lambda *a: _raw_unzip(*a, nested=False),
    "raw unzip, nested": lambda *a: _raw_unzip(*a, nested=True),
    "lab": lambda *a: _lab(*a, old_names=False),
    "lab, old names": lambda *a: _lab(*a, old_names=True),
    "lab, one date": lambda *a: _lab(*a, old_names=False) / "2019_04_09",
    "one lab sequence": lambda *a: _lab(*a, old_names=False) / "2019_04_09" / "bms1000",
    "one reorganised sequence": lambda *a: (
        _reorganised(*a, nested=False) / "sequences" / "train" / NAME
    ),
    "one radar folder of the raw unzip": lambda *a: (
        _raw_unzip(*a, nested=False) / "TRAIN_RAD_H" / NAME
    ),
    "one split": lambda *a: _reorganised(*a, nested=False) / "sequences" / "train",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_read(
    layout: str, tmp_path: Path, write_radar: Write, write_images: Write
) -> None:
    """A sequence reads the same from each layout: name, site, frames, images and labels."""
    (sequence,) = open_dataset(LAYOUTS[layout](tmp_path, write_radar, write_images)).sequences
    assert sequence.name.upper() == NAME
    assert (sequence.split, sequence.site) == ("train", "2019_04_09")
    assert sequence.frame_ids == tuple(sequence.radar_ns) == tuple(sequence.camera_ns) == (0, 1, 2)
    assert sequence.problems == ()
    radar, camera = sequence.read_radar(2, seq=7, epoch=3), sequence.read_camera(2)
    assert radar.heatmap.shape == (4, 128, 128, 2)
    assert radar.heatmap[:, 5, 5, 1].tolist() == [2000, 2064, 2128, 2192]
    assert (radar.seq, radar.epoch, radar.stamp_ns) == (7, 3, 66_666_667)
    assert camera.image == b"\xff\xd8\xff2\xff\xd9"
    objects = sequence.objects(0)
    assert objects is not None
    assert [item.label for item in objects] == ["cyclist"]


def test_test_split_has_no_images_and_no_labels(rod2021: Callable[..., Path]) -> None:
    """A test sequence is radar alone, and nothing is known of its frames."""
    root = rod2021("2019_05_28_CM1S013", split="test", labels=None)
    (sequence,) = open_dataset(root).sequences
    assert sequence.split == "test"
    assert not sequence.camera_ns
    assert sequence.objects(0) is None
    assert sequence.label(0) is None


def test_streams_need_not_match(rod2021: Callable[..., Path]) -> None:
    """Late radar numbers and missing images leave frames of one stream only."""
    root = rod2021(frames=[2, 3, 4], images=[0, 2, 3])
    (sequence,) = open_dataset(root).sequences
    assert sequence.frame_ids == (0, 2, 3, 4)
    assert list(sequence.radar_ns) == [2, 3, 4]
    assert list(sequence.camera_ns) == [0, 2, 3]


def test_annotation_beside_one_sequence(tmp_path: Path, write_radar: Write) -> None:
    """A sequence folder that was copied out of its dataset may bring its label file along."""
    write_radar(tmp_path / "somewhere" / "RADAR_RA_H")
    (tmp_path / "somewhere" / "somewhere.txt").write_text(LABEL)
    (sequence,) = open_dataset(tmp_path / "somewhere").sequences
    assert sequence.site == "somewhere"
    assert sequence.objects(0) == (SceneObject("cyclist", 5.0, 0.1),)


@pytest.mark.parametrize(
    ("available", "picked"),
    [
        (range(255), (0, 64, 128, 192)),
        ((0, 64, 128, 192), (0, 64, 128, 192)),
        ((0, 128), (0, 128)),
        (range(8), (0, 2, 4, 6)),
        (range(5, 15), (5, 7, 10, 12)),
        ((), ()),
    ],
)
def test_chirps_are_picked_as_rod2021_did(available: range, picked: tuple[int, ...]) -> None:
    """The released four where they are there, else up to four spread over what is."""
    assert pick_chirps(available) == picked


def test_no_dataset_says_what_was_looked_for(tmp_path: Path) -> None:
    """The error names the folder and each layout."""
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    for word in (str(tmp_path), "sequences/train", "TRAIN_RAD_H", "radar_chirps_win_RISEP_h"):
        assert word in str(caught.value)
    assert caught.value.status == 2


def test_missing_and_empty_datasets_are_told_apart(tmp_path: Path) -> None:
    """No folder, a file, and a layout without frames each have their own message."""
    with pytest.raises(DatasetError, match="no such folder"):
        open_dataset(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="it is a file"):
        open_dataset(tmp_path / "file")
    (tmp_path / "sequences" / "train" / NAME / "RADAR_RA_H").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"empty dataset.*000000_0000\.npy"):
        open_dataset(tmp_path)
