"""Cameras: what is sent, its stamps, what cannot be used."""

import io
import os
import random
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from rvsense.cli import main
from rvsense.errors import RvsenseError, UsageError
from rvsense.replay.devices.camera import Camera, Numbered, Watch
from rvsense.replay.devices.laptop import Laptop
from rvsense.replay.devices.moments import GIVE_UP_PICTURES, KernelClock, Throttle, of_sender
from rvsense.replay.devices.video import CameraLostError, Shot, Source, Video, is_whole_jpeg
from tests.replay.films import HEIGHT, NS, WIDTH, brightness, film, shots

# What is sent


def test_jpeg_is_passed_on_byte_for_byte(tmp_path: Path) -> None:
    """Nothing is decoded or encoded where the camera sends JPEG."""
    path = film(tmp_path / "film.avi", "mjpeg", frames=5)
    with av.open(path) as container:
        wanted = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    found = shots(Source(str(path), once=True), 5)
    assert [shot.jpeg for shot in found] == wanted


@pytest.mark.parametrize("size", [None, (160, 96)])
def test_other_codecs_become_jpeg(tmp_path: Path, size: tuple[int, int] | None) -> None:
    """Of the size asked for, showing what was shown, numbered from 0."""
    path = film(tmp_path / "film.mp4", "libx264", frames=6)
    camera = Camera(Source(str(path), size=size, once=True), "a", 3)
    taken: list[Numbered] = []
    camera.capture(taken.append, threading.Event())
    assert len(taken) == 6
    for nth, item in enumerate(taken):
        (frame,) = camera.frames(item)
        assert (frame.seq, frame.epoch, frame.codec) == (nth, 3, "jpeg")
        assert Image.open(io.BytesIO(frame.image)).size == (size or (WIDTH, HEIGHT))
        assert brightness(frame.image) == pytest.approx(5 * nth + 20, abs=4)


def test_a_jpeg_without_tables_or_of_another_size_is_not_passed_on(tmp_path: Path) -> None:
    """A decoder of a webcam's MJPEG may know its tables; the learner's does not."""
    path = film(tmp_path / "film.avi", "mjpeg", frames=1)
    (whole,) = shots(Source(str(path), once=True), 1)
    assert whole.jpeg is not None
    assert is_whole_jpeg(whole.jpeg)
    assert not is_whole_jpeg(whole.jpeg.replace(b"\xff\xc4", b"\xff\xef"))
    assert not is_whole_jpeg(b"\x00" + whole.jpeg)
    assert not is_whole_jpeg(b"")
    (scaled,) = shots(Source(str(path), size=(160, 96), once=True), 1)
    assert scaled.jpeg is None


def test_a_file_is_played_in_its_own_time_over_and_over(tmp_path: Path) -> None:
    """Stamps are those of a camera that gave the pictures just now."""
    path = film(tmp_path / "film.avi", "mjpeg", frames=5, rate=25)
    before_ns = time.time_ns()
    found = shots(Source(str(path)), 12)
    stamps = [shot.stamp_ns for shot in found]
    assert before_ns <= stamps[0]
    assert stamps[-1] <= time.time_ns()
    assert stamps[-1] - stamps[0] >= 11 * NS // 25 - NS // 50
    assert [shot.jpeg for shot in found[5:10]] == [shot.jpeg for shot in found[:5]]


def test_fps_thins_evenly(tmp_path: Path) -> None:
    """And the numbers of what is sent have no holes."""
    path = film(tmp_path / "film.avi", "mjpeg", frames=30)
    camera = Camera(Source(str(path), fps=10.0, once=True), "a", 0)
    taken: list[Numbered] = []
    camera.capture(taken.append, threading.Event())
    assert [item.seq for item in taken] == list(range(len(taken)))
    assert len(taken) == pytest.approx(10, abs=1)


# When it was taken


@pytest.mark.parametrize("jitter_ms", [0, 6])
@pytest.mark.parametrize(("source_hz", "rate_hz"), [(30, 10), (30, 20), (25, 10), (15, 30)])
def test_a_throttle_keeps_its_rate_whatever_the_jitter(
    source_hz: int, rate_hz: int, jitter_ms: int
) -> None:
    """Ten seconds of frames that come a little early or late."""
    rng = random.Random(0)
    stamps = [
        nth * NS // source_hz + rng.randint(-jitter_ms, jitter_ms) * 1_000_000
        for nth in range(10 * source_hz)
    ]
    throttle = Throttle(rate_hz)
    taken = sum(throttle.takes(stamp) for stamp in stamps)
    assert taken == pytest.approx(10 * min(source_hz, rate_hz), abs=2)


def test_a_throttle_outlives_a_clock_that_is_set_back() -> None:
    """It does not wait for the old time to come round again."""
    throttle = Throttle(10)
    assert throttle.takes(3600 * NS)
    assert throttle.takes(0)
    assert not throttle.takes(NS // 100)


def test_a_kernels_stamp_becomes_wall_time() -> None:
    """V4L2 counts from boot; drivers that count from 1970 are right as they are."""
    wall_ns, monotonic_ns = 1_800_000_000 * NS, 5000 * NS
    taken = 4_999_950_000  # microseconds from boot: 50 ms ago
    base = Fraction(1, 1_000_000)
    boot = KernelClock()
    assert boot.wall_ns(taken, base, wall_ns, monotonic_ns) == wall_ns - NS // 20
    since_1970 = KernelClock().wall_ns(wall_ns // 1000 - 50_000, base, wall_ns, monotonic_ns)
    assert since_1970 == wall_ns - NS // 20
    for nonsense in (0, 5_100_000_000, taken - 3_000_000):
        # Late pictures of a clock that is known, however many, have no time and end nothing.
        for _ in range(2 * GIVE_UP_PICTURES):
            assert boot.wall_ns(nonsense, base, wall_ns, monotonic_ns) is None
        clock = KernelClock()
        for _ in range(GIVE_UP_PICTURES - 1):
            assert clock.wall_ns(nonsense, base, wall_ns, monotonic_ns) is None
        with pytest.raises(RvsenseError, match="--stamp-source arrival"):
            clock.wall_ns(nonsense, base, wall_ns, monotonic_ns)
    late = KernelClock()
    assert late.wall_ns(taken - 3_000_000, base, wall_ns, monotonic_ns) is None
    assert late.wall_ns(taken, base, wall_ns, monotonic_ns) == wall_ns - NS // 20


def test_a_senders_clock_is_read() -> None:
    """FFmpeg's record of it, in microseconds."""
    assert of_sender(struct.pack("@qi", 1_800_000_000_123_456, 24)) == 1_800_000_000_123_456_000


# What cannot be


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("/dev/video-none"), "no camera at /dev/video-none"),
        (Source("none.mp4"), "no camera at none.mp4"),
        (Source("http://camera/stream", stamping="device"), "use arrival"),
    ],
)
def test_what_cannot_be_opened_is_refused(source: Source, message: str) -> None:
    """With what is expected instead."""
    with pytest.raises(UsageError, match=message):
        Watch(source)


@pytest.mark.parametrize("content", [b"", b"no film at all"])
def test_a_file_that_is_no_film_is_refused(tmp_path: Path, content: bytes) -> None:
    """At once: it will be none later either."""
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"film\.mp4"):
        shots(Source(str(path)), 1)


def test_damaged_pictures_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    """A camera with a bad cable."""
    path = film(tmp_path / "film.mp4", "libx264", frames=30)
    with av.open(path) as container:
        places = [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    at, size = places[12]
    data[at : at + size] = os.urandom(size)
    path.write_bytes(data)
    watch = Watch(Source(str(path), once=True))
    good = sum(1 for _ in watch.shots(threading.Event()))
    assert 20 <= good < 30
    assert watch.counts.undecodable >= 1


@pytest.mark.parametrize("kind", [Camera, Laptop])
def test_a_picture_that_cannot_be_encoded_is_counted(kind: type) -> None:
    """And the device goes on."""

    class Damaged:
        width = height = 8

        def to_image(self, **_: object) -> Image.Image:
            raise av.error.InvalidDataError(1, "invalid data")

    more = (60.0, 0) if kind is Laptop else ()
    device = kind(Source("http://camera/"), "a", 0, *more)
    assert device.frames(Numbered(0, Shot(NS, None, Damaged()))) == []
    assert device.dropped()["undecodable"] == 1


def test_what_cannot_be_used_is_counted_over_every_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what came before the first picture and after the last one."""
    stop = threading.Event()

    def shots(self: Video, _: threading.Event) -> Iterator[Shot]:
        self.counts.undecodable += 5
        yield Shot(1, b"x")
        self.counts.undecodable += 100
        if self.counts.undecodable == 315:
            stop.set()
        raise CameraLostError("gone")

    monkeypatch.setattr("rvsense.replay.devices.camera.RETRY_S", (0.0,))
    monkeypatch.setattr(Video, "shots", shots)
    monkeypatch.setattr(Video, "__init__", lambda self, _, counts: setattr(self, "counts", counts))
    monkeypatch.setattr(Video, "__exit__", lambda *_: None)
    watch = Watch(Source("http://camera/"))
    assert len(list(watch.shots(stop))) == 3
    assert watch.counts.undecodable == 315


# Over the network


@pytest.mark.parametrize(
    "address",
    [
        "http://user:geheim@127.0.0.1:1/stream",
        "rtsp://user:ge/geheim?x@127.0.0.1:1/stream",
        "http://127.0.0.1:1/stream?user=me&password=geheim",
        "http://127.0.0.1:1/stream?password=geheim@home",
    ],
)
def test_no_password_is_written_anywhere(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither when the camera is lost, nor when it is refused, nor in the figures."""
    assert main(["device", "camera", address, "--to", "tcp://127.0.0.1:1", "--seconds", "1"]) == 0
    told = capsys.readouterr()
    assert "again in" in told.err
    assert "geheim" not in told.out + told.err
    with pytest.raises(UsageError) as refused:
        Source(address.replace("rtsp", "http"), stamping="device").check()
    assert "geheim" not in str(refused.value)
    assert Source("rtsp://user:geheim@camera:554/a").shown == "rtsp://...@camera:554/a"
