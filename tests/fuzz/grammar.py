"""Values that msgpack, JSON and TOML can hold and rvsense never sends. Pure but for chance."""

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import msgpack

WORDS = (
    *("v", "kind", "site", "seq", "stamp_ns", "epoch", "source", "shape", "dtype", "codec"),
    *("objects", "purpose", "class", "range_m", "azimuth_rad", "id", "op", "model", "lease_s"),
    *("by", "token", "radar", "camera", "label", "jpeg", "rgb8", "<f4", "<f2", "train", "score"),
    *("car", "cyclist", "pedestrian", "empty", "status", "classify", "event", "level", "logger"),
)
NAMES = (
    *("", ".", "..", "../..", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "~", "-rf", "con"),
    *(
        "north",
        "North",
        "NORTH",
        "a" * 64,
        "a" * 65,
        "a" * 4000,
        "a b",
        " ",
        "\n",
        "a\x00b",
        "\x00",
    ),
    *("nоrth", "nor\u200dth", "ｎorth", "north\u202e", "é", "e\u0301", "🚗", "%2e%2e%2f", "$(id)"),
    *(
        "${HOME}",
        "`id`",
        "';--",
        "<script>",
        "{0}",
        "%s%s%n",
        "\ud7ff",
        "\uffff",
        "١٢٣",
        "a.",
        ".a",
    ),
    *("..." * 20, "null", "None", "NaN", "true", "0", "-0", "1e999", "step-00000001-0a1b2c3d"),
)
"""Tricks with names: paths, ends of lines and of strings, look-alikes, quotes, and ours."""
FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 5e-324, 1e300, -1e300, 3.4e38, 3.5e38, 65504.0, 65520.0),
    *(math.nan, -math.nan, math.inf, -math.inf, math.pi),
)
POWERS = (0, 1, 5, 7, 8, 15, 16, 31, 32, 53, 62, 63, 64)
DEEP = 600
"""Levels; msgpack goes to 1024, and Python recurses no further than 1000."""

Pick = Callable[[Random], Any]


def whole(rng: Random) -> int:
    """A number near a power of two, or any, of those that msgpack can say."""
    if rng.random() < 0.5:
        return rng.randint(-4, 300)
    number = (1 << rng.choice(POWERS)) + rng.choice((-2, -1, 0, 1))
    return max(-(2**63), min(rng.choice((1, 1, -1)) * number, 2**64 - 1))


def text(rng: Random) -> str:
    """A name with a trick in it, one of our words, or any characters."""
    choice = rng.random()
    if choice < 0.5:
        return rng.choice(NAMES)
    if choice < 0.8:
        return rng.choice(WORDS)
    return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0xD800)))) for _ in range(8))


def extension(rng: Random) -> Any:
    """An extension type, a time among them."""
    if rng.random() < 0.5:
        return msgpack.Timestamp(
            rng.choice((0, 1, -1, 2**33, 2**34)), rng.choice((0, 1, 999_999_999))
        )
    return msgpack.ExtType(
        rng.choice((0, 1, 42, 127)), rng.randbytes(rng.choice((0, 1, 4, 8, 16, 40)))
    )


def nested(rng: Random, levels: int) -> Any:
    """Lists or maps within each other."""
    value: Any = rng.choice((None, 0, "x"))
    wrap = rng.choice((lambda inner: [inner], lambda inner: {"a": inner}))
    for _ in range(levels):
        value = wrap(value)
    return value


def plain(rng: Random) -> Any:
    """A value without parts."""
    picks: Sequence[Pick] = (
        whole,
        text,
        lambda r: r.choice(FLOATS),
        lambda r: r.choice((None, True, False)),
        lambda r: r.randbytes(r.choice((0, 1, 8, 70))),
    )
    return rng.choice(picks)(rng)


def value(rng: Random, depth: int = 2) -> Any:
    """Any value, its parts up to `depth` levels deep, or very deep."""
    choice = rng.random()
    if depth == 0 or choice < 0.6:
        return plain(rng)
    if choice < 0.65:
        return extension(rng)
    if choice < 0.67:
        return nested(rng, rng.choice((3, 30, 300, 500)))
    if choice < 0.85:
        return [value(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 3, 4, 5, 65)))]
    return {key(rng): value(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 5, 65)))}


def key(rng: Random) -> Any:
    """A key of a map: text, and now and then something else that can be one."""
    return text(rng) if rng.random() < 0.9 else rng.choice((0, -1, b"v", b"site", True, None, 1.5))


def changed(values: dict[str, Any], rng: Random) -> list[tuple[Any, Any]]:
    """The entries of a map after a change or two; keys may come twice."""
    entries: list[tuple[Any, Any]] = list(values.items())
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(entries)) if entries else 0
        match rng.randrange(6):
            case 0 if entries:
                del entries[at]
            case 1 if entries:
                entries.append((entries[at][0], value(rng)))
            case 2:
                entries.insert(at, (key(rng), value(rng)))
            case 3:
                rng.shuffle(entries)
            case _ if entries:
                entries[at] = (entries[at][0], value(rng))
    return entries


def packed(entries: Iterable[tuple[Any, Any]], rng: Random) -> bytes:
    """A map of these entries in msgpack, in any of the forms that say the same."""
    parts = [(_pack(name, rng), _pack(item, rng)) for name, item in entries]
    body = b"".join(a + b for a, b in parts)
    if len(parts) < 16 and rng.random() < 0.8:
        return bytes([0x80 | len(parts)]) + body
    form = rng.choice((">BH", ">BI"))
    return struct.pack(form, 0xDE if form == ">BH" else 0xDF, len(parts)) + body


def _pack(item: Any, rng: Random) -> bytes:
    if isinstance(item, int) and not isinstance(item, bool) and rng.random() < 0.1:
        if item >= 0:
            return struct.pack(">BQ", 0xCF, item)
        return struct.pack(">Bq", 0xD3, item)
    try:
        return bytes(msgpack.packb(item))
    except ValueError:  # deeper than it packs
        return b"\x91" * DEEP + b"\xc0"
