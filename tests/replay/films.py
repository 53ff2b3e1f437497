"""Films for the tests of cameras, and what comes out of them."""

import io
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from rvsense.replay.devices.camera import Watch
from rvsense.replay.devices.video import Shot, Source

PATIENCE_S = 60.0
WIDTH, HEIGHT = 320, 192
NS = 1_000_000_000


def film(path: Path, codec: str, frames: int = 30, rate: int = 30) -> Path:
    """A film whose n-th picture is 5 n + 20 bright; every forty of them begin again."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {"g": "10", "bf": "0"} if codec == "libx264" else {}
    with av.open(path, "w") as out:
        stream = out.add_stream(codec, rate=Fraction(rate), options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        for nth in range(frames):
            picture = np.full((HEIGHT, WIDTH, 3), 5 * (nth % 40) + 20, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path


def shots(source: Source, count: int) -> list[Shot]:
    """The first pictures of a camera."""
    stop = threading.Event()
    found = []
    for shot in Watch(source).shots(stop):
        found.append(shot)
        if len(found) == count:
            stop.set()
    return found


def brightness(jpeg: bytes) -> float:
    """Mean grey level of a JPEG."""
    return float(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).mean())
