"""Damage to bytes, as a bad cable, a bad disk or a bad neighbour does it. Pure but for chance."""

from collections.abc import Callable, Sequence
from random import Random

MARKERS = bytes.fromhex(
    "80818f90919fa0bfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0ff"
)
"""First bytes of each form that msgpack has, 0xc1, which it has not, among them."""
LENGTHS = (b"\x00", b"\xff", b"\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x00" * 8)

Change = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutated(data: bytes, rng: Random, others: Sequence[bytes] = (), most: int = 6) -> bytes:
    """`data` after one to `most` changes; `others` may be spliced in."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, most)):
        rng.choice(CHANGES)(changed, rng, others or (data,))
    return bytes(changed)


def _where(data: bytearray, rng: Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _mark(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(MARKERS)


def _lose(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start = _where(data, rng)
    del data[start : start + rng.choice((1, 1, 2, 4, 16, 64))]


def _add(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    data[(at := _where(data, rng)) : at] = rng.randbytes(rng.choice((1, 1, 2, 4, 16)))


def _stretch(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    data[(at := _where(data, rng)) : at] = rng.choice(LENGTHS)


def _double(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start = _where(data, rng)
    piece = data[start : start + rng.choice((1, 2, 8, 32))]
    data[start:start] = piece * rng.choice((1, 1, 2, 8))


def _splice(data: bytearray, rng: Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    at, start = _where(data, rng), rng.randrange(len(other) + 1)
    data[at : at + rng.choice((0, 4, 16))] = other[start : start + rng.choice((2, 8, 32))]


def _cut(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if rng.random() < 0.4:
        del data[_where(data, rng) :]


CHANGES: tuple[Change, ...] = (
    *(_flip, _set, _mark, _lose, _add, _stretch, _double, _splice, _cut),
)
