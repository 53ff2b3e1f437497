"""Reading camera images as the bytes they are; they are decoded in the learner, not here."""

from pathlib import Path

from rvsense.errors import FrameError

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
# Some writers pad behind the end marker; an embedded thumbnail ends far earlier.
_TAIL_BYTES = 64


def read_jpeg(path: Path) -> bytes:
    """The JPEG's bytes, after a look at its first and last markers.

    Raises:
        FrameError: `unreadable`, `bad_jpeg` or `truncated_jpeg`, with the file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError("unreadable", f"{path}: {error.strerror}") from None
    if not data.startswith(_START):
        raise FrameError("bad_jpeg", f"{path}: does not start like a JPEG")
    if data.rfind(_END, -_TAIL_BYTES) < 0:
        raise FrameError("truncated_jpeg", f"{path}: no end-of-image marker, the file is cut")
    return data
