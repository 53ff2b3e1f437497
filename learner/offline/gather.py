"""A dataset to samples: each frame is read, encoded and put down once, in as many processes
as there are cores. A run that was interrupted goes on with the sequences that are missing.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from rvsense.disk import naming
from rvsense.errors import FrameError, RvsenseError
from rvsense.features import encoder_input
from rvsense.frames import CLASSES, SceneObject, scene_class
from rvsense.learner.offline.crew import Tell, Unit, result_path, run_units
from rvsense.learner.offline.samples import UNLABELLED, Samples, readable, save
from rvsense.learner.presets import PRESETS
from rvsense.learner.teacher import Teacher


class Recording(Protocol):
    """What is needed of a sequence; `replay.sequence.Sequence` is one."""

    @property
    def name(self) -> str:
        """Its folder's name."""

    @property
    def site(self) -> str:
        """The radar-camera pair behind it."""

    @property
    def radar_ns(self) -> Any:
        """Frame id to capture time of the radar."""

    @property
    def camera_ns(self) -> Any:
        """Frame id to capture time of the camera."""

    def objects(self, frame_id: int) -> tuple[SceneObject, ...] | None:
        """Annotated objects; None where nobody annotated."""

    def read_radar(self, frame_id: int) -> Any:
        """The radar frame."""

    def read_camera(self, frame_id: int) -> Any:
        """The camera frame."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the samples of a dataset depend on, besides its files."""

    preset: str
    teacher_weights: str
    teacher_sha256: str
    every: int
    """Each n-th frame is taken; neighbours at 30 a second are near copies."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Where the samples of all recordings lie, and what happened on the way."""

    paths: list[Path]
    problems: list[str]
    """Frames that could not be read, with the reason."""
    teacher_sha256: str
    """Of the teacher after the last image."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """What annotations alone say of the samples to come; every field has n rows, in their order."""

    labels: torch.Tensor
    """(n,) int64 index into CLASSES, or UNLABELLED."""
    sequences: torch.Tensor
    """(n,) int64, one number per sequence."""
    sites: torch.Tensor
    """(n,) int64, one number per site."""


def annotated(recordings: Sequence[Recording], every: int) -> Annotated:
    """Labels of all frames that `gather` will try to read; no file of radar or camera is opened."""
    sites = _site_numbers(recordings)
    rows = [
        (_label(recording.objects(frame_id)), number, sites[recording.site])
        for number, recording in enumerate(recordings)
        for frame_id in _paired_ids(recording, every)
    ]
    return Annotated(*torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).unbind(dim=1))


def gather(
    recordings: Sequence[Recording],
    encoding: Encoding,
    folder: Path,
    jobs: int,
    progress: Callable[[float], object],
) -> Gathered:
    """Samples of all recordings that have radar and images.

    `folder` is for these recordings and this encoding alone. `progress` is told the number of
    frames done since the last call, the first time those of earlier runs.

    Raises:
        RvsenseError: when a process fails, naming the sequence by its number, or the disk does.
    """
    sites = _site_numbers(recordings)
    units = [
        Unit(
            f"{number:05d}",
            Encode(recording, encoding, number, sites[recording.site], folder),
            cost=len(recording.radar_ns) / encoding.every,
        )
        for number, recording in enumerate(recordings)
    ]
    paths = [samples_path(folder, number) for number in range(len(recordings))]
    forget_unreadable({unit.name: path for unit, path in zip(units, paths, strict=True)}, folder)
    teacher = functools.partial(open_teacher, encoding.preset, encoding.teacher_weights)
    results = run_units(units, folder, teacher, jobs=jobs, progress=progress)
    after = {result["teacher_sha256"] for result in results.values()}
    if after != {encoding.teacher_sha256}:
        raise RvsenseError(
            f"the teacher was {encoding.teacher_sha256} before the first image and is "
            f"{', '.join(sorted(after))} after the last"
        )
    problems = [problem for name in sorted(results) for problem in results[name]["problems"]]
    return Gathered(paths, problems, after.pop())


def forget_unreadable(paths: Mapping[str, Path], folder: Path) -> None:
    """Where the samples of a unit cannot be read, its result, if there is one, says nothing.

    Raises:
        DiskError: it cannot be removed.
    """
    with naming(folder):
        for name, path in paths.items():
            if not readable(path):
                result_path(folder, name).unlink(missing_ok=True)


def samples_path(folder: Path, sequence: int) -> Path:
    """Where the samples of a sequence lie."""
    return folder / f"{sequence:05d}.safetensors"


def open_teacher(preset: str, weights: str) -> Teacher:
    """The teacher of a process that encodes: one thread each, so on the CPU."""
    return PRESETS[preset].teacher(weights, torch.device("cpu"))


@dataclass(frozen=True, slots=True)
class Encode:
    """One recording to samples; leaves them in a file."""

    recording: Recording
    encoding: Encoding
    sequence: int
    site: int
    folder: Path

    def __call__(self, teacher: Teacher, tell: Tell) -> dict[str, Any]:
        """Frames that could not be read, and the teacher's digest after the last."""
        preset = PRESETS[self.encoding.preset]
        ids = list(_paired_ids(self.recording, self.encoding.every))
        rows, problems = [], []
        for frame_id in ids:
            try:
                rows.append(_row(self.recording, frame_id, preset.channels, teacher))
            except FrameError as error:
                problems.append(f"{self.recording.name} frame {frame_id}: {error}")
            tell(1.0 / len(ids))
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        columns = columns or _nothing(len(preset.channels), teacher.key_dim)
        numbers = [torch.full((len(columns[0]),), own) for own in (self.sequence, self.site)]
        save(samples_path(self.folder, self.sequence), Samples(*columns, *numbers))
        return {"problems": problems, "teacher_sha256": teacher.sha256()}


def _site_numbers(recordings: Sequence[Recording]) -> dict[str, int]:
    return {site: n for n, site in enumerate(sorted({r.site for r in recordings}))}


def _label(objects: tuple[SceneObject, ...] | None) -> int:
    name = None if objects is None else scene_class(objects)
    return UNLABELLED if name is None else CLASSES.index(name)


def _paired_ids(recording: Recording, every: int) -> Iterator[int]:
    return (i for i in list(recording.radar_ns)[::every] if i in recording.camera_ns)


def _row(
    recording: Recording, frame_id: int, channels: Sequence[str], teacher: Teacher
) -> tuple[torch.Tensor, ...]:
    radar, camera = recording.read_radar(frame_id), recording.read_camera(frame_id)
    objects = recording.objects(frame_id)
    return (
        encoder_input(torch.from_numpy(radar.heatmap)[None], channels)[0].half(),
        teacher.encode(camera.codec, camera.image, camera.shape).half(),
        torch.tensor(_label(objects)),
        torch.tensor(min((item.range_m for item in objects or ()), default=float("nan"))),
        torch.tensor(radar.stamp_ns),
    )


def _nothing(channels: int, key_dim: int) -> list[torch.Tensor]:
    return [
        torch.zeros(0, channels, 128, 128, dtype=torch.float16),
        torch.zeros(0, key_dim, dtype=torch.float16),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0),
        torch.zeros(0, dtype=torch.int64),
    ]
