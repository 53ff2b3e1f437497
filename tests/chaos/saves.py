"""Sees a learner's checkpoints being written, as they are: by inotify, not by looking again.

A save goes through these stages, and a kill meets it in one of them:

    chunks     rows of the tables are being written
    aside      the folder is being written under another name
    renamed    it has its name, and nobody has been told yet
    ""         no save is under way
"""

import ctypes
import ctypes.util
import json
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rvsense.errors import ModelError
from rvsense.learner import checkpoint

CREATED, MOVED_TO = 0x100, 0x80
HEAD = struct.Struct("iIII")
"""watch, mask, cookie, length of the name that follows."""
USUAL_S = 0.06
"""From the folder's beginning to its rename, before any has been seen."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that a save did, when it was seen; `number` is that of a renamed checkpoint."""

    what: Literal["chunks", "aside", "renamed"]
    at: float
    number: int = 0


class Saves:
    """Follows the saves in `root`, which it makes.

    stage     of the save under way
    writing_s how long the last folder took from its beginning to its rename
    renamed   number of each checkpoint that was seen to get its name → Unix time
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stage = ""
        self.writing_s = USUAL_S
        self.renamed: dict[int, float] = {}
        self._aside_at = 0.0
        (root / checkpoint.CHUNKS).mkdir(parents=True, exist_ok=True)
        self._libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
        self._handle = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
        self._folder = self._watch(root)
        self._watch(root / checkpoint.CHUNKS)

    def read(self) -> list[Seen]:
        """What has happened since the last call."""
        try:
            data = os.read(self._handle, 65536)
        except BlockingIOError:
            return []
        seen, at = [], 0
        while at < len(data):
            watch, mask, _, length = HEAD.unpack_from(data, at)
            at += HEAD.size + length
            name = data[at - length : at].rstrip(b"\0").decode()
            if event := self._event(watch == self._folder, mask, name):
                seen.append(event)
        return seen

    def announced(self, number: int) -> None:
        """The other end has been told of this checkpoint."""
        if self.stage == "renamed" and number >= max(self.renamed, default=0):
            self.stage = ""

    def fileno(self) -> int:
        """To wait on."""
        return self._handle

    def close(self) -> None:
        """See nothing more."""
        os.close(self._handle)

    def _event(self, in_root: bool, mask: int, name: str) -> Seen | None:
        now = time.monotonic()
        if in_root and mask & MOVED_TO and name.startswith(checkpoint.PREFIX):
            number = number_of(name)
            self.stage, self.writing_s = "renamed", now - self._aside_at
            self.renamed[number] = time.time()
            return Seen("renamed", now, number)
        if in_root and mask & CREATED and name.startswith(".writing-"):
            self.stage, self._aside_at = "aside", now
            return Seen("aside", now)
        if not in_root and self.stage != "chunks":
            self.stage = "chunks"
            return Seen("chunks", now)
        return None

    def _watch(self, folder: Path) -> int:
        path = os.fsencode(folder)
        return self._call("inotify_add_watch", self._handle, path, CREATED | MOVED_TO)

    def _call(self, name: str, *arguments: Any) -> int:
        result: int = getattr(self._libc, name)(*arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), name)
        return result


def number_of(path: Path | str) -> int:
    """The number in a checkpoint's name."""
    return int(Path(path).name.removeprefix(checkpoint.PREFIX))


def step_of(path: Path) -> int:
    """The training step of a checkpoint, by its manifest alone."""
    manifest = json.loads((path / checkpoint.MANIFEST).read_text())
    return int(manifest["values"]["counters"]["step"])


def whole(path: Path) -> bool:
    """Whether a checkpoint passes the learner's own check, whatever preset it is of."""
    try:
        checkpoint.load(path, json.loads((path / checkpoint.MANIFEST).read_text())["fingerprint"])
    except (OSError, ValueError, KeyError, ModelError):
        return False
    return True


def leftovers(root: Path) -> list[Path]:
    """What an interrupted write has left aside below a folder."""
    return [path for path in root.rglob("*") if path.name.startswith(".")] if root.exists() else []
