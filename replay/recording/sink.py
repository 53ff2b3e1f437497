"""A file that only ever grows by whole pieces, and ends at one whatever happens.

What is written is held until `commit` hands it to the kernel in one piece: a killed process loses
no more than the piece in hand. Where the disk refuses in the middle of one, the file is cut back
to the last whole piece, and the piece stays in hand for another try.
"""

import contextlib
import os
from pathlib import Path

from rvsense.atomic import sync_directory


class Sink:
    """What an MCAP writer writes to.

    Raises:
        OSError: the file cannot be made, or is there already.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._pieces: list[bytes] = []
        self._pending_bytes = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o600)
        self._named = False

    def write(self, data: bytes) -> int:
        """Take a piece into the hand."""
        if data:
            self._pieces.append(data)
            self._pending_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Where the next piece will stand."""
        return self.size_bytes + self._pending_bytes

    def flush(self) -> None:
        """Nothing to do: a piece goes out whole, by `commit`."""

    def commit(self) -> None:
        """Hand everything to the kernel.

        Raises:
            OSError: the disk refused; the file stands as before, and the piece is still in hand.
        """
        try:
            written = 0
            while self._pieces and written < self._pending_bytes:
                written += _write(self._handle, self._pieces, written)
        except OSError:
            os.ftruncate(self._handle, self.size_bytes)
            os.lseek(self._handle, self.size_bytes, os.SEEK_SET)
            raise
        self.size_bytes += self._pending_bytes
        self._pieces, self._pending_bytes = [], 0

    def sync(self) -> None:
        """Wait until what was committed would outlive a power cut."""
        os.fdatasync(self._handle)
        if not self._named:
            self._named = True
            # Not every file system can; what it holds is no worse for it.
            with contextlib.suppress(OSError):
                sync_directory(self.path.parent)

    def close(self) -> None:
        """Close the file; what is still in hand is lost."""
        os.close(self._handle)


def _write(handle: int, pieces: list[bytes], skip: int) -> int:
    """Write what lies behind the first `skip` bytes; the number of bytes that the kernel took."""
    rest: list[memoryview] = []
    for piece in pieces:
        if skip < len(piece):
            rest.append(memoryview(piece)[skip:])
            skip = 0
        else:
            skip -= len(piece)
    return os.writev(handle, rest[: os.sysconf("SC_IOV_MAX")])
