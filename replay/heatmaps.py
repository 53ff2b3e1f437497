"""Reading range-azimuth heatmaps: one npy file per chirp into one array per frame.

CRUW stores (128 range, 128 azimuth, 2) per chirp, float32; float64 copies are taken too.
Nothing is unpickled, and nothing is trusted: a file that is not exactly that is a FrameError.
"""

import io
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvsense.errors import FrameError
from rvsense.finite import all_finite
from rvsense.grids import CELLS

CHIRP_SHAPE = (CELLS, CELLS, 2)
_MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 4096


def read_heatmap(chirp_files: Sequence[Path]) -> NDArray[np.float32]:
    """The chirps of one radar frame: (chirps, 128, 128, 2) float32, as stored.

    Raises:
        FrameError: `missing_chirp`, `unreadable`, `bad_npy`, `bad_shape`, `bad_size` or
            `not_finite`, with the file that is to blame.
    """
    heatmap = np.empty((len(chirp_files), *CHIRP_SHAPE), np.float32)
    for chirp, path in enumerate(chirp_files):
        # A float64 too large for float32 becomes infinite, and is caught below.
        with np.errstate(over="ignore"):
            heatmap[chirp] = _chirp(path)
        if not all_finite(heatmap[chirp]):
            raise FrameError("not_finite", f"{path}: holds NaN or infinity")
    return heatmap


def _chirp(path: Path) -> NDArray[np.floating]:
    try:
        with path.open("rb", buffering=0) as file:
            data = file.readall()
    except FileNotFoundError:
        raise FrameError("missing_chirp", f"{path}: no such file, its other chirps exist") from None
    except OSError as error:
        raise FrameError("unreadable", f"{path}: {error.strerror}") from None
    start = _header_end(path, data)
    try:
        shape, fortran_order, dtype = _parse_header(data[:start])
    except Exception as error:  # NumPy's parser lets out whatever its tokenizer raises
        raise FrameError("bad_npy", f"{path}: unreadable npy header ({error})") from None
    if shape != CHIRP_SHAPE or fortran_order or dtype.kind != "f" or dtype.itemsize not in (4, 8):
        order = "Fortran" if fortran_order else "C"
        raise FrameError(
            "bad_shape",
            f"{path}: {dtype} {shape} in {order} order; float32 {CHIRP_SHAPE} in C order expected",
        )
    wanted = math.prod(CHIRP_SHAPE) * dtype.itemsize
    if len(data) - start != wanted:
        detail = f"{path}: {len(data) - start} bytes of data, {wanted} expected"
        raise FrameError("bad_size", detail)
    return np.frombuffer(data, dtype, offset=start).reshape(CHIRP_SHAPE)


def _header_end(path: Path, data: bytes) -> int:
    """Where the data begin (NumPy's format: magic, version, header length, header)."""
    if data[:6] != _MAGIC or len(data) < 12 or data[6] not in (1, 2, 3):
        raise FrameError("bad_npy", f"{path}: not an npy file ({len(data)} bytes)")
    wide = data[6] > 1
    end = 12 + int.from_bytes(data[8:12], "little") if wide else 10 + data[8] + 256 * data[9]
    if end > min(len(data), _MAX_HEADER_BYTES):
        raise FrameError("bad_npy", f"{path}: header of {end} bytes in a file of {len(data)}")
    return end


@lru_cache(maxsize=16)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype; files of one dataset share one header, so it is parsed once."""
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)
