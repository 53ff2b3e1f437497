"""Files and folders that are either whole or not there: write aside, fsync, rename."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make renames inside `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write files into a folder that appears at `path` whole, or not at all.

    Raises:
        OSError: from the disk; what is at `path` then is whole, or nothing.
    """

    def fill_and_name(folder: Path) -> str:
        fill(folder)
        return path.name

    write_named_folder(path.parent, fill_and_name)


def write_named_folder(parent: Path, fill: Callable[[Path], str]) -> Path:
    """Like write_folder, but `fill` returns the name, which may follow from what it wrote.

    A folder that has this name already stays, and the new one is dropped.

    Raises:
        OSError: from the disk.
    """
    parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=parent))
    try:
        path = parent / fill(aside)
        for item in aside.iterdir():
            with item.open("rb") as out:
                os.fsync(out.fileno())
        sync_directory(aside)
        aside.chmod(0o755)
        if path.exists():
            shutil.rmtree(aside)
        else:
            os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync_directory(parent)
    return path


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
