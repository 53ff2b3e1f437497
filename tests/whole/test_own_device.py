"""The example of the documentation and the live devices, against a real daemon."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgpack
import numpy as np
import pytest
import zmq

from rvsense import subscribe

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_device.py"
PATIENCE_S = 60.0
RVSENSE = [sys.executable, "-P", "-m", "rvsense"]


@pytest.fixture
def device() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts programs that send frames; none outlives the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(*command: str | Path) -> subprocess.Popen[str]:
        words = list(map(str, command))
        running.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def site_of(http: str, name: str, pairs: int) -> dict[str, Any]:
    """The site's pairing once it has so many pairs."""
    deadline_s = time.monotonic() + PATIENCE_S
    site: dict[str, Any] = {}
    while time.monotonic() < deadline_s:
        with urllib.request.urlopen(f"http://{http}/statusz", timeout=5) as reply:
            status = json.load(reply)
        site = status["pairing"]["sites"].get(name, {})
        if site and site["radar"]["paired"] >= pairs:
            return site
        time.sleep(0.2)
    raise AssertionError(f"{name} has not {pairs} pairs: {site}")


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """SIGTERM, and the device's last word."""
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    return figures


def test_the_example_is_short_and_stands_alone() -> None:
    """Under 40 lines, with nothing of ours: any language with ZeroMQ and msgpack will do."""
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 40
    assert "rvsense" not in text


def test_the_example_sends_a_radar_and_a_camera_that_pair(
    start: Callable[..., Any], device: Callable[..., subprocess.Popen[str]]
) -> None:
    """Every radar frame is answered, and its stamps meet the camera's."""
    daemon = start("--no-learn")
    ready = daemon.wait_for("ready")
    with subscribe(ready["results"], site="mine", timeout_s=PATIENCE_S) as results:
        device(sys.executable, "-P", EXAMPLE, ready["intake"])
        first = next(iter(results))
        assert abs(time.time_ns() - first.stamp_ns) < 5e9
    site = site_of(ready["http"], "mine", pairs=20)
    assert site["camera"]["paired"] == site["radar"]["paired"]
    status = daemon.stop()
    assert status["serving"]["balanced"]
    assert status["serving"]["answered"] == status["serving"]["radar"] > 40


def test_the_example_keeps_nothing_for_a_daemon_that_comes_late(
    device: Callable[..., subprocess.Popen[str]],
) -> None:
    """What it sends is of now; the frames that nobody took are holes in `seq`."""
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        port = pull.bind_to_random_port("tcp://127.0.0.1")
        device(sys.executable, "-P", EXAMPLE, to := f"tcp://127.0.0.1:{port}")
        assert pull.poll(round(PATIENCE_S * 1000))
        pull.unbind(to)
    time.sleep(2.0)
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        bound_ns = time.time_ns()
        pull.bind(to)
        assert pull.poll(round(PATIENCE_S * 1000))
        head = msgpack.unpackb(pull.recv_multipart()[0])
    assert head["stamp_ns"] > bound_ns - 1e9
    assert head["seq"] > 0


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two seconds of a bright post that walks through a still, speckled scene, 30 a second."""
    path = tmp_path / "walk.mp4"
    scene = np.random.default_rng(0).integers(60, 90, (180, 320, 3), np.uint8)
    with av.open(path, "w") as out:
        stream = out.add_stream("mjpeg", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuvj420p"
        for nth in range(60):
            picture = scene.copy()
            picture[60:140, 4 * nth + 20 : 4 * nth + 40] = 250
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path


def test_a_radar_and_a_camera_of_their_own_processes_pair(
    start: Callable[..., Any], device: Callable[..., subprocess.Popen[str]], video: Path
) -> None:
    """Samples over UDP as a DCA1000 sends them, a video file as the camera: one site."""
    daemon = start("--no-learn")
    ready = daemon.wait_for("ready")
    to = ["--site", "gate", "--to", ready["intake"]]
    camera = device(*RVSENSE, "device", "camera", video, *to)
    listen = ["--listen", "127.0.0.1:0", "--announce"]
    radar = device(*RVSENSE, "device", "radar", *listen, *to)
    assert radar.stdout is not None
    address = json.loads(radar.stdout.readline())["listening"]
    device(*RVSENSE, "device", "dca1000", "--to", address, "--rate", "30")
    site_of(ready["http"], "gate", pairs=30)
    seen, heard = ended(camera), ended(radar)
    assert seen["sent"]["camera"] > 30
    assert heard["sent"]["radar"] > 30
    status = daemon.stop()
    assert status["serving"]["balanced"]
    assert status["serving"]["radar"] == heard["sent"]["radar"]


def test_a_laptop_sends_a_camera_and_a_radar_that_says_it_is_simulated(
    start: Callable[..., Any], device: Callable[..., subprocess.Popen[str]], video: Path
) -> None:
    """Both streams of one program pair, and every answer carries the radar's confession."""
    daemon = start("--no-learn")
    ready = daemon.wait_for("ready")
    with subscribe(ready["results"], site="desk", timeout_s=PATIENCE_S) as results:
        to = ["--site", "desk", "--to", ready["intake"]]
        laptop = device(*RVSENSE, "device", "laptop", video, *to)
        sources = [result.source for result, _ in zip(results, range(30), strict=False)]
    assert {source["radar"] for source in sources} == {"simulated"}
    assert max(source["echoes"] for source in sources) >= 1
    site_of(ready["http"], "desk", pairs=20)
    figures = ended(laptop)
    assert figures["sent"]["radar"] == figures["sent"]["camera"] > 20
