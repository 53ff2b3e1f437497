"""The vocabulary between a daemon (DEALER) and its learner (ROUTER). No I/O here.

    daemon                              learner
    hello {lockstep, daemon, life, fetch} ──▶   first on every (re)connection
                                  ◀──  ready {step, pid, teacher_sha256, preset, restored, …}
                                  ◀──  refused {reason}   lock-step with more than one daemon
    pair, label {…} + payloads    ──▶           in order; every one is acknowledged
                                  ◀──  taken {count}      cumulative since hello
                                  ◀──  stranger {}        no hello of yours is known: greet again
                                  ◀──  figures {…}        about once a second, also when idle
                                  ◀──  model {id, step, sha256, manifest_sha256, path, files}
    fetch {id, name, offset}      ──▶           when `path` is on another machine
                                  ◀──  chunk {id, name, offset} + payload
                                  ◀──  gone {id}          that model is not there any more
                                  ◀──  checkpoint {step, path, seconds, ok, error}
                                  ◀──  notice {level, event, …}  to be logged by the daemon
    drain {}                      ──▶           end of input: finish the steps owed
                                  ◀──  drained {step, weights_sha256, pairs}
    stop {}                       ──▶           checkpoint and exit (and HURRY, stopping.py)
                                  ◀──  stopped {step}

`daemon` is a name for people, `life` is drawn anew by every daemon that starts. One that says
`fetch` has no file system in common with the learner: it is offered the newest model at once.
Each message is a msgpack map with `op`, then payload parts. What is out of form is a bug or
another version at the other end: LinkError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar

import msgpack
import numpy as np
from numpy.typing import NDArray

from rvsense.errors import RvsenseError
from rvsense.frames import CLASSES, SceneClass
from rvsense.grids import CELLS
from rvsense.wire import DTYPES, SITE, short

Item = TypeVar("Item", "Pair", "Label")
_INT64 = range(-(2**63), 2**63)
_RANGES = {
    "epoch": range(2**32),
    "stamp_ns": _INT64,
    "radar_seq": _INT64,
    "camera_seq": _INT64,
    "skew_ns": _INT64,
}
CODECS = ("jpeg", "rgb8")

VERSION = 2
"""2: models by chunks, and several daemons; 1 had models by path alone."""

WINDOW = 8
"""Pairs and labels of one daemon on their way: sent, and not yet taken."""
MOST_BYTES = 64 * 1024 * 1024
"""The longest part that either end reads; a longer one ends the connection."""
HANDSHAKE_MS = 5000
HEARTBEAT_MS = 3000
SILENCE_MS = 9000
"""Over TCP: what does not answer a heartbeat for so long is cut off."""
MOST_HEAD_BYTES = 64 * 1024
DEEPEST = 4
"""Maps and lists within each other: none of ours has more than two."""

FORMS: dict[str, dict[str, type | UnionType]] = {
    "ready": {"step": int},
    "refused": {"reason": str},
    "taken": {"count": int},
    "chunk": {"id": str, "name": str, "offset": int},
    "gone": {"id": str},
    "checkpoint": {"ok": bool, "seconds": int | float, "error": str},
    "notice": {"level": str, "event": str},
}
"""What a daemon needs of the messages of a learner, and relies on."""

MALFORMED = (KeyError, IndexError, TypeError, ValueError, OverflowError)
"""What reading a message that is out of form raises."""


class LinkError(RvsenseError):
    """The other end of the link speaks another language."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A positive pair on its way to the learner: heatmap (chirps, 128, 128, 2) and image.

    `epoch`, below 2^32, is the epoch that the source declared (its lowest 16 bits) times 65536,
    plus the number of a jump of its clock that it did not declare; 0 before any.
    """

    site: str
    epoch: int
    stamp_ns: int
    radar_seq: int
    camera_seq: int
    skew_ns: int
    codec: str
    heatmap: NDArray[np.floating[Any]]
    image: bytes
    image_shape: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A labelled radar frame on its way to the classification head; never to the encoder.

    `epoch` is that of a pair of this frame, if the clock has not jumped undeclared.
    """

    site: str
    epoch: int
    stamp_ns: int
    label: SceneClass
    heatmap: NDArray[np.floating[Any]]


def pack(op: str, payloads: Sequence[bytes | memoryview] = (), **values: Any) -> list[Any]:
    """A message: a map with `v` and `op`, then its payloads."""
    return [msgpack.packb({"v": VERSION, "op": op, **values}), *payloads]


def unpack(parts: Sequence[bytes | memoryview]) -> tuple[str, dict[str, Any], list[Any]]:
    """(op, values, payloads) of a message.

    Raises:
        LinkError: when it is not a message of this version.
    """
    try:
        if len(parts[0]) > MOST_HEAD_BYTES:
            raise ValueError(f"a header of {len(parts[0])} bytes; at most {MOST_HEAD_BYTES}")
        values = msgpack.unpackb(parts[0], max_ext_len=0)
        version, op = values.pop("v"), values.pop("op")
        if not isinstance(op, str) or not _is_plain(values, DEEPEST):
            raise ValueError("texts, numbers, and a few lists and maps of them are expected")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise LinkError(f"learner link: unreadable message ({short(error)})") from None
    if version != VERSION:
        raise LinkError(
            f"learner link: version {short(version)}, expected {VERSION}; upgrade both ends"
        )
    return op, values, list(parts[1:])


def check_form(op: str, values: Mapping[str, Any]) -> None:
    """That a message of a learner has what a daemon needs of it.

    Raises:
        LinkError: naming the value that is missing, or of another type.
    """
    for name, kind in FORMS.get(op, {}).items():
        value = values.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise LinkError(f"learner link: {name} of a {op} is {short(value)}")


def pack_pair(pair: Pair) -> list[Any]:
    """A `pair` message."""
    values = {key: value for key, value in _plain(pair).items() if key != "image"}
    return pack("pair", [_bytes(pair.heatmap), pair.image], **values)


def pack_label(label: Label) -> list[Any]:
    """A `label` message."""
    return pack("label", [_bytes(label.heatmap)], **_plain(label))


def unpack_pair(values: dict[str, Any], payloads: list[Any]) -> Pair:
    """The pair of a `pair` message; its array is a read-only view of the payload.

    Raises:
        LinkError: when it is out of form.
    """
    try:
        heatmap = _array(values, payloads[0])
        pair = Pair(
            heatmap=heatmap,
            image=bytes(payloads[1]),
            image_shape=_image_shape(values.pop("image_shape")),
            **values,
        )
        return _sound(pair)
    except MALFORMED as error:
        raise LinkError(f"learner link: a pair out of form ({error!r})") from None


def unpack_label(values: dict[str, Any], payloads: list[Any]) -> Label:
    """The label of a `label` message.

    Raises:
        LinkError: when it is out of form.
    """
    try:
        return _sound(Label(heatmap=_array(values, payloads[0]), **values))
    except MALFORMED as error:
        raise LinkError(f"learner link: a label out of form ({error!r})") from None


def _is_plain(value: Any, deepest: int) -> bool:
    """Whether a value can be shown, logged and sent on: what JSON can say, and not too deep."""
    if isinstance(value, list):
        return deepest > 0 and all(_is_plain(item, deepest - 1) for item in value)
    if isinstance(value, dict):
        return (
            deepest > 0
            and all(isinstance(key, str) for key in value)
            and all(_is_plain(item, deepest - 1) for item in value.values())
        )
    return isinstance(value, str | int | float | None)


def _plain(item: Pair | Label) -> dict[str, Any]:
    values = {key: value for key, value in _shallow(item).items() if key != "heatmap"}
    return values | {"shape": list(item.heatmap.shape), "dtype": item.heatmap.dtype.str}


def _shallow(item: Pair | Label) -> dict[str, Any]:
    return {key: getattr(item, key) for key in item.__dataclass_fields__}


def _bytes(heatmap: NDArray[np.floating[Any]]) -> memoryview:
    return np.ascontiguousarray(heatmap).data.cast("B")


def _sound(item: Item) -> Item:
    """`item`, if its fields are what they should be: it may come from another machine."""
    if not isinstance(item.site, str) or not SITE.fullmatch(item.site):
        raise ValueError(f"site = {short(item.site)}")
    for name in _RANGES.keys() & item.__dataclass_fields__.keys():
        value = getattr(item, name)
        if type(value) is not int or value not in _RANGES[name]:
            raise ValueError(f"{name} = {short(value)}")
    chirps, *cell = item.heatmap.shape
    if chirps < 1 or cell != [CELLS, CELLS, 2]:
        raise ValueError(f"a heatmap of shape {item.heatmap.shape}")
    if isinstance(item, Label) and item.label not in CLASSES:
        raise ValueError(f"label = {short(item.label)}")
    if isinstance(item, Pair) and item.codec not in CODECS:
        raise ValueError(f"codec = {short(item.codec)}")
    return item


def _image_shape(shape: Any) -> tuple[int, int, int] | None:
    if shape is None:
        return None
    height, width, colours = shape
    if any(type(side) is not int for side in shape) or min(shape) < 1 or colours != 3:
        raise ValueError(f"image_shape = {short(shape)}")
    return height, width, colours


def _array(values: dict[str, Any], payload: Any) -> NDArray[np.floating[Any]]:
    return np.frombuffer(payload, DTYPES[values.pop("dtype")]).reshape(values.pop("shape"))
