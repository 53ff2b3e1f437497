"""A real folder on a disk that fails at the operation of one's choosing.

What Python does below the folder goes through here: `open` and the files it gives, the functions
of `os` (so pathlib, shutil and tempfile), and safetensors, which writes by itself. Other folders
are left alone.
"""

import builtins
import errno
import io
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import safetensors.torch
from safetensors import SafetensorError, serialize

How = Literal["fails", "torn", "full", "killed"]
"""fails    the n-th operation alone
torn     the n-th write alone, when half of it is on the disk
full     the n-th operation that needs room, and all that need room after it
killed   the process ends before the n-th operation that changes something, a write half done"""
HOWS: tuple[How, ...] = ("fails", "torn", "full", "killed")

ELSEWHERE = "elsewhere"
"""A folder in the folder that is on another disk, which is well."""
ROOM = frozenset({"create", "write", "mkdir", "rename", "replace", "link", "fsync", "fdatasync"})
"""What a full disk refuses; of all else a broken one says EIO."""
SYNCS = frozenset({"fsync", "fdatasync"})
CHANGES = ROOM - SYNCS | {
    *("unlink", "remove", "rmdir", "chmod", "fchmod", "truncate", "ftruncate", "utime"),
}
BY_PATH = (
    *("mkdir", "rmdir", "unlink", "remove", "rename", "replace", "link", "chmod", "utime"),
    *("stat", "lstat", "scandir", "listdir", "truncate", "statvfs", "readlink"),
)
BY_HANDLE = ("fsync", "fdatasync", "ftruncate", "fchmod")


class Killed(BaseException):
    """The process has ended: nothing that it would have done is done any more."""


class FailingDisk:
    """While it is entered, the n-th operation below `root` that `how` is about goes wrong.

    `done` counts the operations by name; `struck`: that there was an n-th one.
    """

    def __init__(self, root: Path, n: int, how: How = "fails") -> None:
        self.done: Counter[str] = Counter()
        self.struck = False
        self.what = ""
        """Name and path of the operation that went wrong."""
        self._root, self._left, self._how = os.path.realpath(root), n, how
        self._patches = ExitStack()
        self._real: dict[str, Callable[..., Any]] = {
            name: getattr(os, name) for name in (*BY_PATH, *BY_HANDLE, "open", "write", "writev")
        }
        self._open = io.open

    def __enter__(self) -> "FailingDisk":
        """Take the place of what Python writes with."""
        enter = self._patches.enter_context
        for name in BY_PATH:
            enter(patch.object(os, name, self._by_path(name)))
        for name in BY_HANDLE:
            enter(patch.object(os, name, self._by_handle(name)))
        enter(patch.object(os, "open", self._os_open))
        enter(patch.object(os, "write", self._os_write))
        enter(patch.object(os, "writev", self._os_writev))
        enter(patch.object(io, "open", self._io_open))
        enter(patch.object(builtins, "open", self._io_open))
        enter(patch.object(safetensors.torch, "serialize_file", self._serialize_file))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def below(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The whole name of a path, or of an open file, that lies in the folder; else None."""
        if isinstance(path, int):
            whole = self._real["readlink"](f"/proc/self/fd/{path}")
        else:
            whole = os.fsdecode(os.fspath(path))
            if dir_fd is not None:
                whole = os.path.join(self._real["readlink"](f"/proc/self/fd/{dir_fd}"), whole)
            whole = os.path.abspath(whole)
        inside = (whole + "/").removeprefix(self._root + "/")
        outside = inside == whole + "/" or inside.startswith(ELSEWHERE + "/")
        return None if outside else whole

    def before(self, name: str, path: str) -> bool:
        """An operation is about to be done; True when a write is to be torn.

        Raises:
            OSError, Killed: it is the one.
        """
        if self.struck and self._how == "killed":
            raise Killed
        self.done[name] += 1
        if not self._concerns(name):
            return False
        self._left -= 1
        if self._left > 0 or (self._left < 0 and self._how != "full"):
            return False
        if not self.struck:
            self.struck, self.what = True, f"{name} {os.path.relpath(path, self._root)}"
        if self._how in ("torn", "killed") and name == "write":
            return True
        self.fail(name, path)
        return False

    def fail(self, name: str, path: str) -> None:
        """Raise what the operation ends with."""
        if self._how == "killed":
            raise Killed
        number = errno.ENOSPC if name in ROOM else errno.EIO
        # Of an open file the kernel tells no name.
        told = () if name in (*BY_HANDLE, "write", "read") else (path,)
        raise OSError(number, os.strerror(number), *told)

    def _concerns(self, name: str) -> bool:
        kinds = {"torn": {"write"}, "full": ROOM, "killed": CHANGES}
        return self._how == "fails" or name in kinds[self._how]

    def _by_path(self, name: str) -> Callable[..., Any]:
        def call(path: Any = ".", *rest: Any, **named: Any) -> Any:
            handle = named.get("dir_fd", named.get("src_dir_fd"))
            if (whole := self.below(path, handle)) is not None:
                self.before(name, whole)
            return self._real[name](path, *rest, **named)

        return call

    def _by_handle(self, name: str) -> Callable[..., Any]:
        def call(handle: int, *rest: Any) -> Any:
            if (whole := self.below(handle)) is not None:
                self.before(name, whole)
                if name in SYNCS:
                    return None  # nobody cuts the power here
            return self._real[name](handle, *rest)

        return call

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, **named: Any) -> int:
        if (whole := self.below(path, named.get("dir_fd"))) is not None:
            self.before("create" if flags & (os.O_CREAT | os.O_TRUNC) else "open", whole)
        return int(self._real["open"](path, flags, mode, **named))

    def _os_write(self, handle: int, data: Any) -> int:
        return self.write(handle, memoryview(data))

    def _os_writev(self, handle: int, parts: Any) -> int:
        if self.below(handle) is None:
            return int(self._real["writev"](handle, parts))
        return self.write(handle, memoryview(b"".join(parts)))

    def write(self, handle: int, data: memoryview) -> int:
        """As os.write; half of it, and an error, where it is to be torn."""
        whole = self.below(handle)
        torn = whole is not None and self.before("write", whole)
        if not torn:
            return int(self._real["write"](handle, data))
        data = data.cast("B")
        self._real["write"](handle, data[: len(data) // 2])
        assert whole is not None
        self.fail("write", whole)
        raise AssertionError

    def _io_open(self, file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        whole = self.below(file)
        if whole is None:
            return self._open(file, mode, *rest, **named)
        if not isinstance(file, int):
            self.before("create" if set(mode) & set("wxa") else "open", whole)
        plain = mode.replace("t", "").replace("b", "") + "b"
        raw = _File(self, self._open(file, plain, 0), whole)
        stream: Any = raw
        if not raw.writable():
            stream = io.BufferedReader(raw)
        elif raw.readable():
            stream = io.BufferedRandom(raw)
        elif "b" not in mode:
            stream = io.BufferedWriter(raw)
        if "b" in mode:
            return stream
        words = {key: value for key, value in named.items() if key != "buffering"}
        if len(rest) > 1:
            words["encoding"] = rest[1]
        return io.TextIOWrapper(stream, **words)

    def _serialize_file(self, tensors: Any, filename: Any, metadata: Any = None) -> None:
        """What the library does in one go, with errors of its own."""
        try:
            with self._io_open(filename, "wb") as out:
                out.write(serialize(tensors, metadata=metadata))
        except OSError as error:
            raise SafetensorError(f"Error while serializing: I/O error: {error}") from None


class _File(io.RawIOBase):
    """A file whose reads and writes are operations; what is written is not held back.

    So numpy, which would write to a buffered file behind Python's back, writes through here.
    """

    def __init__(self, disk: FailingDisk, file: Any, path: str) -> None:
        super().__init__()
        self._disk, self._file, self.name = disk, file, path
        self._was_read = False

    def write(self, data: Any) -> int:
        """All of it, or an error."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest):
            rest = rest[self._disk.write(self._file.fileno(), rest) :]
        return size

    def readinto(self, into: Any) -> int:
        """As a file's."""
        if not self._was_read:  # one of them stands for all
            self._was_read = True
            self._disk.before("read", self.name)
        return int(self._file.readinto(into))

    def truncate(self, size: int | None = None) -> int:
        """As a file's."""
        self._disk.before("truncate", self.name)
        return int(self._file.truncate(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """As a file's."""
        return int(self._file.tell())

    def fileno(self) -> int:
        """As a file's."""
        return int(self._file.fileno())

    def readable(self) -> bool:
        """As a file's."""
        return bool(self._file.readable())

    def writable(self) -> bool:
        """As a file's."""
        return bool(self._file.writable())

    def seekable(self) -> bool:
        """As a file's."""
        return bool(self._file.seekable())

    def close(self) -> None:
        """As a file's; a killed process closes it, too."""
        self._file.close()
        super().close()
