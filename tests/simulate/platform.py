"""What the daemon's modules find under the names of the operating system's: a pretended one.

The modules of the daemon, and those of what it keeps on disk, are gone through, and each name in
them that stands for a module, class or function of the table is made to stand for another while
the simulation runs. What a module comes to import later is therefore pretended as well.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import safetensors
import safetensors.torch as tensor_files
import zmq

from tests.simulate.disk import Disk, DiskPath, Folder, Handles, Writing
from tests.simulate.network import Context, Network, Poller
from tests.simulate.scheduler import Scheduler, Task
from tests.simulate.threads import Threads

SCANNED = ("rvsense.daemon.", "rvsense.learner.checkpoint")
SCANNED_TOO = frozenset(
    f"rvsense.{name}"
    for name in ("atomic", "current", "link", "notify", "parcel", "published", "state")
)


class Overlay:
    """A module with some names replaced; all others are the module's own."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class System(Overlay):
    """`os`: what would reach the real disk with a pretended handle is no name of its own."""

    PASSING = frozenset({"environ", "path", "strerror", "fspath", "error"})

    def __getattr__(self, name: str) -> Any:
        if not (name.isupper() or name in self.PASSING):
            raise AssertionError(f"os.{name} is used and not pretended: see {__name__}")
        return super().__getattr__(name)


class Clock:
    """`time`: one clock that only goes forward, and the day's, which people and NTP set."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.day_ns = 1_790_000_000_000_000_000

    def monotonic_ns(self) -> int:
        """As time's."""
        return self._scheduler.now_ns

    def monotonic(self) -> float:
        """As time's."""
        return self._scheduler.now_ns / 1e9

    perf_counter = monotonic
    strftime, gmtime = staticmethod(time.strftime), staticmethod(time.gmtime)

    def time_ns(self) -> int:
        """As time's."""
        return self.day_ns + self._scheduler.now_ns

    def time(self) -> float:
        """As time's."""
        return self.time_ns() / 1e9

    def sleep(self, seconds: float) -> None:
        """As time's."""
        self._scheduler.sleep(seconds)


class Bell:
    """An eventfd, and what a poller wants of one."""

    def __init__(self) -> None:
        self.inbox: deque[int] = deque()
        self.watching: list[Task] = []


class Bells:
    """The eventfds of `os`, by descriptor."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._bells: dict[int, Bell] = {}

    def __getitem__(self, handle: int) -> Bell:
        return self._bells[handle]

    def make(self, value: int, flags: int = 0) -> int:
        """As os.eventfd."""
        handle = 2 * Handles.FIRST + len(self._bells)
        self._bells[handle] = Bell()
        return handle

    def ring(self, handle: int, value: int) -> None:
        """As os.eventfd_write."""
        bell = self._bells[handle]
        bell.inbox.append(value)
        for task in bell.watching:
            self._scheduler.wake(task)

    def clear(self, handle: int) -> int:
        """As os.eventfd_read."""
        bell = self._bells[handle]
        if not bell.inbox:
            raise BlockingIOError
        bell.inbox.clear()
        return 1


def disk_names(disk: Disk) -> dict[str, Any]:
    """What `os` has for files."""
    handles = disk.Path.handles

    def open_node(path: Any, flags: int, mode: int = 0) -> int:
        path = disk.Path(path)
        disk.before("open", path)
        if flags & os.O_CREAT and not path.exists():
            disk.create(path)
        return handles.open(disk.find(path), path)

    def sync(handle: int) -> None:
        node, path = handles.get(handle)
        disk.before("sync", path)
        if isinstance(node, Folder):
            node.sync()
        else:
            node.synced = node.data

    def rename(source: Any, target: Any) -> None:
        disk.Path(source).rename(target)

    def fdopen(handle: int, mode: str) -> Writing:
        node, path = handles.get(handle)
        assert not isinstance(node, Folder)
        return Writing(disk, node, path, handles, handle)

    return {
        "open": open_node,
        "fsync": sync,
        "replace": rename,
        "rename": rename,
        "fdopen": fdopen,
        "close": handles.close,
        "fchmod": lambda handle, _: disk.before("chmod", handles.get(handle)[1]),
        "unlink": lambda path: disk.Path(path).unlink(),
    }


def own_names() -> dict[str, Any]:
    """What `os` has of the process and its connections."""
    return {"getpid": lambda: 4242, "fstat": lambda handle: SimpleNamespace(st_ino=handle)}


def temporary_names(disk: Disk) -> dict[str, Any]:
    """What `tempfile` has."""

    def make_file(prefix: str, dir: Any = None, **_: Any) -> tuple[int, str]:
        path = disk.temporary(prefix, dir)
        disk.before("open", path)
        return disk.Path.handles.open(disk.create(path), path), str(path)

    def make_folder(prefix: str, dir: Any = None) -> str:
        path = disk.Path(disk.temporary(prefix, dir))
        path.mkdir()
        return str(path)

    @contextlib.contextmanager
    def passing(prefix: str, dir: Any = None) -> Iterator[str]:
        yield make_folder(prefix, dir)

    return {"mkstemp": make_file, "mkdtemp": make_folder, "TemporaryDirectory": passing}


def remove_tree(disk: Disk, path: Any, ignore_errors: bool = False) -> None:
    """As shutil.rmtree: file by file, so that it can be cut short."""
    path = disk.Path(path)
    with contextlib.suppress(OSError) if ignore_errors else contextlib.nullcontext():
        for item in path.iterdir():
            if item.is_dir():
                remove_tree(disk, item, ignore_errors)
            else:
                item.unlink()
        path.unlink()


def replacements(
    scheduler: Scheduler,
    clock: Clock,
    network: Network,
    disk: Disk,
    *,
    popen: Callable[..., Any],
    handlers: dict[int, Any],
) -> list[tuple[Any, Any]]:
    """(what a name stands for, what it is to stand for)."""
    threads, bells = Threads(scheduler), Bells(scheduler)
    lives = iter(range(1, 1 << 30))

    def handle(number: int, handler: Any) -> Any:
        handlers[number] = handler
        return None

    def save_file(tensors: Mapping[str, Any], path: DiskPath) -> None:
        try:
            path.write_bytes(tensor_files.save(dict(tensors)))
        except OSError as error:
            raise safetensors.SafetensorError(str(error)) from None

    def load_file(path: DiskPath) -> Any:
        return tensor_files.load(path.read_bytes())

    torch_files = Overlay(tensor_files, save_file=save_file, load_file=load_file)
    bell_names = {
        "eventfd": bells.make,
        "eventfd_write": bells.ring,
        "eventfd_read": bells.clear,
    }
    return [
        (time, clock),
        (threading, Overlay(threading, **vars(threads))),
        (queue, Overlay(queue, **vars(threads))),
        (queue.SimpleQueue, threads.SimpleQueue),
        (concurrent.futures.Future, threads.Future),
        (
            zmq,
            Overlay(
                zmq,
                Context=lambda: Context(network),
                Poller=lambda: Poller(scheduler, bells.__getitem__),
            ),
        ),
        (os, System(os, **disk_names(disk), **bell_names, **own_names())),
        (shutil, Overlay(shutil, rmtree=lambda *a, **k: remove_tree(disk, *a, **k))),
        (tempfile, Overlay(tempfile, **temporary_names(disk))),
        (pathlib.Path, disk.Path),
        (subprocess, Overlay(subprocess, Popen=popen)),
        (uuid, Overlay(uuid, uuid4=lambda: SimpleNamespace(hex=f"{next(lives):032x}"))),
        (socket, Overlay(socket, gethostname=lambda: "here")),
        (signal, Overlay(signal, signal=handle)),
        (sys.modules["fcntl"], Overlay(sys.modules["fcntl"], flock=lambda *_: None)),
        (safetensors, Overlay(safetensors, torch=torch_files)),
        (tensor_files, torch_files),
        (tensor_files.save_file, save_file),
        (tensor_files.load_file, load_file),
    ]


@contextlib.contextmanager
def pretended(table: list[tuple[Any, Any]]) -> Iterator[None]:
    """Have the daemon's modules find what the table says."""
    by_id = {id(real): other for real, other in table}
    undo: list[tuple[Any, str, Any]] = []
    for name, module in list(sys.modules.items()):
        if not (name.startswith(SCANNED) or name in SCANNED_TOO):
            continue
        for key, value in list(vars(module).items()):
            if id(value) in by_id:
                undo.append((module, key, value))
                setattr(module, key, by_id[id(value)])
    try:
        yield
    finally:
        for module, key, value in undo:
            setattr(module, key, value)
