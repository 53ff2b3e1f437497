"""A dataset that is there whole, or not at all.

It is made below OUT/.partial and moved into place when complete, `sequences` last: a folder of
that name never holds half a run. Whatever ends a run early leaves OUT as it was; what a killed one
has left is taken away by the next.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rvsense.disk import DiskError
from rvsense.errors import UsageError
from rvsense.replay.sequence import SIMULATED

PARTIAL = ".partial"
PARTS = (SIMULATED, "calib", "annotations", "sequences")


@contextmanager
def whole_dataset(out: Path, mode: int = 0o777) -> Iterator[Path]:
    """The folder to make a dataset in, which is in `out` when the body has ended.

    Args:
        out: new or empty; made with `mode`.

    Raises:
        UsageError: `out` holds something, or cannot be made.
        DiskError: the disk is full, or fails; nothing is kept.
    """
    partial, made = _claim(out, mode)
    moved: list[Path] = []
    try:
        yield partial
        for part in PARTS:
            if (partial / part).exists():
                os.rename(partial / part, out / part)
                moved.append(out / part)
    except BaseException as error:
        for path in moved:
            _remove(path)
        shutil.rmtree(partial, ignore_errors=True)
        if made:
            with suppress(OSError):
                out.rmdir()
        if isinstance(error, OSError):
            raise DiskError(
                f"cannot write below {out}: {error.strerror or error}; nothing was kept"
            ) from error
        raise
    shutil.rmtree(partial, ignore_errors=True)


def _claim(out: Path, mode: int) -> tuple[Path, bool]:
    """Make `out` if need be and an empty folder in it to work in; whether `out` was made."""
    partial, made = out / PARTIAL, False
    try:
        if out.exists():
            if not out.is_dir():
                raise UsageError(f"{out} is a file; name a new or an empty folder")
            names = set(os.listdir(out))
            if names - {PARTIAL} and not _is_half(names):
                raise UsageError(f"{out} is not empty; name a new folder, or remove this one first")
            for name in names:  # of a run that was killed: no use to anyone
                _remove(out / name)
        else:
            out.mkdir(mode=mode, parents=True)
            made = True
        partial.mkdir()
    except OSError as error:
        if made:
            with suppress(OSError):
                out.rmdir()
        raise UsageError(f"cannot write to {out}: {error.strerror}") from error
    return partial, made


def _is_half(names: set[str]) -> bool:
    """Whether a run was killed while it moved what it had made."""
    return PARTIAL in names and "sequences" not in names and names <= {PARTIAL, *PARTS}


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
