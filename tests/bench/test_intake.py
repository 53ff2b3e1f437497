"""Both sides of the intake's comparison take the same messages, and the daemon loses none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from bench.feeding import CHIRPS, LAST_SITE, Daemon, Run, Sending, messages
from bench.intake import Bare, Intake
from rvsense import wire
from rvsense.frames import CameraFrame, RadarFrame

INSTANTS = 40


@pytest.fixture
def sending() -> Iterator[Sending]:
    """The process that sends."""
    process = Sending()
    yield process
    process.close()


@pytest.mark.parametrize("camera", [True, False])
def test_messages_are_valid_frames_in_the_order_of_capture(camera: bool) -> None:
    """Of the real shape; the last is of the site whose answer ends a run."""
    run = Run(INSTANTS, camera, epoch=3)
    *frames, last = (wire.decode(message) for message in messages(run))
    assert len(frames) == run.messages == INSTANTS * (1 + camera)
    assert last.site == LAST_SITE
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(stamps)
    for k, frame in enumerate(frames):
        assert isinstance(frame, CameraFrame if camera and k % 2 else RadarFrame)
        assert frame.epoch == 3
        if isinstance(frame, RadarFrame):
            assert frame.heatmap.shape == (CHIRPS, 128, 128, 2)


@pytest.mark.process
def test_what_is_sent_is_what_was_made(sending: Sending) -> None:
    """Byte for byte, all of it, in order."""
    run = Run(INSTANTS, camera=True)
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        sending.prepare(run, f"tcp://127.0.0.1:{port}")
        sending.start()
        for made in messages(run):
            assert socket.recv_multipart() == [bytes(part) for part in made]
        assert socket.poll(0) == 0


@pytest.mark.process
def test_a_daemon_takes_in_what_the_bare_loop_counts(sending: Sending, tmp_path: Path) -> None:
    """Every frame in the books, every radar frame answered, pairs at the learner; twice."""
    run = Run(INSTANTS, camera=True)
    daemon = Daemon(tmp_path)
    try:
        bare, intake = Bare(sending), Intake(sending, daemon)
        for _ in range(2):
            assert bare.rate_hz(run) > 0
            assert intake.rate_hz(run) > 0
    finally:
        daemon.close()
    status = intake.status
    assert status["intake"] == {
        "received": {"radar": 2 * (INSTANTS + 1), "camera": 2 * INSTANTS},
        "rejected": {},
    }
    assert status["serving"]["answered"] + sum(status["serving"]["dropped"].values()) == 2 * (
        INSTANTS + 1
    )
    assert INSTANTS <= status["pairing"]["pairs"] <= 2 * INSTANTS
    assert status["learner"]["pairs"]["sent_on"] > 0
