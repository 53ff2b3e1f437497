"""Messages and files of this version, to be damaged: those of docs/protocol.md, and others."""

import io
from functools import cache
from typing import Any

import msgpack
import numpy as np
from PIL import Image

from tests.shared.test_golden import golden

ONE_CHIRP = (128, 128, 2)


@cache
def head(beginning: str) -> bytes:
    """The bytes that docs/protocol.md shows of `radar frame`, `label`, `request` and so on."""
    return golden(beginning)[1]


@cache
def values(beginning: str) -> dict[str, Any]:
    """The same as a map."""
    return dict(msgpack.unpackb(head(beginning)))


@cache
def jpeg(height: int = 24, width: int = 32, mode: str = "RGB", **how: Any) -> bytes:
    """A picture of noise; `how` is Pillow's."""
    noise = np.random.default_rng(height * width).integers(0, 255, (height, width, 4), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise, "RGBA").convert("RGB").convert(mode).save(out, "JPEG", **how)
    return out.getvalue()


@cache
def heatmap(chirps: int = 1, dtype: str = "<f4", seed: int = 0) -> bytes:
    """A radar payload of noise."""
    noise = np.random.default_rng(seed).standard_normal((chirps, *ONE_CHIRP))
    return (0.03 * noise).astype(dtype).tobytes()


@cache
def spoiled(chirps: int, dtype: str, number: float) -> bytes:
    """A radar payload with one number somewhere that is not finite."""
    numbers = np.frombuffer(heatmap(chirps, dtype), dtype).copy()
    numbers[len(numbers) // 3] = number
    return numbers.tobytes()
