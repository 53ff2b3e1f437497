"""What a disk refuses, as an error that says where and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rvsense.errors import RvsenseError


class DiskError(RvsenseError):
    """A disk is full, or fails; that may pass, so status 1: a service manager tries again."""


@contextmanager
def naming(place: Path, what: str = "cannot be written") -> Iterator[None]:
    """Name `place` where the body is refused by the disk.

    Raises:
        DiskError: in place of every OSError.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{place} {what} ({error.strerror or error}); make room or mend the disk, and try again"
        ) from None
