"""A disk in memory: what is not synced, a power cut may take or tear; it can be slow, full, broken.

Data of a file last once the file is synced, names in a folder once the folder is. Before that a
power cut leaves some prefix of what was done: of the names in the order of the changes, of a file
any number of its first bytes, or what had been synced.
"""

import errno
import io
import os
import random
import stat
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any


class File:
    """Bytes, and those of them that a power cut cannot take."""

    def __init__(self) -> None:
        self.data = b""
        self.synced = b""
        self.changed_ns = 0


class Folder:
    """Names, and those that a power cut cannot take, with the changes since."""

    def __init__(self) -> None:
        self.entries: dict[str, Node] = {}
        self.synced: dict[str, Node] = {}
        self.changes: list[tuple[str, Node | None]] = []

    def set(self, name: str, node: "Node | None") -> None:
        """Add, replace or remove a name."""
        self.changes.append((name, node))
        _apply(self.entries, name, node)

    def sync(self) -> None:
        """Make the names last."""
        self.synced = dict(self.entries)
        self.changes.clear()


Node = File | Folder


def _apply(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


class Disk:
    """Ours in the folder `ours`, where room runs out and power fails; all else is elsewhere.

    `Path` is the class of its paths.

    Args:
        before: called before each operation with its name and path; may wait, or raise OSError.
        now_ns: the time that is noted for changes.
    """

    def __init__(
        self,
        ours: str,
        before: Callable[[str, PurePosixPath], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.ours = ours
        self.root = Folder()
        self.capacity_bytes: int | None = None
        self.before = before
        self.now_ns = now_ns
        self.Path: type[DiskPath] = type("Path", (DiskPath,), {"disk": self, "handles": Handles()})
        self._names = 0

    def find(self, path: PurePosixPath) -> Node:
        """What is at a path.

        Raises:
            FileNotFoundError, NotADirectoryError: as the kernel says it.
        """
        node: Node = self.root
        for name in path.parts[1:]:
            if not isinstance(node, Folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            if name not in node.entries:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            node = node.entries[name]
        return node

    def folder(self, path: PurePosixPath) -> Folder:
        """The folder at a path."""
        node = self.find(path)
        if not isinstance(node, Folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        return node

    def file(self, path: PurePosixPath) -> File:
        """The file at a path."""
        node = self.find(path)
        if isinstance(node, Folder):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        return node

    def create(self, path: PurePosixPath) -> File:
        """A new, empty file in place of what is there."""
        made = File()
        made.changed_ns = self.now_ns()
        self.folder(path.parent).set(path.name, made)
        return made

    def write(self, file: File, data: bytes, path: PurePosixPath) -> None:
        """Append as much as there is room for.

        Raises:
            OSError: the disk is full.
        """
        room = len(data)
        if self.capacity_bytes is not None and path.parts[1] == self.ours:
            room = max(0, min(room, self.capacity_bytes - self.used()))
        file.data += data[:room]
        if room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def used(self) -> int:
        """Bytes in all files of ours."""
        ours = self.root.entries[self.ours]
        assert isinstance(ours, Folder)
        return sum(len(file.data) for file in _files(ours))

    def temporary(self, prefix: str, folder: Any) -> PurePosixPath:
        """A name that is not used yet."""
        self._names += 1
        return self.Path(folder or "/") / f"{prefix}{self._names:06d}"

    def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename, in place of a file or an empty folder."""
        node = self.find(source)
        there = self.folder(target.parent).entries.get(target.name)
        if isinstance(there, Folder) and there.entries:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(target))
        self.folder(target.parent).set(target.name, node)
        self.folder(source.parent).set(source.name, None)

    def cut_power(self, chance: random.Random) -> None:
        """Lose some of what was not synced."""
        ours = self.root.entries[self.ours]
        assert isinstance(ours, Folder)
        _cut(ours, chance)


def _files(folder: Folder) -> Iterator[File]:
    for node in folder.entries.values():
        if isinstance(node, File):
            yield node
        else:
            yield from _files(node)


def _cut(folder: Folder, chance: random.Random) -> None:
    entries = dict(folder.synced)
    for name, node in folder.changes[: chance.randint(0, len(folder.changes))]:
        _apply(entries, name, node)
    folder.entries = entries
    folder.sync()
    for node in entries.values():
        if isinstance(node, Folder):
            _cut(node, chance)
        elif node.data != node.synced:
            torn = node.data[: chance.randint(0, len(node.data))]
            node.data = node.synced = chance.choice((node.synced, torn))


class Writing(io.RawIOBase):
    """A file that is open for writing, perhaps by a handle that it has already."""

    def __init__(
        self,
        disk: Disk,
        file: File,
        path: PurePosixPath,
        handles: "Handles",
        handle: int | None = None,
    ) -> None:
        self._disk, self._file, self._path = disk, file, path
        self._handle = handles.open(file, path) if handle is None else handle
        self._handles = handles

    def write(self, data: Any) -> int:
        """As a file's."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        self._disk.before("write", self._path)
        self._disk.write(self._file, data, self._path)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """As a file's, to nothing."""
        self._file.data = b""
        return 0

    def fileno(self) -> int:
        """As a file's."""
        return self._handle

    def close(self) -> None:
        """As a file's."""
        if not self.closed:
            self._handles.close(self._handle)
        super().close()


class Reading(io.BytesIO):
    """A file that is open for reading; it can be synced, too."""

    def __init__(self, file: File, path: PurePosixPath, handles: "Handles") -> None:
        super().__init__(file.data)
        self._handle, self._handles = handles.open(file, path), handles

    def fileno(self) -> int:
        """As a file's."""
        return self._handle

    def close(self) -> None:
        """As a file's."""
        self._handles.close(self._handle)
        super().close()


class Handles:
    """Descriptors of files and folders; far from those of the kernel."""

    FIRST = 1_000_000

    def __init__(self) -> None:
        self._open: dict[int, tuple[Node, PurePosixPath]] = {}
        self._next = self.FIRST

    def open(self, node: Node, path: PurePosixPath) -> int:
        """A new one."""
        self._next += 1
        self._open[self._next] = node, path
        return self._next

    def get(self, handle: int) -> tuple[Node, PurePosixPath]:
        """What it stands for."""
        return self._open[handle]

    def close(self, handle: int) -> None:
        """Forget it."""
        self._open.pop(handle, None)

    def __len__(self) -> int:
        return len(self._open)


class DiskPath(PurePosixPath):
    """pathlib's Path, as far as the daemon uses it."""

    disk: Disk
    handles: Handles

    def _do(self, what: str) -> None:
        self.disk.before(what, self)

    def exists(self) -> bool:
        """As Path's."""
        try:
            self.disk.find(self)
        except OSError:
            return False
        return True

    def is_dir(self) -> bool:
        """As Path's."""
        return self.exists() and isinstance(self.disk.find(self), Folder)

    def is_file(self) -> bool:
        """As Path's."""
        return self.exists() and isinstance(self.disk.find(self), File)

    def expanduser(self) -> "DiskPath":
        """As Path's."""
        return self

    def resolve(self) -> "DiskPath":
        """As Path's."""
        return self

    def stat(self) -> Any:
        """As Path's."""
        node = self.disk.find(self)
        if isinstance(node, Folder):
            return SimpleNamespace(st_mode=stat.S_IFDIR, st_size=0, st_mtime_ns=0, st_mtime=0.0)
        changed = {"st_mtime_ns": node.changed_ns, "st_mtime": node.changed_ns / 1e9}
        return SimpleNamespace(st_mode=stat.S_IFREG, st_size=len(node.data), **changed)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """As Path's."""
        if self.exists():
            if exist_ok:
                return
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))
        self._do("mkdir")
        if parents and not self.parent.exists():
            self.parent.mkdir(mode, parents, exist_ok)
        self.disk.folder(self.parent).set(self.name, Folder())

    def iterdir(self) -> "Iterator[DiskPath]":
        """As Path's."""
        self._do("list")
        return iter([self / name for name in self.disk.folder(self).entries])

    def glob(self, pattern: str) -> "Iterator[DiskPath]":
        """As Path's, for a name pattern; a folder that is not there has nothing in it."""
        if not self.is_dir():
            return iter(())
        return iter([path for path in self.iterdir() if fnmatch(path.name, pattern)])

    def open(self, mode: str = "r", *_: Any, **__: Any) -> Any:
        """As Path's, to read, or to write from the start."""
        self._do("open")
        if "w" in mode:
            return Writing(self.disk, self.disk.create(self), self, self.handles)
        file = self.disk.file(self)
        if "b" in mode:
            return Reading(file, self, self.handles)
        return io.StringIO(file.data.decode())

    def read_bytes(self) -> bytes:
        """As Path's."""
        self._do("read")
        return self.disk.file(self).data

    def read_text(self, *_: Any) -> str:
        """As Path's."""
        return self.read_bytes().decode()

    def write_bytes(self, data: bytes) -> int:
        """As Path's."""
        with self.open("wb") as out:
            return int(out.write(data))

    def write_text(self, text: str, *_: Any) -> int:
        """As Path's."""
        return self.write_bytes(text.encode())

    def rename(self, target: Any) -> "DiskPath":
        """As Path's."""
        self._do("rename")
        there: DiskPath = type(self)(target)
        self.disk.move(self, there)
        return there

    replace = rename

    def unlink(self, missing_ok: bool = False) -> None:
        """As Path's."""
        self._do("unlink")
        if self.exists():
            self.disk.folder(self.parent).set(self.name, None)
        elif not missing_ok:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))

    def chmod(self, mode: int) -> None:
        """As Path's; there is nobody else."""
