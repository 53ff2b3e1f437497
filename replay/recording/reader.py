"""Reading a recording up to its last whole message, whatever became of the file.

MCAP frames every record by its length, and a chunk carries a checksum. So a file that ends in the
middle of a record is whole up to there; a chunk that is damaged costs itself alone; and behind a
record that makes no sense nothing can be trusted, so reading ends. No index is needed. What the
chunks' checksums do not cover shows at the end: in those of the whole file, and in its count.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, DataEnd, Footer, Metadata, Statistics
from mcap.records import Message as McapMessage
from mcap.writer import MCAP0_MAGIC

from rvsense.errors import DatasetError, FrameError
from rvsense.replay.recording.chunks import FRAMING, MOST_BYTES, ChunkError, records
from rvsense.replay.recording.form import (
    ENCODING,
    SUFFIX,
    Message,
    RecordedKind,
    split,
    split_topic,
)

CHUNK_HEAD_BYTES = 1024
"""More than stands in a chunk before what it holds."""

FIRST_PRIVATE = 0x80
"""Opcodes from here on are other writers' own; those between MCAP's and these mean nothing."""

_DAMAGE = (McapError, ValueError, struct.error, OverflowError, EOFError)


@dataclass(slots=True)
class Findings:
    """What reading a file has found so far; complete when `messages` has ended."""

    finished: bool = False
    """The file has its end: it was closed in order."""
    damage: list[str] = field(default_factory=list)
    skipped: int = 0
    """Messages left out: damaged, or in channels that are none of ours."""
    foreign: set[str] = field(default_factory=set)
    whole_bytes: int = 0
    """Up to here everything is in order."""
    notes: list[Metadata] = field(default_factory=list)

    def noted(self, name: str, key: str) -> str | None:
        """What the last note of this name says under `key`."""
        values = [
            note.metadata[key] for note in self.notes if note.name == name and key in note.metadata
        ]
        return values[-1] if values else None


def segments(path: Path) -> list[Path]:
    """The files of a recording in playing order: the file, or the .mcap files of the folder.

    Raises:
        DatasetError: there is none, or it cannot be read.
    """
    try:
        if path.is_file():
            return [path]
        found = [file for file in sorted(path.glob(f"*{SUFFIX}")) if file.is_file()]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
    if not found:
        raise DatasetError(f"no recording at {path}: a {SUFFIX} file or a folder of them expected")
    return found


def is_recording(path: Path) -> bool:
    """Whether `path` looks like one: a file that begins as MCAP does, or a folder of .mcap."""
    if path.is_dir():
        return any(file.is_file() for file in path.glob(f"*{SUFFIX}"))
    try:
        with path.open("rb") as file:
            return file.read(len(MCAP0_MAGIC)) == MCAP0_MAGIC
    except OSError:
        return False


def messages(path: Path, findings: Findings) -> Iterator[Message]:
    """The messages of one file in the order they were recorded; `findings` fills on the way.

    Raises:
        DatasetError: the file cannot be read.
    """
    with _readable(path), path.open("rb") as file:
        yield from _messages(file, findings)


def _messages(file: BinaryIO, findings: Findings) -> Iterator[Message]:
    channels: dict[int, tuple[str, RecordedKind] | None] = {}
    for record in _records(file, findings):
        if isinstance(record, Channel):
            named = split_topic(record.topic) if record.message_encoding == ENCODING else None
            channels[record.id] = named
            if named is None:
                findings.foreign.add(record.topic)
        elif isinstance(record, Metadata):
            findings.notes.append(record)
        elif isinstance(record, McapMessage):
            named = channels.get(record.channel_id)
            if named is None:
                findings.skipped += 1
                continue
            try:
                parts = split(record.data)
            except FrameError as error:
                findings.skipped += 1
                findings.damage.append(f"{Path(file.name).name}: {error.detail}")
                continue
            site, kind = named
            yield Message(kind, site, record.log_time, record.publish_time, parts)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None


@dataclass(slots=True)
class _Sums:
    """What the end of a file says of all of it, against what was read."""

    crc: int = 0
    """Of everything before the record in hand; begins anew where the summary does."""
    messages: int = 0
    data_ended: bool = False

    def wrong(self, opcode: int, framing: bytes, body: bytes) -> str:
        """Take a record in; what does not fit, in words. A checksum of 0 is none."""
        stream, before = ReadDataStream(io.BytesIO(body)), self.crc
        self.crc = zlib.crc32(body, zlib.crc32(framing, before))
        if opcode == Opcode.DATA_END:
            self.crc, self.data_ended = 0, True
            expected = DataEnd.read(stream).data_section_crc
            return "the checksum of the data is wrong" if expected not in (0, before) else ""
        if opcode == Opcode.STATISTICS:
            count = Statistics.read(stream).message_count
            return f"{self.messages} messages of {count}" if count != self.messages else ""
        if opcode == Opcode.FOOTER and not self.data_ended:
            return "the end of the data is missing"
        if opcode == Opcode.FOOTER:
            actual = zlib.crc32(body[:-4], zlib.crc32(framing, before))
            expected = Footer.read(stream).summary_crc
            return "the checksum of the index is wrong" if expected not in (0, actual) else ""
        return ""


def _records(file: BinaryIO, findings: Findings) -> Iterator[Channel | Metadata | McapMessage]:
    """The records that matter, those within chunks included."""
    name = Path(file.name).name
    if (magic := file.read(len(MCAP0_MAGIC))) != MCAP0_MAGIC:
        findings.damage.append(f"{name}: {'not an MCAP file' if magic else 'empty'}")
        return
    sums = _Sums(zlib.crc32(magic))
    findings.whole_bytes = file.tell()
    while framing := file.read(FRAMING.size):
        if len(framing) < FRAMING.size:
            findings.damage.append(f"{name}: cut at byte {findings.whole_bytes}")
            return
        opcode, length = FRAMING.unpack(framing)
        if opcode == 0 or length > MOST_BYTES + CHUNK_HEAD_BYTES:
            findings.damage.append(f"{name}: no record at byte {findings.whole_bytes}")
            return
        body = file.read(length)
        if len(body) < length:
            findings.damage.append(f"{name}: cut at byte {findings.whole_bytes}")
            return
        try:
            for record in _parse(opcode, body):
                sums.messages += isinstance(record, McapMessage)
                yield record
            # Damage that was told of where it stands shows here once more.
            if (wrong := sums.wrong(opcode, framing, body)) and not findings.damage:
                findings.damage.append(f"{name}: {wrong}")
        except ChunkError as error:
            findings.skipped += 1
            findings.damage.append(f"{name}: at byte {findings.whole_bytes}: {error}")
        except _DAMAGE as error:
            findings.damage.append(f"{name}: at byte {findings.whole_bytes}: {error!r}")
            return
        findings.whole_bytes = file.tell()
        if opcode == Opcode.FOOTER:
            findings.finished = file.read(len(MCAP0_MAGIC)) == MCAP0_MAGIC
            if not findings.finished:
                findings.damage.append(f"{name}: its last 8 bytes are missing")
            return
    findings.damage.append(f"{name}: no end, as a recorder leaves it that was killed")


def _parse(opcode: int, body: bytes) -> Iterator[Channel | Metadata | McapMessage]:
    stream = ReadDataStream(io.BytesIO(body))
    if opcode == Opcode.CHUNK:
        yield from records(Chunk.read(stream))
    elif opcode == Opcode.CHANNEL:
        yield Channel.read(stream)
    elif opcode == Opcode.MESSAGE:
        yield McapMessage.read(stream, len(body))
    elif opcode == Opcode.METADATA:
        yield Metadata.read(stream)
    elif Opcode.DATA_END < opcode < FIRST_PRIVATE:
        raise ChunkError(f"a record of an unknown kind, {opcode:#x}")
