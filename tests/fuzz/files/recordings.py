"""Recordings: checked, played, written anew and exported, whatever became of the file."""

import io
import itertools
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgpack
from mcap.writer import MCAP0_MAGIC, CompressionType, Writer

from rvsense import wire
from rvsense.errors import DatasetError, FrameError, UsageError
from rvsense.replay.recording import form
from rvsense.replay.recording.check import check
from rvsense.replay.recording.export import export
from rvsense.replay.recording.playing import Recording
from rvsense.replay.recording.recover import recover
from tests.fuzz import golden, grammar
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.files import Kind
from tests.fuzz.mutate import mutated

PLAYED = 40
"""Messages of a recording that is played again and again."""
NOTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (form.NOTE, ("recording", "format")),
    (form.END_NOTE, ("lost", "messages")),
    (form.SEQUENCE_NOTE, ("sequence", "split", "simulated")),
)
SAID = (
    *(
        "{}",
        '{"tap": 3}',
        "{'disk': 1e999}",
        "[[1, 2]]",
        "(" * 5000,
        "-" * 5000 + "1",
        "1 if 1 else",
    ),
    *(
        "not known",
        "[" * 90_000,
        "9" * 5000,
        "__import__('os').mkdir('x')",
        "{" + "1:1," * 900 + "}",
    ),
)
BOMB_BYTES = 600 * 2**20
"""Of zeros, which compress to next to nothing."""


def kinds(work: Path) -> list[Kind]:
    """One for each of the things that are done with recordings."""
    return [
        Kind("recording to check", recording, _reader(work, _checked), 0.06),
        Kind("recording to play", recording, _reader(work, _played), 0.06),
        Kind("recording to recover", recording, _reader(work, _recovered), 0.04),
        Kind("recording to export", recording, _reader(work, _exported), 0.04),
    ]


def recording(rng: Random) -> Case:
    """A recording, in one of the ways below."""
    how = rng.choice(
        ("valid", "bytes", "bytes", "cut", "heads", "heads", "notes", "names", "packed")
    )
    messages = [_message(rng, odd=how == "heads") for _ in range(rng.choice((1, 3, 6)))]
    topics = ["/north/radar", "/north/camera", "/north/label", "/north/result"]
    notes: list[tuple[str, dict[str, str]]] = []
    if how == "names":
        topics = [f"/{grammar.text(rng)}/{rng.choice(('radar', 'x'))}" for _ in topics]
    if how == "notes":
        notes = [_note(rng) for _ in range(3)]
    compression = CompressionType.NONE
    if how == "packed":
        compression = rng.choice((CompressionType.LZ4, CompressionType.ZSTD))
    data = _written(messages, topics, notes, compression)
    if how == "packed" and rng.random() < 0.5:
        data = _bomb(data, compression)
    if how in ("bytes", "packed") and rng.random() < 0.8:
        data = mutated(data, rng, [data])
    elif how == "cut":
        data = data[: rng.randrange(len(data))]
    return Case(how, [data])


def _message(rng: Random, *, odd: bool) -> tuple[int, int, bytes]:
    """(channel, log time, body) of a message."""
    kind = rng.randrange(4)
    name = ("radar frame", "camera frame", "label", "result")[kind]
    values = golden.values(name) | ({"shape": [1, 128, 128, 2]} if kind == 0 else {})
    head = bytes(msgpack.packb(values))
    payload = {0: [golden.heatmap(1)], 1: [golden.jpeg()]}.get(kind, [])
    if odd:
        source = rng.choice(({"sequence": grammar.text(rng), "frame_id": grammar.whole(rng)}, {}))
        numbers = {"seq": grammar.whole(rng), "epoch": grammar.whole(rng), "source": source}
        values |= numbers | rng.choice(({}, {"stamp_ns": grammar.whole(rng)}, RGB8))
        head = grammar.packed(rng.choice((values.items(), grammar.changed(values, rng))), rng)
        payload = rng.choice((payload, payload, [], [b""], [bytes(3 * 65_535)]))
    body: bytes = form.join([head, *payload[:1]])
    if odd and rng.random() < 0.3:
        body = mutated(body[:200], rng) + body[200:]
    return kind, abs(grammar.whole(rng)) % 2**63, body


RGB8 = {"codec": "rgb8", "shape": [1, 65_535, 3], "source": {}}
"""Wider than a JPEG can be."""


def _note(rng: Random) -> tuple[str, dict[str, str]]:
    name, keys = rng.choice(NOTES)
    return name, {key: rng.choice((*SAID, grammar.text(rng))) for key in keys if rng.random() < 0.7}


def _written(
    messages: Sequence[tuple[int, int, bytes]],
    topics: Sequence[str],
    notes: Sequence[tuple[str, dict[str, str]]],
    compression: CompressionType,
) -> bytes:
    out = io.BytesIO()
    writer = Writer(out, chunk_size=0, compression=compression, enable_data_crcs=True)
    writer.start(form.PROFILE, "fuzz")
    schema = writer.register_schema("x", "x", b"")
    channels = [writer.register_channel(topic, form.ENCODING, schema) for topic in topics]
    for name, values in notes:
        writer.add_metadata(name, values)
    for number, (channel, at_ns, body) in enumerate(messages):
        writer.add_message(
            channels[channel], log_time=at_ns, data=body, publish_time=at_ns, sequence=number
        )
    writer.finish()  # type: ignore[no-untyped-call]
    return out.getvalue()


def _bomb(data: bytes, compression: CompressionType) -> bytes:
    """With a chunk before all else that is far larger than it says."""
    name = "lz4" if compression == CompressionType.LZ4 else "zstd"
    content = zeros(name)
    word = len(name).to_bytes(4, "little") + name.encode()
    sizes = bytes(16) + (100).to_bytes(8, "little") + bytes(4)  # times, bytes said, no checksum
    body = sizes + word + len(content).to_bytes(8, "little") + content
    return data[: len(MCAP0_MAGIC)] + b"\x06" + len(body).to_bytes(8, "little") + body + data[8:]


@cache
def zeros(compression: str) -> bytes:
    """BOMB_BYTES of zeros, as `lz4` or `zstd` packs them."""
    block = bytes(2**20)
    blocks = BOMB_BYTES // len(block)
    if compression == "lz4":
        import lz4.frame

        frame = lz4.frame.LZ4FrameCompressor()
        return b"".join(
            [frame.begin(), *(frame.compress(block) for _ in range(blocks)), frame.flush()]
        )
    import zstandard

    packer = zstandard.ZstdCompressor().compressobj(size=BOMB_BYTES)
    return b"".join([*(packer.compress(block) for _ in range(blocks)), packer.flush()])


def _reader(work: Path, use: Callable[[Path, Path], str]) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        path, out = work / "0001.mcap", work / "out"
        path.write_bytes(case.parts[0])
        shutil.rmtree(out, ignore_errors=True)
        before = sorted(work.rglob("*"))
        try:
            answer = use(path, out)
        except (DatasetError, UsageError) as error:
            answer = type(error).__name__
        strays = [item for item in work.parent.rglob("*") if out not in (item, *item.parents)]
        if [item for item in strays if item.parent == work and item not in before]:
            raise BrokenError(f"files beside what was asked for: {strays}")
        return answer

    return read


def _checked(path: Path, _: Path) -> str:
    report = check(path)
    report.as_map()
    report.as_text()
    return "whole" if report.whole else "damaged"


def _played(path: Path, _: Path) -> str:
    found: set[str] = set()
    for due in itertools.islice(Recording(path).slots(forever=True, teach=False), PLAYED):
        try:
            for packed in due.messages():
                found.add(_kind(packed.parts))
        except FrameError as error:
            found.add(error.reason)
    return " ".join(sorted(found)) or "nothing"


def _kind(parts: Any) -> str:
    try:
        return wire.decode(parts).kind
    except FrameError:
        return "refused"  # as the daemon would, by name


def _recovered(path: Path, out: Path) -> str:
    _, damage = recover(path, out)
    if not check(out).whole:
        raise BrokenError("what was recovered is damaged")
    return "damaged" if damage else "whole"


def _exported(path: Path, out: Path) -> str:
    report = export([path], out)
    report.as_map()
    report.as_text()
    return "something" if report.written else "nothing"
