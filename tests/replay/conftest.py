"""Tiny datasets on disk, in any layout, with values that tell frame and chirp."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

NAME = "2019_04_09_BMS1000"
CHIRPS = (0, 64, 128, 192)


def heatmap(frame: int, chirp: int) -> NDArray[np.float32]:
    """A chirp's heatmap whose every value says which it is."""
    return np.full((128, 128, 2), frame * 1000 + chirp, np.float32)


@pytest.fixture
def write_radar() -> Callable[..., None]:
    """Writes the chirp files of some frames into a folder."""

    def write(
        folder: Path,
        frames: Iterable[int] = range(3),
        chirps: Iterable[int] = CHIRPS,
        *,
        per_chirp: bool = False,
    ) -> None:
        for frame in frames:
            for chirp in chirps:
                name = f"{chirp:04d}/{frame:06d}" if per_chirp else f"{frame:06d}_{chirp:04d}"
                path = folder / f"{name}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, heatmap(frame, chirp))

    return write


@pytest.fixture
def write_images() -> Callable[..., None]:
    """Writes the images of some frames into a folder: JPEG markers around the frame number."""

    def write(folder: Path, frames: Iterable[int] = range(3)) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for frame in frames:
            body = b"\xff\xd8\xff" + str(frame).encode() + b"\xff\xd9"
            (folder / f"{frame:010d}.jpg").write_bytes(body)

    return write


@pytest.fixture
def rod2021(
    tmp_path: Path, write_radar: Callable[..., None], write_images: Callable[..., None]
) -> Callable[..., Path]:
    """Adds a sequence to a reorganised ROD2021 dataset; returns the dataset's folder."""

    def add(
        name: str = NAME,
        frames: Iterable[int] = range(3),
        *,
        split: str = "train",
        images: Iterable[int] | None = None,
        labels: str | None = "0 5.0 0.1 cyclist\n",
    ) -> Path:
        root = tmp_path / "cruw"
        folder = root / "sequences" / split / name
        frames = list(frames)
        write_radar(folder / "RADAR_RA_H", frames)
        if split == "train":
            write_images(folder / "IMAGES_0", frames if images is None else images)
        if labels is not None:
            place = root / "annotations" / split
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}.txt").write_text(labels)
        return root

    return add
