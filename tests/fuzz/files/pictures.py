"""JPEG files and raw images, as the learner and the players take them."""

import io
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import torch
from PIL import Image

from rvsense.errors import FrameError
from rvsense.learner import images
from rvsense.replay.pictures import read_jpeg
from tests.fuzz import golden
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.files import Kind
from tests.fuzz.mutate import mutated

SLOWEST_S = 20.0
"""Of processor time, for one image: a learner that is silent for long is taken for hung."""


def kinds(work: Path) -> list[Kind]:
    """What a device sends, and what lies in a dataset."""
    path = work / "0000000000.jpg"

    def read(case: Case) -> str:
        path.write_bytes(case.parts[0])
        try:
            read_jpeg(path)
        except FrameError as error:
            return error.reason
        return "read"

    return [
        Kind("JPEG", picture, decode, 0.12),
        Kind("JPEG in a dataset", picture, read, 0.04),
        Kind("rgb8", _raw, _decode_raw, 0.02),
    ]


def picture(rng: Random) -> Case:
    """A JPEG, in one of the ways below."""
    how = rng.choice(("bytes", "bytes", "cut", "size", "hidden", "scans", "form", "trailing"))
    data = rng.choice(FORMS)()
    if how == "bytes":
        data = mutated(data, rng, [make() for make in FORMS])
    elif how == "cut":
        data = data[: rng.randrange(len(data))]
    elif how == "size":
        data = _sized(data, rng.choice(SIZES), rng.choice(SIZES))
    elif how == "hidden":
        data = _hidden(data, rng)
    elif how == "scans":
        data = scans(rng.choice((20, 5000)))
    elif how == "trailing":
        data += rng.choice((rng.randbytes(500), data, b"\xff" * 5000, b"\xff\xd9" * 100))
    return Case(how, [data])


SIZES = (0, 1, 24, 4096, 4097, 16_384, 65_500, 65_535)
FORMS: tuple[Callable[[], bytes], ...] = (
    golden.jpeg,
    lambda: golden.jpeg(progressive=True),
    lambda: golden.jpeg(mode="L"),
    lambda: golden.jpeg(mode="CMYK"),
    lambda: golden.jpeg(1, 1),
    lambda: golden.jpeg(64, 64, subsampling=2),
    lambda: golden.jpeg(restart_marker_blocks=1),
)


def decode(case: Case) -> str:
    """As the learner does; an image within its bounds, or `bad_image`."""
    began_s = time.process_time()
    try:
        image = images.decode_image("jpeg", case.parts[0], None)
    except FrameError as error:
        if error.reason != "bad_image":
            raise BrokenError(error.reason) from error
        return _timely("bad_image", began_s)
    if image.dtype != torch.uint8 or image.shape[0] != 3:
        raise BrokenError(f"{image.dtype} {image.shape}")
    if not 0 < image.shape[1] * image.shape[2] <= images.MAX_PIXELS:
        raise BrokenError(f"{image.shape} is out of bounds")
    return _timely("an image", began_s)


@cache
def scans(count: int) -> bytes:
    """A picture of many pixels and one colour, whose last scan comes `count` times.

    A scan of such a picture is a few bytes, and costs a decoder as much as any.
    """
    out = io.BytesIO()
    Image.new("RGB", (4096, 4096), (90, 90, 90)).save(out, "JPEG", progressive=True)
    start, mark, last = out.getvalue().removesuffix(b"\xff\xd9").rpartition(b"\xff\xda")
    return start + (mark + last) * count + b"\xff\xd9"


def _timely(answer: str, began_s: float) -> str:
    seconds = time.process_time() - began_s
    if seconds > SLOWEST_S:
        raise BrokenError(f"{seconds:.0f} s of processor time")
    return answer


def _sized(data: bytes, height: int, width: int) -> bytes:
    """The same picture, which says that it is of another size."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        at = data.find(marker)
        if at >= 0:
            size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
            return data[: at + 5] + size + data[at + 9 :]
    return data


def _hidden(data: bytes, rng: Random) -> bytes:
    """A huge picture in what a careless reader skips, and a small one behind it."""
    huge = _sized(data, 65_500, 65_500)[2:]
    marker = rng.choice((0x00, 0x00, 0x01, 0x02, 0xBF, 0xD0, 0xD8, 0xD9, 0xDC, 0xE1, 0xFE, 0xF0))
    length = rng.choice((len(huge) + 2, 2, 0, 1, 65_535)) & 0xFFFF
    fill = b"\xff" * rng.choice((0, 0, 1, 5))
    return b"\xff\xd8" + fill + bytes([0xFF, marker]) + length.to_bytes(2, "big") + huge + data[2:]


def _raw(rng: Random) -> Case:
    size = rng.choice((0, 3, 18, 300))
    shape = bytes(rng.choice((0, 1, 2, 3, 10, 100)) for _ in range(rng.choice((2, 3, 4))))
    return Case("shapes", [bytes(size), shape])


def _decode_raw(case: Case) -> str:
    try:
        image = images.decode_image("rgb8", case.parts[0], tuple(case.parts[1]))  # type: ignore[arg-type]
    except FrameError as error:
        return error.reason
    if image.numel() != len(case.parts[0]):
        raise BrokenError(f"{image.shape}")
    return "an image"
