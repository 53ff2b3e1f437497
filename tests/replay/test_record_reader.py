"""Reading what is left of a recording: everything whole, and nothing that is not."""

from pathlib import Path

import msgpack
import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from rvsense.errors import DatasetError
from rvsense.replay.recording.check import check
from rvsense.replay.recording.form import NOTE, SCHEMAS, Message, join
from rvsense.replay.recording.reader import Findings, is_recording, messages, segments
from rvsense.replay.recording.recover import recover
from rvsense.replay.recording.segment import Segment

COUNT = 3


def written(path: Path, *, end: bool = True) -> list[int]:
    """A small recording; where each of its messages ends in the file."""
    segment = Segment(path, {"format": 1})
    ends = []
    for seq in range(COUNT):
        head = msgpack.packb({"kind": "camera", "site": "east", "seq": seq, "epoch": 0})
        payload = bytes([seq]) * 20
        segment.add(Message("camera", "east", 10**18 + seq, seq, [head, payload]))
        ends.append(segment.size_bytes)
    if end:
        segment.close({"messages": COUNT})
    return ends


def read(path: Path, findings: Findings | None = None) -> list[int]:
    """The numbers of the messages that come back; each is checked to be what was written."""
    numbers = []
    for message in messages(path, findings or Findings()):
        head, payload = message.parts
        seq = msgpack.unpackb(head)["seq"]
        assert payload == bytes([seq]) * 20
        assert (message.received_ns, message.stamp_ns) == (10**18 + seq, seq)
        numbers.append(seq)
    return numbers


def test_a_file_cut_anywhere_gives_every_message_before_the_cut(tmp_path: Path) -> None:
    """For each byte up to the index: what had ended there comes back, and the damage is said."""
    path = tmp_path / "a.mcap"
    ends = written(path)
    data = path.read_bytes()
    for cut in [*range(ends[-1] + 60), *range(ends[-1] + 60, len(data), 7)]:
        path.write_bytes(data[:cut])
        findings = Findings()
        # A message is there once its chunk is; its place in the index comes behind it.
        numbers = read(path, findings)
        assert len(numbers) >= sum(end <= cut for end in ends)
        assert numbers == list(range(len(numbers)))
        assert findings.damage
        assert not findings.finished
    path.write_bytes(data)
    findings = Findings()
    assert read(path, findings) == list(range(COUNT))
    assert (findings.damage, findings.finished, findings.skipped) == ([], True, 0)
    assert next(note.name for note in findings.notes) == NOTE


def test_a_flipped_byte_costs_no_other_message_and_makes_none_up(tmp_path: Path) -> None:
    """For every byte of the file: all comes back, or the damage is said; and always in order."""
    path = tmp_path / "a.mcap"
    written(path)
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        findings = Findings()
        numbers = read(path, findings)
        assert numbers == sorted(set(numbers))
        assert findings.damage
    middle = data.index(bytes([2]) * 20) + 10
    path.write_bytes(data[:middle] + b"!" + data[middle + 1 :])
    findings = Findings()
    assert read(path, findings) == [0, 1]
    assert (findings.skipped, len(findings.damage)) == (1, 1)


def test_a_killed_recorder_leaves_no_end_and_recover_gives_one(tmp_path: Path) -> None:
    """Half a message behind the last whole one goes; index and end come; notes stay."""
    (tmp_path / "cut").mkdir()
    written(tmp_path / "cut" / "a.mcap", end=False)
    with (tmp_path / "cut" / "a.mcap").open("ab") as file:
        file.write(b"\x06\x99\x00\x00\x00\x00\x00\x00\x00half a message")
    report = check(tmp_path / "cut")
    assert not report.whole
    assert report.counts == {"camera": COUNT}
    assert report.as_map()["lost"] is None
    assert f"record --recover OUT {tmp_path / 'cut'}`" in report.as_text()
    assert "1 file," in report.as_text()
    saved, damage = recover(tmp_path / "cut", tmp_path / "new")
    assert (saved, len(damage)) == (COUNT, 1)
    assert check(tmp_path / "new").whole
    assert "no end" not in check(tmp_path / "new").as_text()
    assert read(tmp_path / "new" / "a.mcap") == list(range(COUNT))


def test_nobody_is_sent_to_recover_what_holds_no_message(tmp_path: Path) -> None:
    """A file of another kind is called what it is, and that is all."""
    (tmp_path / "README.mcap").write_text("# rvsense")
    said = check(tmp_path / "README.mcap").as_text()
    assert "not an MCAP file" in said
    assert "--recover" not in said


def test_other_readers_read_it(tmp_path: Path) -> None:
    """The index is right: MCAP's own seeking reader finds each message and its schema."""
    path = tmp_path / "a.mcap"
    written(path)
    with path.open("rb") as file:
        found = list(make_reader(file, validate_crcs=True).iter_messages("/east/camera"))
    assert [message.publish_time for _, _, message in found] == list(range(COUNT))
    schema, channel, _ = found[0]
    assert schema is not None
    assert schema.data.decode() == SCHEMAS["camera"]
    assert channel.message_encoding == "msgpack"


def test_files_that_others_wrote_again(tmp_path: Path) -> None:
    """Compressed chunks of many messages are read; channels that are none of ours are counted."""
    path = tmp_path / "a.mcap"
    writer = Writer(str(path), compression=CompressionType.ZSTD)
    writer.start()
    ours = writer.register_channel("/east/camera", "msgpack", 0)
    other = writer.register_channel("/east/lidar", "cdr", 0)
    for seq in range(COUNT):
        head = msgpack.packb({"seq": seq})
        body = join([head, bytes([seq]) * 20])
        writer.add_message(ours, log_time=10**18 + seq, publish_time=seq, data=body)
        writer.add_message(other, log_time=1, publish_time=1, data=b"?")
    writer.finish()  # type: ignore[no-untyped-call]
    findings = Findings()
    assert read(path, findings) == list(range(COUNT))
    assert (findings.skipped, findings.foreign, findings.damage) == (COUNT, {"/east/lidar"}, [])


@pytest.mark.parametrize(
    ("compression", "name"), [(CompressionType.ZSTD, b"zstd"), (CompressionType.LZ4, b"lz4")]
)
def test_a_damaged_chunk_that_another_wrote_costs_itself(
    compression: CompressionType, name: bytes, tmp_path: Path
) -> None:
    """What its decompressor says of it is damage like any other; the next chunk is read."""
    path = tmp_path / "a.mcap"
    writer = Writer(str(path), compression=compression, chunk_size=0)
    writer.start()
    ours = writer.register_channel("/east/camera", "msgpack", 0)
    for seq in range(COUNT):
        body = join([msgpack.packb({"seq": seq}), bytes([seq]) * 20])
        writer.add_message(ours, log_time=10**18 + seq, publish_time=seq, data=body)
    writer.finish()  # type: ignore[no-untyped-call]
    data = path.read_bytes()
    start = data.index(name, data.index(name) + 1)  # the second chunk's
    begins = start + len(name) + 8
    path.write_bytes(data[:begins] + b"????" + data[begins + 4 :])
    findings = Findings()
    assert read(path, findings) == [0, 2]
    assert (findings.skipped, len(findings.damage)) == (1, 1)
    # Before its name stand its size and checksum: one that would fill the memory is refused.
    large = data[: start - 16] + b"\xff" * 7 + data[start - 9 :]
    path.write_bytes(large)
    findings = Findings()
    assert read(path, findings) == [0, 2]
    assert "a chunk of" in findings.damage[0]


def test_what_is_a_recording(tmp_path: Path) -> None:
    """By its first bytes, or by .mcap files in a folder; nothing else."""
    written(tmp_path / "a.mcap")
    (tmp_path / "b.txt").write_text("no")
    assert is_recording(tmp_path / "a.mcap")
    assert is_recording(tmp_path)
    assert not is_recording(tmp_path / "b.txt")
    assert not is_recording(tmp_path / "nowhere")
    (tmp_path / "folder.mcap").mkdir()
    assert segments(tmp_path) == [tmp_path / "a.mcap"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no recording"):
        segments(tmp_path / "empty")
