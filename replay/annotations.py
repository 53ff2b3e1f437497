"""What an annotator said of each frame of a sequence.

ROD2021: one line per object, `frame_id range_m azimuth_rad class` (CRUW devkit); a frame
without a line is an empty scene. Several files of the spring of 2019 and the road sequences
stop up to 33 frames before the end with objects still in view. So the frames behind the last
line count as empty only where at least TAIL_FRAMES of them are left; a shorter tail is
unlabelled, since a wrong `empty` harms and a missing label does not.

Positions are kept as written. The devkit drops objects beyond 1-25 m or ±60° when it scores
detections; the heatmap reaches further, and a class label for the scene must not forget them.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rvsense import jsontext
from rvsense.frames import OBJECT_CLASSES, SceneObject
from rvsense.replay.stamps import Problem

TAIL_FRAMES = 60

# The lab's label grid (CRUW devkit): 122 ranges from far to near, 121 angles by one degree.
_LABEL_RANGE_STEP_M = 0.2230418
_LABEL_RANGES, _LABEL_ANGLES = 122, 121
_FARTHEST_STEP = 124

_Row = tuple[int, SceneObject | None]


@dataclass(frozen=True, slots=True)
class Annotations:
    """Objects by frame id, and the last frame that the annotator can be taken at his word."""

    objects: Mapping[int, tuple[SceneObject, ...]]
    last_frame: int

    def of(self, frame_id: int) -> tuple[SceneObject, ...] | None:
        """The frame's objects; empty for an empty scene, None where nothing is known."""
        if frame_id > self.last_frame:
            return None
        return self.objects.get(frame_id, ())


def in_front(range_m: float, azimuth_rad: float) -> bool:
    """Whether a radar can have an object there; elsewhere it is taken for a slip of the pen."""
    return 0 < range_m < math.inf and abs(azimuth_rad) <= math.pi / 2


def read_annotations(path: Path, last_frame_id: int) -> tuple[Annotations, list[Problem]]:
    """An annotation file, ROD2021's .txt or the lab's ramap_labels.csv, and its bad lines.

    Args:
        path: the file.
        last_frame_id: of the sequence's radar, to tell a tail that was not annotated.
    """
    parse = _parse_via if path.suffix == ".csv" else _parse_rod2021
    problems: list[Problem] = []
    objects: dict[int, tuple[SceneObject, ...]] = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            for frame_id, item in parse(path, lines, problems):
                objects[frame_id] = (*objects.get(frame_id, ()), *((item,) if item else ()))
    except (OSError, csv.Error) as error:
        problems.append(Problem("bad_annotation", f"{path}: {error}; no labels from here on"))
        return Annotations(objects, max(objects, default=-1)), problems
    last_line = max(objects, default=last_frame_id)
    whole = not objects or last_frame_id - last_line >= TAIL_FRAMES
    return Annotations(objects, last_frame_id if whole else last_line), problems


def _parse_rod2021(path: Path, lines: Iterable[str], problems: list[Problem]) -> Iterable[_Row]:
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        try:
            if len(fields) != 4:
                raise ValueError(f"{line.strip()[:60]!r}: frame, range, azimuth, class expected")
            frame_id, range_m, azimuth_rad, label = fields
            yield _frame_id(frame_id), _object(label, float(range_m), float(azimuth_rad))
        except ValueError as error:
            problems.append(_bad(path, number, error))


def _parse_via(path: Path, lines: Iterable[str], problems: list[Problem]) -> Iterable[_Row]:
    """VGG Image Annotator's points on the lab's label grid; cx counts angles, cy ranges."""
    for row in (reader := csv.DictReader(lines)):
        try:
            frame_id = _frame_id(Path(row["filename"]).stem.rpartition("_")[2])
            if row.get("region_count") == "0":
                yield frame_id, None
                continue
            point = jsontext.parse(row["region_shape_attributes"])
            label = jsontext.parse(row["region_attributes"])["class"]
            cx, cy = float(point["cx"]), float(point["cy"])
            if not (0 <= cx < _LABEL_ANGLES and 0 <= cy < _LABEL_RANGES):
                raise ValueError(f"point ({cx:g}, {cy:g}) lies outside the 121 by 122 label grid")
            range_m = (_FARTHEST_STEP - cy) * _LABEL_RANGE_STEP_M
            yield frame_id, _object(label, range_m, math.radians(cx - 60))
        except (ValueError, KeyError, TypeError) as error:
            problems.append(_bad(path, reader.line_num, error))


def _frame_id(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text[:20]!r} is no frame number")
    return int(text)


def _object(label: str, range_m: float, azimuth_rad: float) -> SceneObject:
    for known in OBJECT_CLASSES:
        if label == known:
            break
    else:
        raise ValueError(f"class {label!r:.40}; one of {', '.join(OBJECT_CLASSES)} expected")
    if not in_front(range_m, azimuth_rad):
        raise ValueError(f"position {range_m:g} m, {azimuth_rad:g} rad is not in front of a radar")
    return SceneObject(known, range_m, azimuth_rad)


def _bad(path: Path, number: int, error: Exception) -> Problem:
    detail = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return Problem("bad_annotation", f"{path}:{number}: {detail}")
