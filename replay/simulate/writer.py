"""ROD2021 files of one sequence, and the folder they are gathered in until the run is complete."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rvsense.replay.simulate.adc import CHIRPS
from rvsense.replay.simulate.scene import Truth


def annotation_lines(frame: int, truths: Sequence[Truth]) -> str:
    """`frame range azimuth class` for each object, metres and radians with 4 decimals."""
    return "".join(f"{frame} {t.range_m:.4f} {t.azimuth_rad:.4f} {t.kind}\n" for t in truths)


class SequenceWriter:
    """Writes one sequence below `root`; test sequences get no images, as in ROD2021."""

    def __init__(self, root: Path, split: str, name: str) -> None:
        folder = root / "sequences" / split / name
        self._images = folder / "IMAGES_0" if split == "train" else None
        self._radar = folder / "RADAR_RA_H"
        self._annotation = root / "annotations" / split / f"{name}.txt"
        self._lines: list[str] = []
        for needed in (self._radar, self._images, self._annotation.parent):
            if needed is not None:
                needed.mkdir(parents=True, exist_ok=True)

    @property
    def has_images(self) -> bool:
        """Whether this sequence keeps its pictures."""
        return self._images is not None

    def radar(self, frame: int, maps: npt.NDArray[np.float32], truths: Sequence[Truth]) -> None:
        """maps: (4, 128, 128, 2), one file a chirp."""
        for chirp, one in zip(CHIRPS, maps, strict=True):
            np.save(self._radar / f"{frame:06d}_{chirp:04d}.npy", one)
        self._lines.append(annotation_lines(frame, truths))

    def image(self, frame: int, jpeg: bytes) -> None:
        """Store one picture of a train sequence."""
        if self._images is None:
            raise ValueError("test sequences have no images")
        (self._images / f"{frame:010d}.jpg").write_bytes(jpeg)

    def close(self) -> int:
        """Write the annotation, empty if nothing was there; returns the number of objects."""
        text = "".join(self._lines)
        self._annotation.write_text(text, encoding="ascii")
        return text.count("\n")
