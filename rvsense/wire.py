"""Frame messages: frames to ZeroMQ parts and back. No I/O here.

A message is two parts: a msgpack map of at most 4 KiB, then the payload (none for a label).
Decoding trusts nothing: sizes are checked before unpacking, every field has a type and a
range, shapes must fit payloads, and numbers must be finite. What does not fit raises
FrameError with a reason out of REASONS; unknown keys are ignored.
"""

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from rvsense.errors import FrameError
from rvsense.finite import all_finite
from rvsense.frames import (
    OBJECT_CLASSES,
    AnyFrame,
    CameraFrame,
    LabelFrame,
    RadarFrame,
    SceneObject,
)
from rvsense.grids import CELLS

VERSION = 1
MAX_HEADER_BYTES = 4096
MAX_OBJECTS = 64
SITE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DTYPES: dict[str, np.dtype[Any]] = {"<f4": np.dtype("<f4"), "<f2": np.dtype("<f2")}
INT64_MAX = 2**63 - 1

REASONS = (
    "bad_parts",  # not the number of parts that the kind needs
    "bad_header",  # too long, not msgpack, not a map
    "bad_version",
    "bad_kind",
    "bad_field",  # a key is missing, of the wrong type or out of range
    "bad_shape",  # shape, dtype or codec is not one we take
    "bad_size",  # the payload does not have the size that its shape says
    "too_large",
    "not_finite",
    "too_many_sites",
)


def unpack_map(header: bytes | memoryview) -> dict[str, Any]:
    """Unpack a message map defensively.

    Raises:
        FrameError: `bad_header` when it is too long, not msgpack, or not a map of str keys.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise FrameError("bad_header", f"{len(header)} bytes; at most {MAX_HEADER_BYTES}")
    try:
        value = msgpack.unpackb(header, max_map_len=64, max_array_len=MAX_OBJECTS, max_ext_len=0)
    except (ValueError, TypeError, RecursionError) as error:
        detail = str(error) or type(error).__name__
        raise FrameError("bad_header", f"not a msgpack map ({detail})") from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise FrameError("bad_header", "not a msgpack map with text keys")
    return value


def is_current(version: object) -> bool:
    """Whether a message's `v` is the whole number that this version speaks."""
    return type(version) is int and version == VERSION


def encode(frame: AnyFrame) -> list[bytes | memoryview]:
    """A frame as message parts; heatmaps go out as little-endian, C-ordered bytes."""
    head: dict[str, Any] = {
        "v": VERSION,
        "kind": "",
        "site": frame.site,
        "seq": frame.seq,
        "stamp_ns": frame.stamp_ns,
        "epoch": frame.epoch,
    }
    if frame.source:
        head["source"] = dict(frame.source)
    payload: list[bytes | memoryview] = []
    if isinstance(frame, RadarFrame):
        dtype = "<f2" if frame.heatmap.dtype.itemsize == 2 else "<f4"
        heatmap = np.ascontiguousarray(frame.heatmap, dtype=dtype)
        head |= {"kind": "radar", "shape": list(heatmap.shape), "dtype": dtype}
        payload = [heatmap.data.cast("B")]
    elif isinstance(frame, CameraFrame):
        head |= {"kind": "camera", "codec": frame.codec}
        if frame.shape is not None:
            head["shape"] = list(frame.shape)
        payload = [frame.image]
    else:
        head |= {"kind": "label", "objects": [_object_map(item) for item in frame.objects]}
        if frame.purpose != "train":
            head["purpose"] = frame.purpose
    return [msgpack.packb(head), *payload]


def decode(
    parts: Sequence[bytes | memoryview],
    *,
    max_chirps: int = 16,
    max_image_bytes: int = 4 * 1024 * 1024,
    max_image_pixels: int = 4096 * 4096,
) -> AnyFrame:
    """Message parts as a frame. A radar frame's array is a read-only view of its payload.

    Raises:
        FrameError: with a reason out of REASONS.
    """
    if not 1 <= len(parts) <= 2:
        raise FrameError("bad_parts", f"{len(parts)} parts; a header and a payload expected")
    return decode_map(
        unpack_map(parts[0]),
        parts[1:],
        max_chirps=max_chirps,
        max_image_bytes=max_image_bytes,
        max_image_pixels=max_image_pixels,
    )


def decode_map(
    head: Mapping[str, Any],
    payloads: Sequence[bytes | memoryview],
    *,
    max_chirps: int = 16,
    max_image_bytes: int = 4 * 1024 * 1024,
    max_image_pixels: int = 4096 * 4096,
) -> AnyFrame:
    """A header that is unpacked already, and what came behind it, as a frame; see decode."""
    if not is_current(head.get("v")):
        raise FrameError("bad_version", f"v is {short(head.get('v'))}; this daemon speaks 1")
    kind = head.get("kind")
    if kind not in ("radar", "camera", "label"):
        raise FrameError("bad_kind", f"kind is {short(kind)}; radar, camera or label expected")
    common = _common(head)
    if len(payloads) != (0 if kind == "label" else 1):
        raise FrameError("bad_parts", f"a {kind} message has not {len(payloads)} payloads")
    if kind == "label":
        return LabelFrame(**common, objects=_objects(head), purpose=_purpose(head))
    payload = payloads[0]
    if kind == "camera":
        return _camera(common, head, payload, max_image_bytes, max_image_pixels)
    return _radar(common, head, payload, max_chirps)


def _common(head: Mapping[str, Any]) -> dict[str, Any]:
    site = head.get("site")
    if not isinstance(site, str) or not SITE.fullmatch(site):
        raise FrameError("bad_field", f"site is {short(site)}; 1-64 of [A-Za-z0-9_.-] expected")
    source = head.get("source")
    if source is not None and not isinstance(source, dict):
        raise FrameError("bad_field", f"source is {short(source)}; a map expected")
    return {
        "site": site,
        "seq": _whole(head, "seq", 0),
        "stamp_ns": _whole(head, "stamp_ns", -INT64_MAX),
        "epoch": _whole(head, "epoch", 0),
        "source": _plain(source or {}),
    }


def _whole(head: Mapping[str, Any], key: str, low: int) -> int:
    value = head.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= INT64_MAX:
        raise FrameError("bad_field", f"{key} is {short(value)}; a whole number from {low}")
    return value


def _plain(source: Mapping[str, Any]) -> dict[str, str | int | float | bool | None]:
    """`source` is echoed in results: keep to plain values, so that it cannot grow or nest."""
    for key, value in source.items():
        # msgpack lets byte strings be keys; JSON, where results end up, does not.
        if not isinstance(key, str):
            raise FrameError("bad_field", f"source has the key {short(key)}; text expected")
        if not isinstance(value, str | int | float | bool | None):
            raise FrameError("bad_field", f"source holds {short(value)}; plain values expected")
        if isinstance(value, float) and not math.isfinite(value):
            raise FrameError("not_finite", "source holds a number that is not finite")
    return dict(source)


def _radar(
    common: dict[str, Any], head: Mapping[str, Any], payload: bytes | memoryview, max_chirps: int
) -> RadarFrame:
    shape: Any = head.get("shape")
    dtype = DTYPES.get(str(head.get("dtype")))
    if dtype is None:
        raise FrameError("bad_shape", f"dtype is {short(head.get('dtype'))}; <f4 or <f2 expected")
    if not _is_shape(shape, 4) or shape[1:] != [CELLS, CELLS, 2] or shape[0] > max_chirps:
        wanted = f"[1..{max_chirps}, {CELLS}, {CELLS}, 2]"
        raise FrameError("bad_shape", f"shape is {short(shape)}; {wanted} expected")
    _check_size(payload, shape, dtype.itemsize)
    # Many hold this array and none may change it, though ZeroMQ's buffer would let them.
    heatmap = np.frombuffer(memoryview(payload).toreadonly(), dtype=dtype).reshape(shape)
    if not all_finite(heatmap):
        raise FrameError("not_finite", "the heatmap holds NaN or infinity")
    return RadarFrame(**common, heatmap=heatmap)


def _camera(
    common: dict[str, Any],
    head: Mapping[str, Any],
    payload: bytes | memoryview,
    max_bytes: int,
    max_pixels: int,
) -> CameraFrame:
    codec = head.get("codec")
    shape: Any = head.get("shape")
    if len(payload) > max_bytes:
        raise FrameError("too_large", f"image of {len(payload)} bytes; at most {max_bytes}")
    if codec == "jpeg":
        if bytes(payload[:2]) != b"\xff\xd8":
            raise FrameError("bad_shape", "codec says jpeg, the payload does not start like one")
        return CameraFrame(**common, codec="jpeg", image=bytes(payload))
    if codec != "rgb8":
        raise FrameError("bad_shape", f"codec is {short(codec)}; jpeg or rgb8 expected")
    if not _is_shape(shape, 3) or shape[2] != 3:
        raise FrameError("bad_shape", f"shape is {short(shape)}; [height, width, 3] expected")
    if shape[0] * shape[1] > max_pixels:
        raise FrameError("too_large", f"{shape[0]}x{shape[1]} pixels; at most {max_pixels}")
    _check_size(payload, shape, 1)
    return CameraFrame(**common, codec="rgb8", image=bytes(payload), shape=tuple(shape))


def _is_shape(shape: Any, dimensions: int) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) == dimensions
        and all(type(n) is int and 1 <= n <= 65_536 for n in shape)
    )


def _check_size(payload: bytes | memoryview, shape: Sequence[int], itemsize: int) -> None:
    wanted = math.prod(shape) * itemsize
    if len(payload) != wanted:
        raise FrameError("bad_size", f"payload of {len(payload)} bytes; {shape} needs {wanted}")


def _objects(head: Mapping[str, Any]) -> tuple[SceneObject, ...]:
    items = head.get("objects")
    if not isinstance(items, list):
        raise FrameError("bad_field", f"objects is {short(items)}; a list expected")
    return tuple(_object(item) for item in items)


def _object(item: Any) -> SceneObject:
    if not isinstance(item, dict) or item.get("class") not in OBJECT_CLASSES:
        raise FrameError("bad_field", f"object {short(item)}; class must be {OBJECT_CLASSES}")
    where: list[Any] = [item.get("range_m"), item.get("azimuth_rad")]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in where):
        raise FrameError("bad_field", f"object {short(item)}; range_m and azimuth_rad expected")
    if not all(math.isfinite(x) for x in where):
        raise FrameError("not_finite", "an object's position is not finite")
    return SceneObject(item["class"], float(where[0]), float(where[1]))


def _purpose(head: Mapping[str, Any]) -> Any:
    purpose = head.get("purpose", "train")
    if purpose not in ("train", "score"):
        raise FrameError("bad_field", f"purpose is {short(purpose)}; train or score expected")
    return purpose


def _object_map(item: SceneObject) -> dict[str, Any]:
    return {"class": item.label, "range_m": item.range_m, "azimuth_rad": item.azimuth_rad}


def short(value: Any) -> str:
    """A value as a message quotes it: a few words, however long or deeply nested it is."""
    text = reprlib.repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
