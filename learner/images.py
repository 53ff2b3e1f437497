"""Camera payloads to small RGB tensors. The only place where an image is decoded (L2)."""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional as resizing

from rvsense.errors import FrameError
from rvsense.learner.hush import hushed
from rvsense.learner.shortage import is_shortage

SIDE = 224
MAX_PIXELS = 4096 * 4096
"""As much as intake.max_image_pixels lets in by default. Said again here, since a learner may
run on another machine, with another daemon's settings: it guards its own memory."""
# Start-of-frame markers: all of FFC0-FFCF but DHT (C4), JPG (C8) and DAC (CC).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_NO_MARKER = 0x00
"""Behind FF, it stands for an FF of data. Between segments decoders pass over it and look for the
next FF: a size read behind it by its "length" would not be theirs."""
MAX_SCANS = 100
"""Progressive images have a dozen. Each costs time by the pixels, and a few bytes: a file of 4 MiB
could keep a decoder busy for 20 minutes."""
_SCAN = b"\xff\xda"


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(height, width) out of a JPEG's header, without decoding it (ITU-T T.81, B.2.2).

    Raises:
        FrameError: `bad_image`, when there is no frame header.
    """
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == _NO_MARKER:
            break
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + max(int.from_bytes(data[at + 2 : at + 4]), 2)
    raise FrameError("bad_image", f"no JPEG frame header in {len(data)} bytes")


def decode_image(codec: str, data: bytes, shape: tuple[int, int, int] | None) -> Tensor:
    """A camera payload as (3, height, width) uint8 RGB.

    Raises:
        FrameError: `bad_image`, when it cannot be decoded or is larger than MAX_PIXELS.
    """
    return _jpeg(data) if codec == "jpeg" else _raw(data, shape)


def squash(image: Tensor) -> Tensor:
    """(3, h, w) to the (3, 224, 224) that the teacher takes, whatever the aspect ratio."""
    # Resized as bytes: a quarter of the memory traffic of floats, and the same to half a level.
    small: Tensor = resizing.resize(image, [SIDE, SIDE], antialias=True)
    return small


def letterbox(image: Tensor, long_side: int, multiple: int) -> tuple[Tensor, float]:
    """(3, h, w) with its longer side brought to `long_side`, the aspect ratio kept.

    Returns:
        The uint8 image, its sides filled up with black to a multiple at right and bottom, and
        the factor by which it was scaled.
    """
    height, width = image.shape[1:]
    scale = long_side / max(height, width)
    rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
    small: Tensor = resizing.resize(image, [rows, columns], antialias=True)
    return F.pad(small, (0, -columns % multiple, 0, -rows % multiple)), scale


def _jpeg(data: bytes) -> Tensor:
    height, width = jpeg_size(data)
    if not 0 < height * width <= MAX_PIXELS:
        raise FrameError("bad_image", f"{height}x{width} pixels; at most {MAX_PIXELS}")
    if data.count(_SCAN) > MAX_SCANS:
        raise FrameError("bad_image", f"{data.count(_SCAN)} scans; at most {MAX_SCANS}")
    try:
        raw = torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())
        with hushed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Tensor = decode_jpeg(raw, mode=ImageReadMode.RGB)
    except RuntimeError as error:
        if is_shortage(error):
            raise
        raise FrameError("bad_image", f"JPEG not decodable ({error})") from None
    return image


def _raw(data: bytes, shape: tuple[int, int, int] | None) -> Tensor:
    fits = shape is not None and min(shape) > 0 and shape[2:] == (3,)
    if shape is None or not fits or len(data) != shape[0] * shape[1] * 3:
        raise FrameError("bad_image", f"rgb8 payload of {len(data)} bytes does not fit {shape}")
    pixels = np.frombuffer(data, dtype=np.uint8).reshape(shape)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())
