"""Network cameras, a real RTSP server among them: their time, slow decoding, coming back."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from rvsense.replay.devices.camera import Watch
from rvsense.replay.devices.video import Source, Video
from tests.replay.films import NS, PATIENCE_S, WIDTH, film, shots


@pytest.fixture
def rtsp(tmp_path: Path) -> Iterator[Callable[[], tuple[str, subprocess.Popen[bytes]]]]:
    """Starts an RTSP camera, always on one port: a film, over and over, with RTCP reports."""
    film(tmp_path / "film.mp4", "libx264", frames=60)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running: list[subprocess.Popen[bytes]] = []
    program = Path(sys.executable).with_name("rtsp-server")
    command = [str(program), "--dir", str(tmp_path), "--host", "127.0.0.1", "--port", str(port)]

    def begin() -> tuple[str, subprocess.Popen[bytes]]:
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    return f"rtsp://127.0.0.1:{port}/film.mp4?play_count=0", running[-1]
            time.sleep(0.05)
        raise AssertionError("the RTSP server does not listen")

    yield begin
    for process in running:
        process.kill()
        process.wait(PATIENCE_S)


@pytest.mark.process
@pytest.mark.parametrize("stamping", ["arrival", "device"])
def test_an_rtsp_camera_gives_pictures_with_their_time(
    rtsp: Callable[[], tuple[str, subprocess.Popen[bytes]]], stamping: str
) -> None:
    """By our clock, or by the camera's own as its RTCP reports tell it; here they are one."""
    address, _ = rtsp()
    source = Source(address, stamping="device" if stamping == "device" else "arrival")
    found = shots(source, 40)
    ages = [time.time_ns() - shot.stamp_ns for shot in found]
    assert ages == sorted(ages, reverse=True)
    assert 0 <= ages[-1] < NS
    assert found[0].picture.width == WIDTH
    steps = np.diff([shot.stamp_ns for shot in found])
    assert np.median(steps) == pytest.approx(NS / 30, rel=0.3)


@pytest.fixture
def web_camera(tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """A camera that serves MJPEG by HTTP, as small ones do; and its one picture."""
    (shot,) = shots(Source(str(film(tmp_path / "one.avi", "mjpeg", frames=1)), once=True), 1)
    jpeg = shot.jpeg or b""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    time.sleep(0.02)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", jpeg
        server.shutdown()


def test_mjpeg_over_http_is_passed_on(web_camera: tuple[str, bytes]) -> None:
    """Byte for byte, stamped on arrival; what was read while opening is of unknown time."""
    address, jpeg = web_camera
    before_ns = time.time_ns()
    found = shots(Source(address), 10)
    assert all(shot.jpeg == jpeg for shot in found)
    stamps = [shot.stamp_ns for shot in found]
    assert before_ns < stamps[0]
    assert stamps == sorted(stamps)


def test_a_decoder_that_does_not_keep_up_costs_pictures_not_time(
    web_camera: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are stamped when they come; the newest are decoded, the others counted."""
    slow_s = 0.2  # ten pictures' time
    decode = Video._decode

    def slowly(self: Video, packet: object) -> list[object]:
        time.sleep(slow_s)
        return decode(self, packet)

    monkeypatch.setattr(Video, "_decode", slowly)
    watch, stop = Watch(Source(web_camera[0], decode=True)), threading.Event()
    stamps = []
    for shot in watch.shots(stop):
        stamps.append(shot.stamp_ns)
        if len(stamps) == 10:
            stop.set()
    assert watch.counts.undecoded >= 10
    assert np.median(np.diff(stamps)) > slow_s / 2 * NS


def test_a_camera_whose_pictures_have_no_time_is_named(
    web_camera: tuple[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A stream of which nothing can be sent does not look like a dead one."""
    monkeypatch.setattr("rvsense.replay.devices.video._UNSTAMPED_NS", NS // 2)
    monkeypatch.setattr(Video, "_stamp_ns", lambda *_: None)
    watch, stop = Watch(Source(web_camera[0])), threading.Event()
    threading.Timer(2.0, stop.set).start()
    assert list(watch.shots(stop)) == []
    assert watch.counts.unstamped > 1
    assert capsys.readouterr().err.count("--stamp-source arrival") == 1


@pytest.mark.process
def test_a_camera_that_goes_away_is_found_again(
    rtsp: Callable[[], tuple[str, subprocess.Popen[bytes]]],
) -> None:
    """The server dies and comes back; the pictures go on, and the gap is counted."""
    address, server = rtsp()
    watch, stop = Watch(Source(address)), threading.Event()
    before = after = 0
    for _ in watch.shots(stop):
        if watch.reconnections == 0:
            before += 1
            if before == 3:
                server.kill()
                server.wait(PATIENCE_S)
                rtsp()
        else:
            after += 1
            if after == 3:
                stop.set()
    assert (before >= 3, after) == (True, 3)
    assert watch.reconnections >= 1
