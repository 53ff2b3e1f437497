"""Frame messages for the intake: golden ones damaged, and others made from the grammar."""

import math
from random import Random
from typing import Any

from tests.fuzz import golden, grammar
from tests.fuzz.drive import Case
from tests.fuzz.mutate import mutated

KINDS = ("radar frame", "camera frame", "label")
RGB8 = {"codec": "rgb8", "shape": [2, 3, 3]}
HUGE = {"codec": "rgb8", "shape": [65_536, 65_536, 3]}
NOT_FINITE = (math.nan, math.inf, -math.inf)
MANY_SITES = 100
PAYLOADS = {
    "radar frame": (
        golden.heatmap(4), golden.heatmap(1), golden.heatmap(4, "<f2"), golden.heatmap(1, "<f2"),
        golden.heatmap(1)[:-1], b"", golden.heatmap(2) + b"x",
    ),
    "camera frame": (
        golden.jpeg(), b"\xff\xd8\xff\xd9", b"\xff\xd8", b"\xff", b"", bytes(18), bytes(17),
        golden.heatmap(1), b"\xff\xd8" + bytes(4 * 2**20),
    ),
    "label": (b"", b"x", golden.jpeg()),
}  # fmt: skip
"""What comes behind a header, right and wrong."""
FORMS: dict[str, tuple[dict[str, Any], ...]] = {
    "radar frame": (
        {},
        {"shape": [1, 128, 128, 2]},
        {"dtype": "<f2"},
        {"shape": [1, 128, 128, 2], "dtype": "<f2"},
    ),
    "camera frame": ({}, {}, {}, RGB8, RGB8, HUGE),
    "label": ({}, {"purpose": "score"}, {"objects": []}),
}
"""Other valid headers than the golden ones."""


def frame(rng: Random) -> Case:
    """One message, in one of the ways below."""
    kind = rng.choice(KINDS)
    how = rng.choice(("valid", "bytes", "bytes", "fields", "fields", "fields", "grammar", "parts"))
    site = {"site": f"s{rng.randrange(MANY_SITES)}"} if rng.random() < 0.1 else {}
    entries = list((golden.values(kind) | rng.choice(FORMS[kind]) | site).items())
    if how == "bytes":
        header = mutated(golden.head(kind), rng, [golden.head(other) for other in KINDS])
    elif how == "fields":
        header = grammar.packed(grammar.changed(dict(entries), rng), rng)
    elif how == "grammar":
        header = _anything(rng)
    else:
        header = grammar.packed(entries, rng)
    payloads = _payloads(kind, rng, fitting=how in ("valid", "fields"), entries=dict(entries))
    if how == "parts":
        payloads = payloads * rng.choice((0, 2, 3))
    return Case(how, [header, *payloads])


def _anything(rng: Random) -> bytes:
    choice = rng.random()
    if choice < 0.7:
        return grammar.packed(
            [(grammar.key(rng), grammar.value(rng)) for _ in range(rng.choice((0, 1, 5, 15, 70)))],
            rng,
        )
    if choice < 0.8:
        return grammar.packed([("v", 1), ("kind", "radar"), ("site", "x" * 5000)], rng)
    return rng.randbytes(rng.choice((0, 1, 16, 200, 4096, 4097)))


def _payloads(kind: str, rng: Random, *, fitting: bool, entries: dict[str, Any]) -> list[bytes]:
    if fitting and rng.random() < 0.8:
        return _right(kind, entries, rng)
    payload = rng.choice(PAYLOADS[kind])
    if payload and rng.random() < 0.3:
        payload = mutated(payload, rng, most=3)
    return [] if kind == "label" and rng.random() < 0.7 else [payload]


def _right(kind: str, entries: dict[str, Any], rng: Random) -> list[bytes]:
    """The payload that the header asks for; of radar frames, some not finite."""
    if kind == "label":
        return []
    if kind == "camera frame":
        return [bytes(18) if entries["codec"] == "rgb8" else golden.jpeg()]
    form = entries["shape"][0], entries["dtype"]
    if rng.random() < 0.1:
        return [golden.spoiled(*form, rng.choice(NOT_FINITE))]
    return [golden.heatmap(*form)]
