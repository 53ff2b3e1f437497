"""Which folders hold which sequence, for every layout that CRUW comes in. Opens no frame.

    reorganised   sequences/train|test/<SEQ>/RADAR_RA_H and IMAGES_0,
                  annotations/train/<SEQ>.txt or annotations/<SEQ>.txt   (CRUW devkit)
    raw unzip     TRAIN_RAD_H, TRAIN_CAM_0, TEST_RAD_H, TRAIN_RAD_H_ANNO/<SEQ>.txt
    lab form      <date>/<seq>/radar_chirps_win_RISEP_h/<chirp>/<frame>.npy, images_0, time
                  files and ramap_labels.csv                  (CR data collector)
    one sequence  a sequence folder of any of these, or a folder of such folders

Unzipping and the devkit's script nest some folders in one of the same name
(`sequences/train/train`); both depths are looked at.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rvsense.replay.sequence import Split

ROD_RADAR, ROD_IMAGES = "RADAR_RA_H", "IMAGES_0"
LAB_RADARS = ("radar_chirps_win_RISEP_h", "radar_chirps_win_RISEP", "RA_NPY")
LAB_IMAGES = ("images_0", "images")
LAB_TIMESTAMPS = ("timestamps_0.txt", "timestamps.txt")
LAB_START_TIMES = ("start_time_h.txt", "start_time.txt")
LAB_LABELS = "ramap_labels.csv"

LOOKED_FOR = (
    "sequences/train|test/<SEQ>/RADAR_RA_H (ROD2021, reorganised)",
    "TRAIN_RAD_H|TEST_RAD_H|TRAIN_CAM_0/<SEQ> (ROD2021 as unzipped)",
    "<date>/<seq>/radar_chirps_win_RISEP_h or images_0 (the lab's form)",
    "RADAR_RA_H or IMAGES_0 right here (one sequence)",
    "a .mcap file, or .mcap files right here (a recording)",
)

_DATE_FOLDER = re.compile(r"\d{4}_\d{2}_\d{2}")


@dataclass(frozen=True, slots=True)
class SequenceFolders:
    """Where the parts of one sequence lie; None for a part that is not there."""

    name: str
    split: Split
    radar: Path | None
    images: Path | None
    annotation: Path | None = None
    chirp_folders: bool = False
    timestamps: Path | None = None
    start_times: Path | None = None


def find_sequences(root: Path) -> list[SequenceFolders]:
    """The sequences under `root` by the first layout that fits; empty where none does."""
    for layout in (_reorganised, _raw_unzip, _one_sequence, _folders_of_sequences):
        if found := sorted(layout(root), key=lambda item: (item.split, item.name)):
            return found
    return []


def _reorganised(root: Path) -> Iterator[SequenceFolders]:
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        labels = [*_nested(root / "annotations" / split), *_nested(root / "annotations")]
        for folder in _children(_nested(root / "sequences" / split)):
            radar, images = _folder(folder / ROD_RADAR), _folder(folder / ROD_IMAGES)
            if radar or images:
                label = _first(at / f"{folder.name}.txt" for at in labels)
                yield SequenceFolders(folder.name, split, radar, images, label)


def _raw_unzip(root: Path) -> Iterator[SequenceFolders]:
    labels = _nested(root / "TRAIN_RAD_H_ANNO")
    radars = {at.name: at / ROD_RADAR for at in _children(_nested(root / "TRAIN_RAD_H"))}
    images = {at.name: at / ROD_IMAGES for at in _children(_nested(root / "TRAIN_CAM_0"))}
    for name in radars.keys() | images.keys():
        radar, image = _folder(radars.get(name)), _folder(images.get(name))
        if radar or image:
            label = _first(at / f"{name}.txt" for at in labels)
            yield SequenceFolders(name, "train", radar, image, label)
    for folder in _children(_nested(root / "TEST_RAD_H")):
        if radar := _folder(folder / ROD_RADAR):
            yield SequenceFolders(folder.name, "test", radar, None)


def _one_sequence(folder: Path) -> Iterator[SequenceFolders]:
    if lab := _lab_sequence(folder):
        yield lab
        return
    radar, images = _folder(folder / ROD_RADAR), _folder(folder / ROD_IMAGES)
    if not (radar or images):
        return
    for root in list(folder.parents)[:4]:
        # Its images and labels may lie elsewhere in the dataset that it is part of.
        for layout in (_reorganised, _raw_unzip):
            for found in layout(root):
                if folder in {at.parent for at in (found.radar, found.images) if at}:
                    yield found
                    return
    label = _first([folder / f"{folder.name}.txt", folder.with_name(f"{folder.name}.txt")])
    yield SequenceFolders(folder.name, "train", radar, images, label)


def _folders_of_sequences(root: Path) -> Iterator[SequenceFolders]:
    """Sequence folders one or two levels down, as `<date>/<seq>` of the lab's form."""
    for child in _children([root]):
        if found := list(_one_sequence(child)):
            yield from found
        else:
            for grandchild in _children([child]):
                yield from _one_sequence(grandchild)


def _lab_sequence(folder: Path) -> SequenceFolders | None:
    radar = _folder(_first(folder / name for name in LAB_RADARS))
    images = _folder(_first(folder / name for name in LAB_IMAGES))
    if not (radar or images):
        return None
    date = _DATE_FOLDER.fullmatch(folder.parent.name)
    dated = _DATE_FOLDER.match(folder.name)
    return SequenceFolders(
        name=f"{date.group()}_{folder.name}" if date and not dated else folder.name,
        split="train",
        radar=radar,
        images=images,
        annotation=_first([folder / LAB_LABELS]),
        chirp_folders=True,
        timestamps=_first(folder / name for name in LAB_TIMESTAMPS),
        start_times=_first(folder / name for name in LAB_START_TIMES),
    )


def _nested(folder: Path) -> list[Path]:
    return [at for at in (folder, folder / folder.name) if at.is_dir()]


def _children(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and child.name != folder.name:
                yield child


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def _folder(path: Path | None) -> Path | None:
    return path if path is not None and path.is_dir() else None
