"""The things that travel: radar, camera and label frames, and the four classes.

A frame is metadata and a payload. Stamps are capture times in nanoseconds on the source's
clock; `epoch` changes when that clock starts again; `seq` counts up per site and kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["radar", "camera", "label"]
SceneClass = Literal["empty", "pedestrian", "cyclist", "car"]

CLASSES: tuple[SceneClass, ...] = ("empty", "pedestrian", "cyclist", "car")
OBJECT_CLASSES: tuple[SceneClass, ...] = CLASSES[1:]


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object of a scene, in the radar's polar coordinates (azimuth grows to the right)."""

    label: SceneClass
    range_m: float
    azimuth_rad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every frame carries, whatever its kind."""

    site: str
    seq: int
    stamp_ns: int
    epoch: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarFrame(Frame):
    """A complex range-azimuth heatmap per chirp.

    `heatmap` is (chirps, 128 range, 128 azimuth, 2): real and imaginary parts, float32 or
    float16, row 0 nearest, column 0 at -90 degrees (CRUW devkit's layout).
    """

    kind: ClassVar[Kind] = "radar"

    heatmap: NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFrame(Frame):
    """An image as the camera sent it: JPEG bytes, or packed RGB with its (height, width, 3)."""

    kind: ClassVar[Kind] = "camera"

    codec: Literal["jpeg", "rgb8"]
    image: bytes
    shape: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFrame(Frame):
    """What an annotator says of the frame at `stamp_ns`; no objects means an empty scene.

    `purpose` tells what it may be used for: `train` lets the classification head see it,
    `score` only compares it with the answer already given.
    """

    kind: ClassVar[Kind] = "label"

    objects: tuple[SceneObject, ...]
    purpose: Literal["train", "score"] = "train"


AnyFrame = RadarFrame | CameraFrame | LabelFrame


def scene_class(objects: Sequence[SceneObject]) -> SceneClass | None:
    """The class of a whole scene, as the paper builds its task (section V-A).

    Returns:
        `empty` without objects, the common class where all objects share one, and None for
        a scene of several classes, which is no example of any.
    """
    labels = {item.label for item in objects}
    if not labels:
        return "empty"
    return labels.pop() if len(labels) == 1 else None
