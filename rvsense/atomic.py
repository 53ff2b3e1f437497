"""Files and folders that are either whole or not there: write aside, fsync, rename."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WITHOUT_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What file systems say that have no hard links."""


def sync_directory(path: Path) -> None:
    """Make renames inside `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make what is in a file survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, so that a power cut does not take what is put in it.

    Raises:
        OSError: from the disk.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def write_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one."""
    with _written_aside(path, data, mode) as aside:
        os.replace(aside, path)


def write_new_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Like write_file, but never over a file that is there; what a killed one left is removed.

    Raises:
        FileExistsError: there is one.
        OSError: from the disk.
    """
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    with _written_aside(path, data, mode) as aside:
        try:
            os.link(aside, path)
        except OSError as error:
            if error.errno not in WITHOUT_LINKS or path.exists():
                raise
            os.replace(aside, path)
        else:
            os.unlink(aside)


@contextmanager
def _written_aside(path: Path, data: bytes, mode: int) -> Iterator[str]:
    """A file beside `path` that holds all of `data`; the body gives it its name."""
    make_folder(path.parent)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            os.fchmod(handle, mode)
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        yield aside
    except BaseException:
        with suppress(OSError):  # a disk that fails may not even do that
            os.unlink(aside)
        raise
    sync_directory(path.parent)


def write_folder(path: Path, fill: Callable[[Path], None], *, mode: int = 0o755) -> None:
    """Let `fill` write files into a folder that appears at `path` whole, or not at all.

    Raises:
        OSError: from the disk; what is at `path` then is whole, or nothing.
    """

    def fill_and_name(folder: Path) -> str:
        fill(folder)
        return path.name

    write_named_folder(path.parent, fill_and_name, mode=mode)


def write_named_folder(parent: Path, fill: Callable[[Path], str], *, mode: int = 0o755) -> Path:
    """Like write_folder, but `fill` returns the name, which may follow from what it wrote.

    A folder that has this name already stays, and the new one is dropped.

    Raises:
        OSError: from the disk.
    """
    make_folder(parent)
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=parent))
    try:
        path = parent / fill(aside)
        for item in aside.iterdir():
            with item.open("rb") as out:
                os.fsync(out.fileno())
        sync_directory(aside)
        aside.chmod(mode)
        if path.exists():
            shutil.rmtree(aside)
        else:
            os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync_directory(parent)
    return path


def remove_folder(path: Path) -> None:
    """Remove a folder as well as the disk lets it; under its name it is whole, or gone."""
    aside = path.with_name(f".removing-{path.name}")
    with suppress(OSError):
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(path, aside)
        shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what an interrupted write left aside in `folder`: all names there with a dot first.

    Only for folders that nothing else writes such names to.
    """
    for item in folder.glob(".*"):
        shutil.rmtree(item, ignore_errors=True) if item.is_dir() else item.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
