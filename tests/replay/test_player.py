"""The player against a real PULL socket: everything arrives, in order, and is counted."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from rvsense.errors import UsageError
from rvsense.frames import AnyFrame, CameraFrame, LabelFrame, RadarFrame
from rvsense.replay.layouts import open_dataset
from rvsense.replay.player import PlayerSettings, main, play
from rvsense.replay.report import LINES_PER_REASON, Tally
from rvsense.wire import decode

KINDS = {RadarFrame: "radar", CameraFrame: "camera", LabelFrame: "label"}
Rod2021 = Callable[..., Path]


class Receiver:
    """A PULL socket; `take` decodes what has arrived until it is silent."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.set_hwm(1)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"

    def take(self, count: int, pause_s: float = 0.0) -> list[AnyFrame]:
        """The next `count` frames, fewer when nothing comes for ten seconds."""
        frames: list[AnyFrame] = []
        while len(frames) < count and self._socket.poll(10_000):
            frames.append(decode(self._socket.recv_multipart()))
            time.sleep(pause_s)
        return frames

    def silent(self) -> bool:
        """Nothing more has come."""
        return not self._socket.poll(100)

    def close(self) -> None:
        """Close without waiting."""
        self._context.destroy(linger=0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a port of its own."""
    with contextlib.closing(Receiver()) as one:
        yield one


class Running:
    """A player on a thread, and its tally once it has ended."""

    def __init__(self, root: Path, to: str, **options: Any) -> None:
        self.stop = threading.Event()
        self._tally: Tally | None = None
        settings = PlayerSettings(path=root, to=to, **options)

        def work() -> None:
            self._tally = play(open_dataset(root), settings, self.stop)

        self._thread = threading.Thread(target=work)
        self._thread.start()

    def join(self) -> Tally:
        """Wait for the end."""
        self._thread.join(20)
        assert self._tally is not None
        return self._tally


def _kinds(frames: list[AnyFrame]) -> Counter[str]:
    return Counter(KINDS[type(frame)] for frame in frames)


@pytest.mark.parametrize("speed", [None, 20.0])
def test_everything_arrives_in_order(
    speed: float | None, rod2021: Rod2021, receiver: Receiver
) -> None:
    """At any speed the receiver gets every frame of every sequence, as the report says."""
    rod2021("2019_04_09_A", labels="")
    rod2021("2019_04_09_B", labels=None, images=[1])
    root = rod2021("2019_04_30_C", split="test", labels=None)
    player = Running(root, receiver.endpoint, speed=speed, labels=1.0)
    frames = receiver.take(16)
    tally = player.join()
    assert receiver.silent()
    assert _kinds(frames) == tally.sent == {"radar": 9, "camera": 4, "label": 3}
    assert (tally.rejected, tally.loops, tally.delivered) == ({}, 1, True)
    assert [frame.source["sequence"][-1] for frame in frames] == [*"AAAAAAAAA", *"CCC", *"BBBB"]
    for _, stream in itertools.groupby(frames, lambda frame: (frame.site, frame.epoch)):
        stamps = [frame.stamp_ns for frame in stream]
        assert stamps == sorted(stamps)
    assert [frame.epoch for frame in frames] == [0] * 12 + [1] * 4


def test_label_comes_right_behind_its_radar_frame(rod2021: Rod2021, receiver: Receiver) -> None:
    """Radar, its label, the image; the label carries the frame's stamp and its objects."""
    root = rod2021(frames=[0], labels="0 5.0 0.1 cyclist\n0 7.0 0.2 car\n")
    player = Running(root, receiver.endpoint, speed=None, labels=1.0)
    radar, label, camera = receiver.take(3)
    player.join()
    assert isinstance(radar, RadarFrame)
    assert isinstance(label, LabelFrame)
    assert isinstance(camera, CameraFrame)
    assert radar.stamp_ns == label.stamp_ns == camera.stamp_ns == 0
    assert [item.label for item in label.objects] == ["cyclist", "car"]
    assert label.purpose == "train"
    assert radar.heatmap[2, 0, 0].tolist() == [128.0, 128.0]
    assert camera.image == b"\xff\xd8\xff0\xff\xd9"


def test_score_sends_the_other_annotations(rod2021: Rod2021, receiver: Receiver) -> None:
    """What is not chosen to be learned is sent for comparison alone."""
    root = rod2021(frames=range(8), labels="")
    player = Running(root, receiver.endpoint, speed=None, labels=0.5, score=True)
    frames = receiver.take(24)
    player.join()
    purposes = Counter(frame.purpose for frame in frames if isinstance(frame, LabelFrame))
    assert set(purposes) == {"train", "score"}
    assert purposes.total() == 8


def test_slow_receiver_loses_nothing(rod2021: Rod2021, receiver: Receiver) -> None:
    """In lock-step a receiver slower than the disk still gets every frame."""
    root = rod2021(frames=range(60), images=[], labels=None)
    player = Running(root, receiver.endpoint, speed=None)
    frames = receiver.take(60, pause_s=0.005)
    assert [frame.seq for frame in frames] == list(range(60))
    assert player.join().sent == {"radar": 60}


def test_loop_goes_on_with_new_epochs(rod2021: Rod2021, receiver: Receiver) -> None:
    """A loop starts a new epoch and counts on, until it is stopped."""
    root = rod2021(images=[], labels=None)
    player = Running(root, receiver.endpoint, speed=None, loop=True)
    frames = receiver.take(7)
    player.stop.set()
    tally = player.join()
    assert [(frame.epoch, frame.seq) for frame in frames] == [(i // 3, i) for i in range(7)]
    assert tally.sent["radar"] >= 7
    assert tally.loops >= 2


def test_bad_frames_cost_only_themselves(
    rod2021: Rod2021, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damage is counted by reason and named on stderr; every other frame is sent."""
    root = rod2021(frames=range(6), labels="0 5 0 car\n1 5 0 tram\n5 5 0 car\n")
    folder = root / "sequences" / "train" / "2019_04_09_BMS1000"
    (folder / "RADAR_RA_H" / "000001_0064.npy").unlink()
    (folder / "RADAR_RA_H" / "000002_0128.npy").write_bytes(b"\x93NUMPY")
    np.save(folder / "RADAR_RA_H" / "000003_0192.npy", np.full((128, 128, 2), np.nan, np.float32))
    image = folder / "IMAGES_0" / "0000000004.jpg"
    image.write_bytes(image.read_bytes()[:-2])
    player = Running(root, receiver.endpoint, speed=None, labels=1.0)
    frames = receiver.take(11)
    tally = player.join()
    assert receiver.silent()
    assert tally.rejected == {
        "bad_annotation": 1,
        "missing_chirp": 1,
        "bad_npy": 1,
        "not_finite": 1,
        "truncated_jpeg": 1,
    }
    radar = [frame.seq for frame in frames if isinstance(frame, RadarFrame)]
    camera = [frame.seq for frame in frames if isinstance(frame, CameraFrame)]
    labelled = [frame.source["frame_id"] for frame in frames if isinstance(frame, LabelFrame)]
    assert (radar, camera, labelled) == ([0, 4, 5], [0, 1, 2, 3, 5], [0, 4, 5])
    said = capsys.readouterr().err
    for name in ("000001_0064.npy", "000002_0128.npy", "000003_0192.npy", "0000000004.jpg", ":2:"):
        assert name in said


def test_rejections_do_not_flood_the_terminal() -> None:
    """After twenty lines of one reason the rest is counted; other reasons still speak."""
    tally = Tally(speed=None)
    said = [tally.count_rejected("bad_npy", f"{n}.npy") for n in range(50)]
    assert sum(line is not None for line in said) == LINES_PER_REASON
    assert "counted only" in (said[LINES_PER_REASON - 1] or "")
    assert tally.rejected["bad_npy"] == 50
    assert tally.count_rejected("bad_jpeg", "a.jpg") is not None


def test_rate_is_reported_against_the_one_wanted() -> None:
    """Rates come from the first and the last radar frame, wanted from their source times."""
    tally = Tally(speed=2.0)
    for frame in range(31):
        tally.count_sent("radar", play_ns=frame * 10**9 // 30, now_ns=7 + frame * 10**9 // 50)
    report = json.loads(tally.as_json())
    assert (report["wanted_hz"], report["rate_hz"]) == (60.0, 50.0)
    assert Tally(speed=None).wanted_hz is None
    assert Tally(speed=1.0).rate_hz is None


@pytest.mark.parametrize("endpoint", ["", "nonsense", "tcp://127.0.0.1", "udp7://a:1"])
def test_malformed_endpoint_is_a_usage_error(endpoint: str, rod2021: Rod2021) -> None:
    """An endpoint that ZeroMQ cannot take is named, and nothing starts."""
    settings = PlayerSettings(path=rod2021(), to=endpoint)
    with pytest.raises(UsageError, match=r"expected") as caught:
        main(settings)
    assert repr(endpoint) in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 0.0009},
        {"speed": 1000.5},
        {"speed": -1.0},
        {"speed": float("nan")},
        {"labels": 1.5},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    """Speed and fraction are checked before a dataset is opened."""
    with pytest.raises(UsageError, match="expected"):
        PlayerSettings(path="nowhere", to="tcp://127.0.0.1:1", **wrong)  # type: ignore[arg-type]


def _process(
    root: Path, to: str, *, loop: bool, speed: float | None, until_pid: int | None = None
) -> subprocess.Popen[str]:
    settings = f"{str(root)!r}, {to!r}, {speed}, {loop}, json=True, until_pid={until_pid}"
    code = (
        "import sys; from rvsense.replay.player import PlayerSettings, main; "
        f"sys.exit(main(PlayerSettings({settings})))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_run_with_its_report(
    number: signal.Signals, rod2021: Rod2021, receiver: Receiver
) -> None:
    """A looping player stops at a signal, exits 0, and its last line is the report."""
    player = _process(rod2021(), receiver.endpoint, loop=True, speed=1.0)
    assert len(receiver.take(5)) == 5
    player.send_signal(number)
    out, _ = player.communicate(timeout=10)
    assert player.returncode == 0
    report = json.loads(out.splitlines()[-1])
    assert report["sent"]["radar"] >= 2
    assert report["wanted_hz"] == pytest.approx(30, abs=0.01)


@pytest.mark.process
def test_player_without_a_receiver_can_be_stopped(rod2021: Rod2021) -> None:
    """With nobody there the player waits, holding everything, until a signal ends it."""
    player = _process(rod2021(), "tcp://127.0.0.1:9", loop=False, speed=None)
    with pytest.raises(subprocess.TimeoutExpired):
        player.communicate(timeout=1.5)
    player.send_signal(signal.SIGINT)
    out, _ = player.communicate(timeout=10)
    assert player.returncode == 0
    assert json.loads(out)["delivered"] is False


@pytest.mark.process
def test_player_ends_with_the_process_it_belongs_to(rod2021: Rod2021, receiver: Receiver) -> None:
    """A player whose daemon was killed stops by itself; its own parent keeps it going."""
    orphan = _process(rod2021(), receiver.endpoint, loop=True, speed=1.0, until_pid=1)
    child = _process(rod2021(), receiver.endpoint, loop=True, speed=1.0, until_pid=os.getpid())
    orphan.communicate(timeout=10)
    assert orphan.returncode == 0
    with pytest.raises(subprocess.TimeoutExpired):
        child.communicate(timeout=0.7)
    child.terminate()
    child.communicate(timeout=10)
    assert child.returncode == 0
