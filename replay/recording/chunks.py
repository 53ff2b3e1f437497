"""What a chunk of MCAP holds, unpacked within bounds whatever it claims: a few bytes may be zeros
without end, and a record of no known kind a million.
"""

import io
import struct
import zlib
from collections.abc import Iterator

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message

MOST_BYTES = 64 * 1024 * 1024
"""A longer record is damage: a message has 48 MiB at most, other writers' chunks a few."""

FRAMING = struct.Struct("<BQ")
_MESSAGE_HEAD_BYTES = 22


class ChunkError(Exception):
    """A chunk that is damaged within: the record behind it can be trusted."""


def records(chunk: Chunk) -> Iterator[Channel | Message]:
    """The records of a chunk that matter, in their order.

    Raises:
        ChunkError: what it holds is damaged, or more than MOST_BYTES.
    """
    try:
        yield from _parsed(_content(chunk))
    except ChunkError:
        raise
    except Exception as error:  # each decompressor has errors of its own
        raise ChunkError(str(error) or repr(error)) from None


def _content(chunk: Chunk) -> bytes:
    size = chunk.uncompressed_size
    if size > MOST_BYTES:
        raise ChunkError(f"a chunk of {size} bytes")
    if chunk.compression == "lz4":
        import lz4.frame

        data = lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, max_length=size + 1)
    elif chunk.compression == "zstd":
        import zstandard

        limits = zstandard.ZstdDecompressor(max_window_size=MOST_BYTES)
        with limits.stream_reader(chunk.data) as stream:
            data = stream.read(size + 1)
    else:
        data = chunk.data
    if len(data) != size:
        raise ChunkError(f"a chunk of {size} bytes holds {'more' if len(data) > size else 'less'}")
    crc = chunk.uncompressed_crc
    if crc not in (0, zlib.crc32(data)):
        raise ChunkError("its checksum is wrong")
    return bytes(data)


def _parsed(data: bytes) -> Iterator[Channel | Message]:
    view, at = memoryview(data), 0
    while at < len(view):
        opcode, length = FRAMING.unpack_from(view, at)
        at += FRAMING.size
        body = view[at : at + length]
        at += length
        if at > len(view):
            raise ChunkError("a record in it is cut")
        if opcode == Opcode.CHANNEL:
            yield Channel.read(ReadDataStream(io.BytesIO(body)))
        elif opcode == Opcode.MESSAGE:
            if length < _MESSAGE_HEAD_BYTES:
                raise ChunkError("a message in it is cut")
            yield Message.read(ReadDataStream(io.BytesIO(body)), length)
        elif opcode != Opcode.SCHEMA:
            raise ChunkError(f"a record in it of an unknown kind, {opcode:#x}")
