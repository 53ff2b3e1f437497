"""The exam on disk, so that a restart does not forget it: radar input and class, no image.

    <state>/exam/<number>.frame    a line of JSON (sha256, label, dtype, shape), then the heatmap

Each file appears whole or not at all, and is checked when read; a damaged one is set aside under
another name, and costs only itself. Writing has its own thread: the one that takes frames in
waits for no disk. While the disk hangs only the newest exam waits: it has all that is still wanted.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from rvsense import atomic, jsontext
from rvsense.daemon.exam import Item
from rvsense.disk import naming
from rvsense.frames import CLASSES
from rvsense.grids import CELLS
from rvsense.wire import DTYPES

SUFFIX = ".frame"
DAMAGED = "damaged-"
DAMAGED_KEPT = 2
"""To look into; a disk gone wrong must not fill up with them."""
STOP_WITHIN_S = 2.0


class ExamStore:
    """Keeps a folder as the exam is. `load` first, then `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = threading.Condition()
        self._newest: Mapping[int, Item] | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="exam-store", daemon=True)

    def load(self) -> dict[int, Item]:
        """What was kept, by number; damaged files are set aside and logged.

        Raises:
            DiskError: the folder cannot be listed: what is kept from now on would replace it.
        """
        kept: dict[int, Item] = {}
        with naming(self._folder, "cannot be read"):
            if not self._folder.is_dir():
                return kept
            atomic.remove_leftovers(self._folder)
            files = sorted(self._folder.glob(f"*{SUFFIX}"))
        for path in files:
            if path.name.startswith(DAMAGED):
                continue
            try:
                kept[int(path.stem)] = decode(path.read_bytes())
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._set_aside(path, error)
        return kept

    def start(self) -> None:
        """Start writing what `keep` is given."""
        self._thread.start()

    def keep(self, kept: Mapping[int, Item]) -> None:
        """Have the folder follow, soon: new frames are written, those that left are removed."""
        with self._changed:
            self._newest = kept
            self._changed.notify()

    def stop(self) -> None:
        """Write what is still to be written, and end the thread."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_WITHIN_S)

    def _run(self) -> None:
        while (kept := self._take()) is not None:
            try:
                self._follow(kept)
            except OSError as error:  # the exam in memory is whole; the next label tries again
                structlog.get_logger().warning("exam_not_saved", error=str(error))

    def _take(self) -> Mapping[int, Item] | None:
        """The newest exam, waited for; None when there is none and none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ending)
            kept, self._newest = self._newest, None
            return kept

    def _follow(self, kept: Mapping[int, Item]) -> None:
        atomic.make_folder(self._folder)
        wanted = {self._path(number): item for number, item in kept.items()}
        for path, item in wanted.items():
            if not path.exists():
                atomic.write_file(path, encode(item))
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path not in wanted and not path.name.startswith(DAMAGED):
                path.unlink()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}{SUFFIX}"

    def _set_aside(self, path: Path, error: Exception) -> None:
        log = structlog.get_logger()
        log.warning("exam_frame_damaged", path=str(path), error=str(error) or repr(error))
        try:
            path.rename(path.with_name(DAMAGED + path.name))
            for old in sorted(self._folder.glob(f"{DAMAGED}*"))[:-DAMAGED_KEPT]:
                old.unlink()
        except OSError as failure:
            log.warning("exam_frame_not_set_aside", path=str(path), error=str(failure))


def encode(item: Item) -> bytes:
    """A frame and its class as one file's content."""
    heatmap, label = item
    facts = {"label": label, "dtype": heatmap.dtype.str, "shape": list(heatmap.shape)}
    payload = np.ascontiguousarray(heatmap).tobytes()
    return json.dumps({"sha256": _digest(facts, payload), **facts}).encode() + b"\n" + payload


def decode(content: bytes) -> Item:
    """What `encode` made a file of.

    Raises:
        ValueError, KeyError, TypeError: the file is damaged.
    """
    line, _, payload = content.partition(b"\n")
    facts = jsontext.parse(line)
    if not isinstance(facts, dict):
        raise ValueError("does not begin with a map")
    wanted = facts.pop("sha256")
    if wanted != _digest(facts, payload):
        raise ValueError("does not match its checksum")
    if facts["label"] not in CLASSES:
        raise ValueError(f"class {facts['label']!r} is none of {', '.join(CLASSES)}")
    heatmap = np.frombuffer(payload, DTYPES[facts["dtype"]]).reshape(facts["shape"])
    if heatmap.ndim != 4 or heatmap.shape[1:] != (CELLS, CELLS, 2) or not len(heatmap):
        raise ValueError(f"a heatmap of shape {heatmap.shape}")
    return heatmap, facts["label"]


def _digest(facts: Mapping[str, Any], payload: bytes) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(payload)
    return digest.hexdigest()
