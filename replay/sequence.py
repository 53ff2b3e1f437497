"""A sequence: one take of one radar-camera pair, and how each of its frames is read.

The streams are kept apart: radar numbering may start late, images may be missing (all of
them in a test split), and a frame that only one stream has is a frame of that stream.
"""

import re
from collections.abc import Mapping
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from rvsense.frames import CameraFrame, LabelFrame, RadarFrame, SceneObject
from rvsense.replay.annotations import Annotations
from rvsense.replay.heatmaps import read_heatmap
from rvsense.replay.pictures import read_jpeg
from rvsense.replay.stamps import Problem

Split = Literal["train", "test"]

SIMULATED = "simulated.json"

_DATE = re.compile(r"\d{4}_\d{2}_\d{2}(?=_|$)")


def site_of(name: str) -> str:
    """The radar-camera pair behind a sequence: the rig as mounted on its date.

    A name without a date is a site of its own, in the characters that a site may have.
    """
    if date := _DATE.match(name):
        return date.group()
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:64] or "site"


@dataclass(frozen=True, slots=True)
class RadarFiles:
    """Where heatmaps lie: `<frame>_<chirp>.npy` in one folder, or a folder for each chirp."""

    folder: Path
    chirps: tuple[int, ...]
    folder_per_chirp: bool

    def of(self, frame_id: int) -> list[Path]:
        """The chirp files of a frame, whether they exist or not."""
        if self.folder_per_chirp:
            return [self.folder / f"{chirp:04d}" / f"{frame_id:06d}.npy" for chirp in self.chirps]
        return [self.folder / f"{frame_id:06d}_{chirp:04d}.npy" for chirp in self.chirps]


@dataclass(frozen=True)
class Sequence:
    """One sequence. `radar_ns` and `camera_ns` map each stream's frame ids to capture times."""

    name: str
    split: Split
    radar_files: RadarFiles | None
    image_folder: Path | None
    radar_ns: Mapping[int, int]
    camera_ns: Mapping[int, int]
    annotations: Annotations | None = None
    """None: nobody annotated this sequence (ROD2021's test split)."""
    problems: tuple[Problem, ...] = ()
    simulated: bool = False

    @cached_property
    def site(self) -> str:
        """The site that this sequence's frames belong to."""
        return site_of(self.name)

    @cached_property
    def frame_ids(self) -> tuple[int, ...]:
        """The frames that at least one stream has, ascending."""
        return tuple(sorted(self.radar_ns.keys() | self.camera_ns.keys()))

    def objects(self, frame_id: int) -> tuple[SceneObject, ...] | None:
        """The annotated objects of a frame: () is an empty scene, None is not annotated."""
        return self.annotations.of(frame_id) if self.annotations else None

    def read_radar(self, frame_id: int, *, seq: int = 0, epoch: int = 0) -> RadarFrame:
        """The radar frame with its (chirps, 128, 128, 2) float32 heatmap.

        Raises:
            KeyError: the radar has no such frame.
            FrameError: a file of it cannot be used.
        """
        stamp_ns = self.radar_ns[frame_id]
        assert self.radar_files is not None  # there are no stamps without files
        return RadarFrame(
            **self._common(frame_id, stamp_ns, seq, epoch),
            heatmap=read_heatmap(self.radar_files.of(frame_id)),
        )

    def read_camera(self, frame_id: int, *, seq: int = 0, epoch: int = 0) -> CameraFrame:
        """The camera frame, its JPEG undecoded. Raises as `read_radar`."""
        stamp_ns = self.camera_ns[frame_id]
        assert self.image_folder is not None  # there are no stamps without files
        image = read_jpeg(self.image_folder / f"{frame_id:010d}.jpg")
        return CameraFrame(
            **self._common(frame_id, stamp_ns, seq, epoch), codec="jpeg", image=image
        )

    def label(
        self,
        frame_id: int,
        *,
        purpose: Literal["train", "score"] = "train",
        seq: int = 0,
        epoch: int = 0,
    ) -> LabelFrame | None:
        """What the annotation says of radar frame `frame_id`; None where it says nothing."""
        objects = self.objects(frame_id)
        if objects is None:
            return None
        common = self._common(frame_id, self.radar_ns[frame_id], seq, epoch)
        return LabelFrame(**common, objects=objects, purpose=purpose)

    def _common(self, frame_id: int, stamp_ns: int, seq: int, epoch: int) -> dict[str, Any]:
        # What a recording of it must know to be exported as what it was.
        source = {"dataset": "CRUW", "sequence": self.name, "frame_id": frame_id}
        source |= {"split": self.split} | ({"simulated": True} if self.simulated else {})
        return {
            "site": self.site,
            "seq": seq,
            "stamp_ns": stamp_ns,
            "epoch": epoch,
            "source": source,
        }


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was found under a path, by split and name."""

    path: Path
    sequences: AnySequence[Sequence]

    @property
    def simulated(self) -> bool:
        """Whether `rvsense simulate` wrote it: it leaves a note of its settings."""
        return (self.path / SIMULATED).exists()
