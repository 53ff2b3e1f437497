"""Files of a recording: they roll, make room, pause and go on."""

import errno
import os
from pathlib import Path

import msgpack
import pytest

from rvsense.errors import UsageError
from rvsense.replay.recording.caps import Caps
from rvsense.replay.recording.check import check
from rvsense.replay.recording.form import Message
from rvsense.replay.recording.reader import Findings, messages, segments
from rvsense.replay.recording.recover import recover
from rvsense.replay.recording.segments import Segments
from tests.replay.test_record_sink import file_limit

PAYLOAD = bytes(2000)


def message(seq: int, site: str = "east") -> Message:
    """A camera message of about 2 kB."""
    head = msgpack.packb({"kind": "camera", "site": site, "seq": seq, "epoch": 0})
    return Message("camera", site, 10**18 + seq, seq, [head, PAYLOAD])


def seqs(folder: Path) -> list[int]:
    """The numbers of all messages that can be read."""
    found = [item for path in segments(folder) for item in messages(path, Findings())]
    return [msgpack.unpackb(item.parts[0])["seq"] for item in found]


class Bench:
    """Segments under a clock and a disk of the test's own."""

    def __init__(self, folder: Path, *, proceed: bool = False, **caps: float) -> None:
        values = {"segment_bytes": 10_000, "segment_s": 60, "most_bytes": 10**9, "free_bytes": 0}
        self.now_s = 0.0
        self.free_bytes = 10**12
        self.said: list[str] = []
        self.segments = Segments(
            folder,
            Caps(**(values | caps)),  # type: ignore[arg-type]
            self.said.append,
            proceed=proceed,
            clock_s=lambda: self.now_s,
            free_bytes=lambda _: self.free_bytes,
        )

    def add(self, start: int, stop: int, step_s: float = 0.1) -> None:
        """Messages of these numbers, `step_s` apart."""
        for seq in range(start, stop):
            self.now_s += step_s
            self.segments.add(message(seq))


def test_files_roll_by_size_and_time(tmp_path: Path) -> None:
    """A new file begins after so many bytes or seconds; together they hold everything, in order."""
    bench = Bench(tmp_path)
    bench.add(0, 12)
    bench.add(12, 14, step_s=61.0)
    bench.segments.close()
    report = check(tmp_path)
    assert report.whole
    assert [file.counts["camera"] for file in report.files] == [5, 5, 3, 1]
    assert seqs(tmp_path) == list(range(14))
    assert bench.segments.books.written_bytes == sum(file.size_bytes for file in report.files)


def test_the_oldest_file_makes_room(tmp_path: Path) -> None:
    """At the cap the oldest files go: said, counted, and the newest messages are all there."""
    bench = Bench(tmp_path, most_bytes=35_000)
    bench.add(0, 100, step_s=1.0)
    bench.segments.close()
    left = seqs(tmp_path)
    assert left == list(range(left[0], 100))
    assert sum(path.stat().st_size for path in segments(tmp_path)) < 35_000 + 2 * 12_000
    removed = bench.segments.books.removed
    assert len(removed) >= 15
    assert [f"{name} removed to make room" for name in removed] == bench.said


def test_a_disk_that_others_fill_pauses_it(tmp_path: Path) -> None:
    """Below the free space it pauses, loses and counts; with room again it goes on."""
    bench = Bench(tmp_path, free_bytes=10**6)
    bench.add(0, 3, step_s=1.1)
    bench.free_bytes = 1000
    bench.add(3, 8, step_s=1.1)
    assert bench.segments.paused
    bench.free_bytes = 10**9
    bench.add(8, 10, step_s=1.1)
    bench.segments.close()
    assert seqs(tmp_path) == [0, 1, 2, 8, 9]
    books = bench.segments.books
    assert (books.lost, books.pauses, books.kept["camera"]) == ({"disk": 5}, 1, 5)
    assert [line.split()[0] for line in bench.said] == ["paused:", "goes"]


@pytest.mark.parametrize("limit", [100, 3000, 4100, 5000, 6001, 7500])
def test_a_full_disk_tears_no_message(limit: int, tmp_path: Path) -> None:
    """Wherever the disk is full, the file is whole to there, and goes on when there is room."""
    bench = Bench(tmp_path, segment_bytes=10**6)
    with file_limit(limit):
        bench.add(0, 8)
        assert bench.segments.paused
        found = check(tmp_path)
        assert found.damage == [
            line for line in found.damage if "no end" in line or "empty" in line
        ]
        before = seqs(tmp_path)
        assert before == list(range(len(before)))
    bench.now_s += 2.0
    bench.add(8, 10)
    bench.segments.close()
    lost = bench.segments.books.lost["disk"]
    assert check(tmp_path).whole
    # The message that was refused stayed in hand; those behind it were lost.
    assert seqs(tmp_path) == [*range(8 - lost), 8, 9]


def test_a_full_disk_costs_the_oldest_files_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk is full before any cap is reached, the newest messages are kept still."""

    def writev(handle: int, rest: list[memoryview]) -> int:
        held = sum(path.stat().st_size for path in tmp_path.iterdir())
        if held + sum(map(len, rest)) > 40_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(handle, b"".join(rest))

    monkeypatch.setattr(os, "writev", writev)
    bench = Bench(tmp_path)
    bench.add(0, 50)
    bench.segments.close()
    left = seqs(tmp_path)
    assert left == list(range(left[0], 50))
    assert len(left) >= 10
    assert (bench.segments.books.lost, bench.segments.books.pauses) == ({}, 0)
    assert len(bench.segments.books.removed) >= 6
    assert check(tmp_path).whole


def test_what_is_in_hand_at_the_end_is_counted_as_lost(tmp_path: Path) -> None:
    """The books never say of a message that it was kept when the file does not have it."""
    bench = Bench(tmp_path, segment_bytes=10**6)
    with file_limit(6000):
        bench.add(0, 5)
        bench.segments.close()
    books = bench.segments.books
    kept = seqs(tmp_path)
    assert books.kept["camera"] == len(kept)
    assert books.kept["camera"] + books.lost["disk"] == 5


def test_closing_on_a_full_disk_leaves_what_is_whole(tmp_path: Path) -> None:
    """Without room for an end the file ends at its last whole message, and that is said."""
    bench = Bench(tmp_path, segment_bytes=10**6)
    bench.add(0, 3)
    size = segments(tmp_path)[0].stat().st_size
    with file_limit(size + 50):
        bench.segments.close()
    assert seqs(tmp_path) == [0, 1, 2]
    assert not check(tmp_path).whole
    assert "--recover" in bench.said[-1]


def test_a_folder_with_a_recording_is_added_to_only_on_request(tmp_path: Path) -> None:
    """Refused by default; with --continue the older files count and are the first to go."""
    first = Bench(tmp_path)
    first.add(0, 20)
    first.segments.close()
    for number, path in enumerate(segments(tmp_path), 1):
        path.rename(tmp_path / f"20200101T000000Z-{number:06d}.mcap")
    (tmp_path / "20190101-mine.mcap").write_bytes(b"not ours to remove")
    with pytest.raises(UsageError, match="--continue"):
        Bench(tmp_path)
    bench = Bench(tmp_path, proceed=True, most_bytes=75_000)
    bench.add(20, 40, step_s=1.1)
    bench.segments.close()
    assert bench.segments.books.removed[0] == "20200101T000000Z-000001.mcap"
    assert (tmp_path / "20190101-mine.mcap").exists()
    (tmp_path / "20190101-mine.mcap").unlink()
    assert seqs(tmp_path)[-20:] == list(range(20, 40))


def test_a_new_name_sorts_behind_all_that_are_there(tmp_path: Path) -> None:
    """Also within one second, and after the clock was set back; each run is a recording."""
    for seq in range(2):
        bench = Bench(tmp_path, proceed=True)
        bench.add(seq, seq + 1)
        bench.segments.close()
    segments(tmp_path)[-1].rename(tmp_path / "29990101T000000Z-000041.mcap")
    bench = Bench(tmp_path, proceed=True)
    bench.add(2, 4)
    bench.segments.close()
    assert segments(tmp_path)[-1].name == "29990101T000000Z-000042.mcap"
    assert seqs(tmp_path) == list(range(4))
    assert len({file.recording for file in check(tmp_path).files}) == 3


def test_a_pause_goes_on_only_when_a_file_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once, not every second; and the first message with room again is kept."""
    bench = Bench(tmp_path, segment_bytes=1000)
    bench.add(0, 1)
    opened = os.open

    def refused(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EACCES, "Permission denied")
        return opened(path, flags, *mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        bench.add(1, 6, step_s=1.1)
    bench.add(6, 8, step_s=1.1)
    bench.segments.close()
    assert [line.split()[0] for line in bench.said] == ["paused:", "goes"]
    assert seqs(tmp_path) == [0, 6, 7]
    assert (bench.segments.books.pauses, bench.segments.books.lost["disk"]) == (1, 5)


def test_loss_is_summed_over_the_runs_of_a_recording(tmp_path: Path) -> None:
    """With --continue each run counts its own; a run that was killed makes the sum unknown."""
    for reason, count in (("tap", 2), ("disk", 3), ("tap", 4)):
        bench = Bench(tmp_path, proceed=True)
        bench.add(0, 12)
        bench.segments.books.lost[reason] += count
        bench.segments.close()
    assert check(tmp_path).lost == {"tap": 6, "disk": 3}
    recover(tmp_path, tmp_path / "anew")
    assert check(tmp_path / "anew").lost == {"tap": 6, "disk": 3}
    killed = segments(tmp_path)[5]  # the second run's last
    killed.write_bytes(killed.read_bytes()[:2500])
    assert check(tmp_path).lost is None
    recover(tmp_path, tmp_path / "again")
    found = check(tmp_path / "again")
    assert found.whole
    assert found.lost is None
    assert "not known" in found.as_text()


def test_a_recording_of_nothing_leaves_no_file(tmp_path: Path) -> None:
    """Neither a file without a message, nor one that nothing was added to since the last."""
    Bench(tmp_path).segments.close()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    """A file where the folder should be is a usage error."""
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="out"):
        Bench(tmp_path / "out")
