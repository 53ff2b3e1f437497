"""A scene as a person writes it: `car@12.5,-14.3 pedestrian@4,30`, or `empty`. Pure."""

import math
import re
from collections.abc import Iterable

from rvsense.errors import UsageError
from rvsense.frames import OBJECT_CLASSES, SceneClass, SceneObject

EMPTY: SceneClass = "empty"
FORM = "empty, or CLASS@METRES,DEGREES such as car@12.5,-14.3 (degrees grow to the right)"
_OBJECT = re.compile(r"(?P<label>[a-z]+)@(?P<range>[^,@]+),(?P<azimuth>[^,@]+)")


def scene(words: Iterable[str]) -> tuple[SceneObject, ...]:
    """The objects that the words name; none for `empty`.

    Raises:
        UsageError: no words, a word out of form, or `empty` beside an object.
    """
    given = list(words)
    if not given:
        raise UsageError(f"what was there? {FORM}")
    if EMPTY in given:
        if len(given) > 1:
            raise UsageError(f"{EMPTY} stands alone: a scene is empty or holds objects")
        return ()
    return tuple(scene_object(word) for word in given)


def scene_object(word: str) -> SceneObject:
    """One object out of `CLASS@METRES,DEGREES`.

    Raises:
        UsageError: when it is none.
    """
    match = _OBJECT.fullmatch(word)
    if match is None:
        raise UsageError(f"{word!r} is no object: {FORM}")
    return placed(match["label"], match["range"], match["azimuth"])


def placed(label: str, range_m: str, azimuth_deg: str) -> SceneObject:
    """An object of this class at this place.

    Raises:
        UsageError: an unknown class, or a place that is not in front of a radar.
    """
    for known in OBJECT_CLASSES:
        if known == label:
            break
    else:
        raise UsageError(f"{label!r} is no class: {', '.join(OBJECT_CLASSES)}, or {EMPTY}")
    try:
        where = float(range_m), float(azimuth_deg)
    except ValueError:
        raise UsageError(
            f"range {range_m!r}, azimuth {azimuth_deg!r} is no place: metres and degrees expected"
        ) from None
    if not (0 < where[0] < math.inf and abs(where[1]) <= 90):
        raise UsageError(
            f"{where[0]:g} m, {where[1]:g} degrees is not in front of a radar: "
            "a range above 0 and -90 to 90 degrees expected"
        )
    return SceneObject(known, where[0], math.radians(where[1]))


def spelled(objects: Iterable[SceneObject]) -> str:
    """The words again."""
    words = [f"{o.label}@{o.range_m:g},{math.degrees(o.azimuth_rad):.4g}" for o in objects]
    return " ".join(words) or EMPTY
