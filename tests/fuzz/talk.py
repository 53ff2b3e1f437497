"""What daemon and learner say to each other, damaged."""

from random import Random
from typing import Any

import msgpack

from rvsense import link
from tests.fuzz import golden, grammar
from tests.fuzz.drive import Case
from tests.fuzz.mutate import mutated

DIGEST = "0a1b2c3d" * 8
MODEL = "step-00000400-0a1b2c3d"
PAIR = {
    "site": "north", "epoch": 0, "stamp_ns": 1_700_000_000_000_000_000, "radar_seq": 1,
    "camera_seq": 1, "skew_ns": 0, "codec": "jpeg", "image_shape": None,
    "shape": [1, 128, 128, 2], "dtype": "<f4",
}  # fmt: skip
LABEL = {
    "site": "north", "epoch": 0, "stamp_ns": 1_700_000_000_000_000_000, "label": "car",
    "shape": [1, 128, 128, 2], "dtype": "<f4",
}  # fmt: skip
HELLO = {"lockstep": False, "daemon": "here:1", "life": "a1", "fetch": True}
READY = {
    "step": 7, "pid": 1, "teacher_sha256": DIGEST, "teacher": "toy", "teacher_weights": "random",
    "preset": "edge", "device": "cpu", "precision": "fp32", "restored": True,
    "label_source": "annotations", "collate": "off", "daemons": 1,
}  # fmt: skip
FIGURES = {
    "step": 7, "pairs": 9, "loss": 1.5, "mi_bound": 0.5, "mi_ceiling": 3.0, "top1": 0.25,
    "retrieval": 0.1, "head_accuracy": None, "steps_per_s": 3.0, "pool": 10, "daemons": 1,
    "out_of_form": 0, "teacher_weights": "random", "encode_ms": None,
}  # fmt: skip
OFFER = {
    "id": MODEL, "step": 400, "sha256": DIGEST, "manifest_sha256": DIGEST, "path": "models/x",
    "files": {"manifest.json": 900, "weights.safetensors": 9000},
}  # fmt: skip
FROM_DAEMON: tuple[tuple[int, str, dict[str, Any], tuple[bytes, ...]], ...] = (
    (2, "hello", HELLO, ()),
    (6, "pair", PAIR, (golden.heatmap(1), golden.jpeg())),
    (3, "label", LABEL, (golden.heatmap(1),)),
    (4, "fetch", {"id": MODEL, "name": "weights.safetensors", "offset": 0}, ()),
    (1, "drain", {}, ()),
    (1, "stop", {}, ()),
)
FROM_LEARNER: tuple[tuple[int, str, dict[str, Any], tuple[bytes, ...]], ...] = (
    (3, "ready", READY, ()),
    (2, "refused", {"reason": "busy"}, ()),
    (3, "taken", {"count": 3}, ()),
    (1, "stranger", {}, ()),
    (8, "figures", FIGURES, ()),
    (6, "model", OFFER, ()),
    (4, "chunk", {"id": MODEL, "name": "manifest.json", "offset": 0}, (b"{}",)),
    (2, "gone", {"id": MODEL}, ()),
    (3, "checkpoint", {"step": 1, "path": "p", "seconds": 0.1, "ok": True, "error": ""}, ()),
    (5, "notice", {"level": "info", "event": "something", "detail": "of it"}, ()),
    (1, "drained", {"step": 1, "weights_sha256": DIGEST, "pairs": 1}, ()),
    (1, "stopped", {"step": 1}, ()),
)
"""How often, an operation, its values and payloads."""
Said = tuple[tuple[int, str, dict[str, Any], tuple[bytes, ...]], ...]


def said(rng: Random, by: Said) -> Case:
    """A message of one end, in one of the ways below."""
    _, op, values, payloads = rng.choices(by, [often for often, *_ in by])[0]
    entries = {"v": link.VERSION, "op": op, **values}
    how = rng.choice(("valid", "bytes", "bytes", "fields", "fields", "fields", "large", "parts"))
    head: bytes = msgpack.packb(entries)
    parts = list(payloads)
    if how == "bytes":
        head = mutated(head, rng, [msgpack.packb(one) for _, _, one, _ in by])
    elif how == "fields":
        head = grammar.packed(grammar.changed(entries, rng), rng)
    elif how == "large":
        head = _large(entries, rng)
    elif how == "parts":
        parts = rng.choice(([], parts * 2, parts[1:], [b""] * 4, [golden.heatmap(4), b""]))
    if parts and rng.random() < 0.2:
        parts[-1] = mutated(parts[-1], rng, most=3)
    return Case(how, [head, *parts])


def undamaged(by: Said, op: str) -> Case:
    """A message of one end as it should be."""
    values, payloads = next((values, payloads) for _, its, values, payloads in by if its == op)
    return Case("valid", [msgpack.packb({"v": link.VERSION, "op": op, **values}), *payloads])


def _large(entries: dict[str, Any], rng: Random) -> bytes:
    """Few bytes of wire that are much in memory, or deep, or simply long."""
    name = rng.choice(("detail", "files", "loss", "event", "reason", "x"))
    match rng.randrange(4):
        case 0:
            body = b"\xdd\x00\x01\x00\x00" + b"\x80" * 65_536  # as many empty maps
        case 1:
            body = b"\x91" * rng.choice((100, 500, 1000, 3000)) + b"\xc0"
        case 2:
            body = b"\x81\xa1a" * rng.choice((100, 400, 900)) + b"\xc0"
        case _:
            body = bytes(msgpack.packb("x" * rng.choice((1000, 100_000, 1_000_000))))
    rest = b"".join(msgpack.packb(k) + msgpack.packb(v) for k, v in entries.items() if k != name)
    count = len(entries) - (name in entries) + 1
    return b"\xde" + count.to_bytes(2, "big") + rest + bytes(msgpack.packb(name)) + body
