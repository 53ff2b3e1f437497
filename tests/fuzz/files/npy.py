"""Heatmaps in NumPy's form, and images that are none: for players and for `rvsense classify`."""

import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from rvsense import classify
from rvsense.errors import FrameError
from rvsense.replay.heatmaps import read_heatmap
from tests.fuzz import golden, grammar
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.files import Kind, trap
from tests.fuzz.mutate import mutated

SHAPE = (128, 128, 2)
REASONS = {"bad_npy", "bad_shape", "bad_size", "not_finite", "unreadable"}
DTYPES = (
    *("<f4", "<f4", "<f8", "<f2", ">f4", "|O", "|V8", "<U4", "<c8", "|b1", "<i4", "<M8[ns]", "f16"),
    *("(2,3)<f4", "[('a', '<f4')]", "{'names': []}", "O", "", "__import__('os')", "<f4,<f4"),
)
SHAPES = (
    *("(128, 128, 2)", "(128, 128, 2)", "(4, 128, 128, 2)", "(128, 2, 128)", "()", "(0,)"),
    *("(10**12,)", "(2**63, 2)", "(1000000000000, 128, 128, 2)", "(-1, 128, 128, 2)", "(128,)"),
    *("(9223372036854775807, 9223372036854775807)", "[128, 128, 2]", "(128.0, 128, 2)", "None"),
    *(
        "(" * 500,
        "(128, 128, 2, " + "1, " * 2000 + ")",
        "(True, 128, 128, 2)",
        "(" + "9" * 5000 + ",)",
    ),
)


GOOD = b"\x93NUMPY\x01\x00\x76\x00" + (
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (128, 128, 2), }".ljust(117) + b"\n"
)


def kinds(work: Path) -> list[Kind]:
    """Chirps as players read them, and as `classify` does."""
    path = work / "000000_0000.npy"
    bomb = trap(work)

    def make(rng: Random) -> Case:
        return _file(rng, bomb)

    def read(reader: Callable[[list[Path]], Any]) -> Callable[[Case], str]:
        def feed(case: Case) -> str:
            path.write_bytes(case.parts[0])
            try:
                heatmap = reader([path])
            except FrameError as error:
                if error.reason not in REASONS:
                    raise BrokenError(error.reason) from error
                return error.reason
            if heatmap.dtype != np.float32 or heatmap.shape[1:] != SHAPE:
                raise BrokenError(f"{heatmap.dtype} {heatmap.shape}")
            if not np.isfinite(heatmap).all():
                raise BrokenError("not finite")
            return "a heatmap"

        return feed

    return [
        Kind("npy", make, read(read_heatmap), 0.12),
        Kind("npy to classify", make, read(classify.read_heatmap), 0.12),
    ]


def _file(rng: Random, bomb: bytes) -> Case:
    how = rng.choice(("valid", "header", "header", "bytes", "pickle", "archive", "nonsense"))
    data = golden.heatmap(1) if rng.random() < 0.8 else golden.spoiled(1, "<f4", np.nan)
    if how == "valid":
        return Case(how, [GOOD + data])
    if how == "header":
        order = rng.choice(("False", "False", "True", "0", "None", "'C'"))
        text = (
            f"{{'descr': {_quoted(rng.choice(DTYPES))}, 'fortran_order': {order}, "
            f"'shape': {rng.choice(SHAPES)}, }}"
        )
        return Case(how, [_npy(text, rng) + rng.choice((data, data, data[:-4], data + b"x", b""))])
    if how == "pickle":
        text = f"{{'descr': '|O', 'fortran_order': False, 'shape': {rng.choice(SHAPES)}, }}"
        return Case(how, [rng.choice((_npy(text, rng) + bomb, bomb, b"\x93NUMPY" + bomb))])
    if how == "archive":
        return Case(how, [b"PK\x03\x04" + rng.randbytes(100)])
    if how == "nonsense":
        return Case(how, [rng.choice((b"", rng.randbytes(300), grammar.text(rng).encode()))])
    return Case(how, [mutated(GOOD, rng, most=2) + data])


def _quoted(dtype: str) -> str:
    return dtype if dtype[:1] in "[{_" and dtype else repr(dtype)


def _npy(text: str, rng: Random) -> bytes:
    """A header of this text, with a length that is not always its own."""
    major = rng.choice((1, 1, 1, 1, 2, 3, 4, 0))
    head = text.encode() + b" " * (-(len(text) + 11) % 64) + b"\n"
    length = len(head) if rng.random() < 0.9 else rng.choice((0, 1, 70, 65_535))
    size = struct.pack("<H", min(length, 65_535)) if major == 1 else struct.pack("<I", length)
    return b"\x93NUMPY" + bytes([major, 0]) + size + head
