"""What libraries say by themselves does not reach the log, and all else does."""

import os
import threading

import pytest

from rvsense.errors import FrameError
from rvsense.learner import images
from rvsense.learner.hush import STDERR, hushed, own_stderr
from tests.fuzz.golden import jpeg


def test_a_damaged_image_says_nothing_by_itself(capfd: pytest.CaptureFixture[str]) -> None:
    """libjpeg has a line of each, as it is decoded or as it fails."""
    whole = jpeg(64, 64)
    for data in (
        whole[:-200] + b"\xff\xd9",
        whole[:300],
        whole.replace(b"\xff\xda", b"\xff\xfe", 1),
    ):
        try:
            images.decode_image("jpeg", data, None)
        except FrameError:
            continue
    assert capfd.readouterr().err == ""
    os.write(STDERR, b"as ever\n")
    assert capfd.readouterr().err == "as ever\n"


def test_what_is_meant_to_be_said_is(capfd: pytest.CaptureFixture[str]) -> None:
    """Through a stream of its own, also meanwhile; and after an error within."""
    with own_stderr() as stream:
        with hushed():
            os.write(STDERR, b"a library's\n")
            stream.write("ours\n")
        with pytest.raises(ValueError, match="within"), hushed():
            raise ValueError("within")
    os.write(STDERR, b"later\n")
    assert capfd.readouterr().err == "ours\nlater\n"


def test_several_threads_leave_it_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """However they overlap; and no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd"))

    def work() -> None:
        for _ in range(200):
            with hushed():
                os.write(STDERR, b"x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(STDERR, b"as ever\n")
    assert capfd.readouterr().err == "as ever\n"
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_standard_error_nothing_is_wrong() -> None:
    """A process may have been started with it closed."""
    kept = os.dup(STDERR)
    os.close(STDERR)
    try:
        with hushed():
            said = "nothing"
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
    assert said == "nothing"
