"""A dataset to samples: each frame is read, encoded and put down once, in as many processes
as there are cores. A run that was interrupted goes on with the sequences that are missing.
"""

import functools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from rvsense.errors import FrameError, RvsenseError
from rvsense.features import encoder_input
from rvsense.frames import CLASSES, SceneObject, scene_class
from rvsense.learner.offline.samples import UNLABELLED, Samples, load, readable, save
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
    """Samples of all recordings, and what happened on the way."""

    samples: Samples
    problems: list[str]
    """Frames that could not be read, with the reason."""
    teacher_sha256: str
    """Of the teacher after the last image."""


def gather(
    recordings: Sequence[Recording],
    encoding: Encoding,
    folder: Path,
    jobs: int,
    progress: Callable[[int], object],
) -> Gathered:
    """Samples of all recordings that have radar and images.

    `progress` is told the number of sequences finished since the last call.

    Raises:
        ConfigError: when the teacher's weights are missing.
    """
    sites = {site: n for n, site in enumerate(sorted({r.site for r in recordings}))}
    paths = [folder / f"{number:05d}.safetensors" for number in range(len(recordings))]
    todo = [n for n, path in enumerate(paths) if not readable(path)]
    progress(len(paths) - len(todo))
    spawn = multiprocessing.get_context("spawn")
    problems: list[str] = []
    after = {encoding.teacher_sha256}
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=one_thread) as pool:
        waiting: list[Future[tuple[list[str], str]]] = [
            pool.submit(_encode, recordings[n], encoding, n, sites[recordings[n].site], paths[n])
            for n in todo
        ]
        try:
            for done in as_completed(waiting):
                left_out, sha256 = done.result()
                problems += left_out
                after.add(sha256)
                progress(1)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if len(after) > 1:
        raise RvsenseError(f"the teacher changed while it encoded: {', '.join(sorted(after))}")
    return Gathered(load(paths), sorted(problems), after.pop())


def one_thread() -> None:
    """Each process its own core: two busy processes of two threads each stand in their way."""
    torch.set_num_threads(1)


@functools.lru_cache(maxsize=1)
def _teacher(preset: str, weights: str) -> Teacher:
    return PRESETS[preset].teacher(weights, torch.device("cpu"))


def _encode(
    recording: Recording, encoding: Encoding, sequence: int, site: int, path: Path
) -> tuple[list[str], str]:
    teacher = _teacher(encoding.preset, encoding.teacher_weights)
    rows, problems = [], []
    for frame_id in _paired_ids(recording, encoding.every):
        try:
            rows.append(_row(recording, frame_id, encoding.preset, teacher))
        except FrameError as error:
            problems.append(f"{recording.name} frame {frame_id}: {error}")
    columns = [torch.stack(column) for column in zip(*rows, strict=True)] if rows else []
    channels = len(PRESETS[encoding.preset].channels)
    inputs, keys, labels, ranges, stamps = columns or _nothing(channels, teacher.key_dim)
    numbers = torch.full((len(labels),), sequence), torch.full((len(labels),), site)
    save(path, Samples(inputs, keys, labels, ranges, stamps, *numbers))
    return problems, teacher.sha256()


def _paired_ids(recording: Recording, every: int) -> Iterator[int]:
    return (i for i in list(recording.radar_ns)[::every] if i in recording.camera_ns)


def _row(
    recording: Recording, frame_id: int, preset: str, teacher: Teacher
) -> tuple[torch.Tensor, ...]:
    radar, camera = recording.read_radar(frame_id), recording.read_camera(frame_id)
    objects = recording.objects(frame_id)
    name = None if objects is None else scene_class(objects)
    label = UNLABELLED if name is None else CLASSES.index(name)
    return (
        encoder_input(torch.from_numpy(radar.heatmap)[None], PRESETS[preset].channels)[0].half(),
        teacher.encode(camera.codec, camera.image, camera.shape).half(),
        torch.tensor(label),
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
