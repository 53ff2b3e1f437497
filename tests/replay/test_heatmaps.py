"""Heatmap and image files: what is taken, and what is rejected with file and reason."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvsense.errors import FrameError
from rvsense.replay.heatmaps import read_heatmap
from rvsense.replay.pictures import read_jpeg

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(128, 128, 2)).astype(np.float32)
SHAPE = "(128, 128, 2)"


def _npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _with(value: float) -> np.ndarray[Any, Any]:
    array = GOOD.copy()
    array[3, 4, 1] = value
    return array


@pytest.mark.parametrize(
    "data",
    [
        _npy(GOOD),
        _npy(GOOD, version=(2, 0)),
        _npy(GOOD.astype(np.float64)),
        _npy(GOOD.astype(">f4")),
    ],
    ids=["float32", "format 2.0", "float64", "big-endian"],
)
def test_values_arrive_unchanged(data: bytes, tmp_path: Path) -> None:
    """Every float form that NumPy writes gives the same float32 values."""
    (tmp_path / "a.npy").write_bytes(data)
    heatmap = read_heatmap([tmp_path / "a.npy"] * 2)
    assert heatmap.dtype == np.float32
    assert heatmap.shape == (2, 128, 128, 2)
    assert np.array_equal(heatmap[1], GOOD)


def test_finite_values_may_cancel_or_be_large(tmp_path: Path) -> None:
    """Large finite values are no reason to reject a frame."""
    np.save(tmp_path / "a.npy", _with(3e38))
    assert read_heatmap([tmp_path / "a.npy"]).max() == np.float32(3e38)


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "bad_npy"),
    "text": (b"not an array at all", "bad_npy"),
    "cut in the header": (_npy(GOOD)[:40], "bad_npy"),
    "cut in the data": (_npy(GOOD)[:-1], "bad_size"),
    "too long": (_npy(GOOD) + b"\0", "bad_size"),
    "header is code": (_header("__import__('os').abort()"), "bad_npy"),
    "header is deep": (_header("(" * 3000), "bad_npy"),
    "header says huge": (
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999, 128, 2)}"),
        "bad_shape",
    ),
    "pickle": (_npy(np.array([{}], object)), "bad_shape"),
    "shape": (_npy(GOOD[:127]), "bad_shape"),
    "complex": (_npy(GOOD[..., 0].astype(np.complex64)), "bad_shape"),
    "integers": (_npy(GOOD.astype(np.int32)), "bad_shape"),
    "column order": (_npy(np.asfortranarray(GOOD)), "bad_shape"),
    "NaN": (_npy(_with(np.nan)), "not_finite"),
    "infinity": (_npy(_with(-np.inf)), "not_finite"),
    "beyond float32": (_npy(_with(0).astype(np.float64) + 1e300), "not_finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_a_frame_error(case: str, tmp_path: Path) -> None:
    """Each damage has its reason, and the message names the file."""
    data, reason = BAD[case]
    path = tmp_path / "000000_0064.npy"
    path.write_bytes(data)
    with pytest.raises(FrameError) as caught:
        read_heatmap([path])
    assert caught.value.reason == reason
    assert str(path) in caught.value.detail


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 130), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_damaged_header_never_escapes(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    """Whatever a damaged header says, it is a frame or a FrameError, never another error."""
    data = bytearray(_npy(GOOD))
    for place, value in changes:
        data[place] = value
    (tmp_path / "a.npy").write_bytes(data)
    with contextlib.suppress(FrameError):
        assert np.isfinite(read_heatmap([tmp_path / "a.npy"])).all()


def test_missing_chirp_is_named(tmp_path: Path) -> None:
    """A frame that lacks one of its chirp files is not shortened, it is rejected."""
    np.save(tmp_path / "a.npy", GOOD)
    with pytest.raises(FrameError) as caught:
        read_heatmap([tmp_path / "a.npy", tmp_path / "b.npy"])
    assert caught.value.reason == "missing_chirp"
    assert "b.npy" in caught.value.detail


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad_jpeg"),
        (b"\x89PNG\r\n", "bad_jpeg"),
        (b"\xff\xd8\xff\xe0" + b"x" * 500, "truncated_jpeg"),
        # A thumbnail's end marker far before the end does not make the image whole.
        (b"\xff\xd8\xff\xe0\xff\xd9" + b"x" * 500, "truncated_jpeg"),
    ],
)
def test_bad_jpeg_is_a_frame_error(data: bytes, reason: str, tmp_path: Path) -> None:
    """What is no JPEG and what is cut are told apart."""
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(FrameError) as caught:
        read_jpeg(tmp_path / "a.jpg")
    assert (caught.value.reason, "a.jpg" in caught.value.detail) == (reason, True)


def test_padded_jpeg_is_whole(tmp_path: Path, write_images: Callable[..., None]) -> None:
    """Padding behind the end marker is common and harmless; a missing file is not."""
    write_images(tmp_path, [0])
    path = tmp_path / "0000000000.jpg"
    path.write_bytes(path.read_bytes() + b"\0" * 16)
    assert read_jpeg(path).endswith(b"\xff\xd9" + b"\0" * 16)
    with pytest.raises(FrameError, match="unreadable"):
        read_jpeg(tmp_path / "0000000001.jpg")
