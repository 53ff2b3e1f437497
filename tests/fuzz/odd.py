"""Every field of every frame message with every value that it should not have, one at a time."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

import msgpack

from tests.fuzz import golden, grammar
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.frames import KINDS
from tests.fuzz.targets.decoder import feed

NOT_FINITE = (math.nan, -math.nan, math.inf, -math.inf)
ODD: tuple[Any, ...] = (
    *(None, True, False, "", "x", b"", b"x", [], {}, [0], {"a": 0}, 0.5, -1, 2**63, 2**64 - 1),
    *(-(2**63), msgpack.Timestamp(1), msgpack.Timestamp(2**34, 1), msgpack.ExtType(0, b"")),
    *(msgpack.ExtType(127, b"x" * 40), [[[[]]]], *NOT_FINITE),
)
DEEP = (b"\x91" * 500 + b"\xc0", b"\x81\xa1a" * 500 + b"\xc0", b"\x91" * 3000 + b"\xc0")
RAW = (*DEEP, b"\xc1", b"\xd6\xff\x00\x00\x00\x01", b"\xc7\x00\xff", b"\xdf\xff\xff\xff\xff")
"""Values as bytes: too deep, no msgpack, a time, an empty one, and a map that has no end."""


def messages() -> Iterator[tuple[Case, bool]]:
    """Each message, and whether a number in it is not finite."""
    for kind in KINDS:
        values = golden.values(kind)
        payloads = {"radar frame": [golden.heatmap(4)], "camera frame": [golden.jpeg()]}.get(
            kind, []
        )
        for path in _paths(values):
            for odd in ODD:
                head = msgpack.packb(_with(values, path, odd))
                not_finite = isinstance(odd, float) and not math.isfinite(odd)
                yield Case(f"{kind}: {path[-1]}", [head, *payloads]), not_finite
        for name in (*values, "source", "more"):
            for raw in RAW:
                yield Case(f"{kind}: {name}", [_raw(values, name, raw), *payloads]), False
            twice = [*values.items(), (name, values.get(name, {}))]
            yield Case("twice", [grammar.packed(twice, Random(1)), *payloads]), False


def check() -> tuple[int, int]:
    """How many there are, and how many of them are frames all the same.

    Raises:
        BrokenError: one that holds a number that is not finite is taken, or none is told of why.
    """
    count = taken = 0
    for case, not_finite in messages():
        answer = feed(case)
        count, taken = count + 1, taken + (not answer.startswith("rejected"))
        if not_finite and answer not in REFUSED:
            raise BrokenError(f"{case.how}: {answer}")
    return count, taken


REFUSED = tuple(
    f"rejected {reason}"
    for reason in ("not_finite", "bad_field", "bad_shape", "bad_version", "bad_kind", "bad_size")
)


def _paths(values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The way to each entry, those within lists and maps included, and to one of `source`."""
    yield ("source", "a")
    for name, value in values.items():
        yield (name,)
        if isinstance(value, list):
            for at, item in enumerate(value):
                yield (name, at)
                if isinstance(item, dict):
                    yield from ((name, at, key) for key in item)


def _with(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    if isinstance(value, list):
        return [
            _with(item, path[1:], odd) if at == path[0] else item for at, item in enumerate(value)
        ]
    inner = value.get(path[0], {}) if isinstance(value, dict) else {}
    return value | {path[0]: _with(inner, path[1:], odd)}


def _raw(values: dict[str, Any], name: str, raw: bytes) -> bytes:
    entries = [(key, value) for key, value in values.items() if key != name]
    packed = b"".join(msgpack.packb(key) + msgpack.packb(value) for key, value in entries)
    count = (len(entries) + 1).to_bytes(2, "big")
    return b"\xde" + count + packed + bytes(msgpack.packb(name)) + raw
