"""A recording as it is written: file after file, within its caps, and no disk trouble stops it.

Rules:
1. A file is closed when it is large or old enough, and the next one begins with the next message.
2. `caps` says which files go, and when to pause. A disk that is full all the same costs the oldest
   files too; where there are none, or for any other trouble of the disk, recording pauses.
3. While it pauses, messages are lost and counted; it looks again once a second.
4. A folder that holds a recording is added to only when that was asked for; its files count then,
   and are the first to go.
"""

import errno
import re
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rvsense.errors import UsageError
from rvsense.replay.recording.books import Books
from rvsense.replay.recording.caps import MB, Caps, judge
from rvsense.replay.recording.form import SUFFIX, Message
from rvsense.replay.recording.segment import Segment

CHECK_S = 1.0
CHECK_BYTES = 16 * MB
"""The disk is looked at this often: after so many seconds or bytes, whichever is sooner."""
SYNC_S = 1.0
"""A power cut may cost so much, a kill nothing."""

_OURS = re.compile(rf"\d{{8}}T\d{{6}}Z-\d{{6}}{re.escape(SUFFIX)}")


class Segments:
    """Writes the files of one recording into a folder.

    Args:
        folder: made if it is not there.
        say: gets a line for a person, when something happens.
        proceed: add to a recording that is there already.
        free_bytes: of the disk that a folder is on.

    Raises:
        UsageError: the folder cannot be written to, or holds a recording already.
    """

    def __init__(
        self,
        folder: Path,
        caps: Caps,
        say: Callable[[str], None],
        *,
        proceed: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.books = Books()
        self.paused = False
        self._folder, self._caps, self._say = folder, caps, say
        self._clock_s, self._free_bytes = clock_s, free_bytes
        self._segment: Segment | None = None
        self._in_hand: Message | None = None
        """What the disk has refused; it goes out first when there is room again."""
        self._began_s = self._checked_s = self._synced_s = clock_s()
        self._seen_bytes = self._checked_bytes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._closed = _older(folder, proceed)
            self._start, self._number = _behind([path for path, _ in self._closed])
            self._recording = f"{self._start}-{self._number + 1:06d}"
            self._open()
        except OSError as error:
            raise UsageError(
                f"cannot record to {folder}: {error.strerror}; give a folder that can be written to"
            ) from None

    @property
    def path(self) -> Path:
        """Files of this recording begin with this."""
        return self._folder / self._start

    def add(self, message: Message) -> None:
        """Keep a message, or count it as lost."""
        now_s = self._clock_s()
        self._look(now_s)
        self._ready()
        if self.paused or self._segment is None:
            self.books.lost["disk"] += 1
            return
        if not self._segment.messages:
            self._began_s = now_s
        self._in_hand = message
        try:
            self._segment.add(message)
            self._settle()
            self._after(now_s)
        except OSError as error:
            self._make_room(error)

    def note(self, name: str, values: Mapping[str, object]) -> None:
        """A metadata record into the file that is being written; in a pause there is none."""
        self._ready()
        if self._segment is not None and not self.paused:
            try:
                self._segment.note(name, values)
            except OSError as error:
                self._pause(error)

    def idle(self) -> None:
        """Nothing has come for a while: look at the disk, sync what is there."""
        now_s = self._clock_s()
        self._look(now_s)
        if not self.paused:
            try:
                self._after(now_s)
            except OSError as error:
                self._pause(error)

    def close(self) -> None:
        """End the last file, as well as the disk lets it; one without a message is removed."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            try:
                segment.commit()
                self._settle()
            finally:
                segment.close(self.books.as_map())
        except OSError as error:
            self.books.lost["disk"] += self._in_hand is not None
            self._in_hand = None
            self._say(
                f"{segment.path.name}: no end could be written ({error.strerror}); it can be read "
                "to its last whole message, and `rvsense record --recover` gives it one"
            )
        self._count_bytes(segment)
        if segment.messages:
            self._closed.append((segment.path, segment.size_bytes))
        else:
            segment.path.unlink(missing_ok=True)

    def _settle(self) -> None:
        """What was in hand is in the file."""
        if self._in_hand is not None:
            self.books.keep(self._in_hand)
            self._in_hand = None

    def _ready(self) -> None:
        """There is a file, or a pause."""
        if self._segment is None and not self.paused:
            try:
                self._open()
            except OSError as error:
                self._pause(error)

    def _open(self) -> None:
        self._number += 1
        path = self._folder / f"{self._start}-{self._number:06d}{SUFFIX}"
        note = {"format": 1, "recording": self._recording, "segment": self._number}
        self._segment = Segment(path, note | {"started_ns": time.time_ns()})
        self._seen_bytes = 0

    def _after(self, now_s: float) -> None:
        segment = self._segment
        if segment is None or not segment.messages:
            return
        self._count_bytes(segment)
        if now_s - self._synced_s >= SYNC_S:
            self._synced_s = now_s
            segment.sync()
        large = segment.size_bytes >= self._caps.segment_bytes
        if large or now_s - self._began_s >= self._caps.segment_s:
            self.close()
            self._look(now_s, at_once=True)

    def _count_bytes(self, segment: Segment) -> None:
        self.books.written_bytes += segment.size_bytes - self._seen_bytes
        self._seen_bytes = segment.size_bytes

    def _look(self, now_s: float, *, at_once: bool = False) -> None:
        """Remove what must go; pause, or go on."""
        much = self.books.written_bytes - self._checked_bytes >= CHECK_BYTES
        due = now_s - self._checked_s >= CHECK_S or (much and not self.paused)
        if not (due or at_once):
            return
        self._checked_s, self._checked_bytes = now_s, self.books.written_bytes
        try:
            free_bytes = self._free_bytes(self._folder)
        except OSError as error:
            self._pause(error)
            return
        open_bytes = 0 if self._segment is None else self._segment.size_bytes
        sizes = [size for _, size in self._closed]
        verdict = judge(self._caps, sizes, open_bytes, free_bytes)
        self._remove(verdict.remove)
        if verdict.pause:
            self._pause(OSError(0, f"less than {self._caps.free_bytes / 1e9:g} GB free"))
        elif self.paused:
            self._resume()

    def _remove(self, count: int) -> None:
        for path, _ in self._closed[:count]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._say(f"{path.name} should make room and cannot be removed: {error.strerror}")
                continue
            self.books.removed.append(path.name)
            self._say(f"{path.name} removed to make room")
        del self._closed[:count]

    def _make_room(self, why: OSError) -> None:
        """Give the oldest files for what is in hand, one after another; pause if that is no way."""
        while self._caps.ring and self._closed and why.errno in (errno.ENOSPC, errno.EDQUOT):
            self._remove(1)
            try:
                if self._segment is not None:
                    self._segment.commit()
            except OSError as again:
                why = again
            else:
                self._settle()
                return
        self._pause(why)

    def _pause(self, why: OSError) -> None:
        if not self.paused:
            self.paused = True
            self.books.pauses += 1
            self._say(f"paused: {why.strerror}; messages are lost until the disk takes them again")

    def _resume(self) -> None:
        try:
            if self._segment is None:
                self._open()
            else:
                self._segment.commit()
        except OSError:
            return
        self._settle()
        self.paused = False
        self._say(f"goes on; {self.books.lost['disk']} messages were lost to the disk so far")


def _behind(there: list[Path]) -> tuple[str, int]:
    """When the next files begin, as a name, and the number before theirs.

    Files are played in the order of their names. So where the newest one is of this second, or of
    a later one since the clock was set back, its name is gone on with.
    """
    start = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    if not there or there[-1].name < start:
        return start, 0
    newest, _, number = there[-1].name.removesuffix(SUFFIX).partition("-")
    return newest, int(number)


def _older(folder: Path, proceed: bool) -> list[tuple[Path, int]]:
    there = sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name))
    if there and not proceed:
        raise UsageError(
            f"{folder} holds a recording already ({len(there)} files); give another folder, or "
            "--continue to add to it: its files count then, and are the first to make room"
        )
    return [(path, path.stat().st_size) for path in there]
