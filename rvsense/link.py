"""The vocabulary between a daemon (DEALER) and its learner (ROUTER). No I/O here.

    daemon                              learner
    hello {lockstep, daemon}      ──▶           first on every (re)connection
                                  ◀──  ready {step, pid, teacher_sha256, preset, restored}
    pair, label {…} + payloads    ──▶           in order; every one is acknowledged
                                  ◀──  taken {count}      cumulative since hello
                                  ◀──  figures {…}        about once a second, also when idle
                                  ◀──  model {id, step, path}   a published directory
                                  ◀──  checkpoint {step, path, seconds, ok, error}
                                  ◀──  notice {level, event, …}  to be logged by the daemon
    drain {}                      ──▶           end of input: finish the steps owed
                                  ◀──  drained {step, weights_sha256, pairs}
    stop {}                       ──▶           checkpoint and exit
                                  ◀──  stopped {step}

Each message is a msgpack map with `op`, then payload parts. Both ends belong to one
installation, so a message out of form is a bug or another version: LinkError, not a count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from rvsense.errors import RvsenseError
from rvsense.frames import SceneClass

VERSION = 1


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
        values = msgpack.unpackb(parts[0])
        version, op = values.pop("v"), values.pop("op")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise LinkError(f"learner link: unreadable message ({error})") from None
    if version != VERSION:
        raise LinkError(f"learner link: version {version}, expected {VERSION}; upgrade both ends")
    return op, values, list(parts[1:])


def pack_pair(pair: Pair) -> list[Any]:
    """A `pair` message."""
    values = {key: value for key, value in _plain(pair).items() if key != "image"}
    return pack("pair", [_bytes(pair.heatmap), pair.image], **values)


def pack_label(label: Label) -> list[Any]:
    """A `label` message."""
    return pack("label", [_bytes(label.heatmap)], **_plain(label))


def unpack_pair(values: dict[str, Any], payloads: list[Any]) -> Pair:
    """The pair of a `pair` message; its array is a read-only view of the payload."""
    heatmap = _array(values, payloads[0])
    shape = values.pop("image_shape")
    return Pair(
        heatmap=heatmap,
        image=bytes(payloads[1]),
        image_shape=tuple(shape) if shape else None,
        **values,
    )


def unpack_label(values: dict[str, Any], payloads: list[Any]) -> Label:
    """The label of a `label` message."""
    heatmap = _array(values, payloads[0])
    return Label(heatmap=heatmap, **values)


def _plain(item: Pair | Label) -> dict[str, Any]:
    values = {key: value for key, value in _shallow(item).items() if key != "heatmap"}
    return values | {"shape": list(item.heatmap.shape), "dtype": item.heatmap.dtype.str}


def _shallow(item: Pair | Label) -> dict[str, Any]:
    return {key: getattr(item, key) for key in item.__dataclass_fields__}


def _bytes(heatmap: NDArray[np.floating[Any]]) -> memoryview:
    return np.ascontiguousarray(heatmap).data.cast("B")


def _array(values: dict[str, Any], payload: Any) -> NDArray[np.floating[Any]]:
    return np.frombuffer(payload, dtype=values.pop("dtype")).reshape(values.pop("shape"))
