"""Opening a dataset: finds the sequences under a path and lists their frames."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from rvsense.errors import DatasetError
from rvsense.replay.annotations import Annotations, read_annotations
from rvsense.replay.folders import LOOKED_FOR, SequenceFolders, find_sequences
from rvsense.replay.recording.reader import is_recording
from rvsense.replay.sequence import SIMULATED, Dataset, RadarFiles, Sequence
from rvsense.replay.stamps import Problem, by_file, by_index, camera_delay_ns

CHIRPS_USED = 4
ROD_CHIRPS = (0, 64, 128, 192)
"""The chirps of 255 that ROD2021 holds; the lab's form holds them all."""

_CHIRP_FILE = re.compile(r"(\d{6})_(\d{4})\.npy")
_FRAME_FILE = re.compile(r"(\d{6})\.npy")
_CHIRP_FOLDER = re.compile(r"(\d{4})")
_IMAGE_FILE = re.compile(r"(\d{10})\.jpg")


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """The dataset at `path`: any layout of CRUW, or one sequence of it.

    Raises:
        DatasetError: there is none, or it holds no frame; says what was looked for and where.
    """
    root = Path(os.path.abspath(path))
    if not root.exists():
        raise DatasetError(f"no dataset at {root}: there is no such folder")
    if is_recording(root):
        raise DatasetError(
            f"{root} is a recording, no dataset; "
            f"`rvsense record --export DIR {root}` makes one of it"
        )
    if not root.is_dir():
        raise DatasetError(
            f"no dataset at {root}: it is a file, and no recording; a folder is expected"
        )
    try:
        return _open_cruw(root)
    except OSError as error:
        raise DatasetError(f"no dataset at {root}: {error.filename}: {error.strerror}") from None


def pick_chirps(available: Iterable[int]) -> tuple[int, ...]:
    """The chirps to use: ROD2021's four where they are there, else up to four, evenly spread."""
    chirps = sorted(set(available))
    if set(ROD_CHIRPS) <= set(chirps):
        return ROD_CHIRPS
    if len(chirps) <= CHIRPS_USED:
        return tuple(chirps)
    return tuple(chirps[i * len(chirps) // CHIRPS_USED] for i in range(CHIRPS_USED))


def _open_cruw(root: Path) -> Dataset:
    found = find_sequences(root)
    if not found:
        wanted = "; ".join(LOOKED_FOR)
        raise DatasetError(
            f"no dataset in {root}: looked for {wanted}. `rvsense simulate` writes one"
        )
    simulated = (root / SIMULATED).exists()
    sequences = [_sequence(folders, simulated) for folders in found]
    if not any(sequence.frame_ids for sequence in sequences):
        places = found[0].radar or found[0].images
        raise DatasetError(
            f"empty dataset in {root}: {len(found)} sequence folders, none with a frame; looked "
            f"for 000000_0000.npy, 0000/000000.npy or 0000000000.jpg in {places} and the like"
        )
    return Dataset(root, sequences)


def _sequence(folders: SequenceFolders, simulated: bool) -> Sequence:
    problems: list[Problem] = []
    radar_files, radar_ids = _radar(folders)
    camera_ns, camera_problems = _camera_stamps(folders, radar_ids != [])
    problems += camera_problems
    annotations: Annotations | None = None
    if folders.annotation:
        last_frame_id = radar_ids[-1] if radar_ids else -1
        annotations, label_problems = read_annotations(folders.annotation, last_frame_id)
        problems += label_problems
    return Sequence(
        name=folders.name,
        split=folders.split,
        radar_files=radar_files,
        image_folder=folders.images,
        radar_ns=by_index(radar_ids),
        camera_ns=camera_ns,
        annotations=annotations,
        problems=tuple(problems),
        simulated=simulated,
    )


def _radar(folders: SequenceFolders) -> tuple[RadarFiles | None, list[int]]:
    folder = folders.radar
    if folder is None:
        return None, []
    if folders.chirp_folders:
        chirps = pick_chirps(int(match[1]) for match in _matches(folder, _CHIRP_FOLDER))
        frames = {
            int(match[1])
            for chirp in chirps
            for match in _matches(folder / f"{chirp:04d}", _FRAME_FILE)
        }
    else:
        names = [(int(match[1]), int(match[2])) for match in _matches(folder, _CHIRP_FILE)]
        chirps = pick_chirps(chirp for _, chirp in names)
        frames = {frame for frame, _ in names}
    return RadarFiles(folder, chirps, folders.chirp_folders), sorted(frames)


def _camera_stamps(
    folders: SequenceFolders, has_radar: bool
) -> tuple[Mapping[int, int], list[Problem]]:
    if folders.images is None:
        return {}, []
    frame_ids = sorted(int(match[1]) for match in _matches(folders.images, _IMAGE_FILE))
    delay_ns, problem = 0, None
    if has_radar and folders.start_times:
        delay_ns, problem = camera_delay_ns(folders.start_times)
    problems = [problem] if problem else []
    if folders.timestamps is None:
        stamps = {frame_id: ns + delay_ns for frame_id, ns in by_index(frame_ids).items()}
        return stamps, problems
    timed, missing = by_file(frame_ids, folders.timestamps, delay_ns)
    return timed, problems + missing


def _matches(folder: Path, pattern: re.Pattern[str]) -> Iterable[re.Match[str]]:
    return filter(None, (pattern.fullmatch(name) for name in os.listdir(folder)))
