"""What cannot work is refused with one clear line and the right exit status."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq

pytestmark = pytest.mark.process


def rvsense(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-P", "-m", "rvsense", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, env=environment
    )


def assert_refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One line on standard error that holds the words, and this exit status."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert done.returncode == status, done.stderr
    assert len(lines) == 1, done.stderr
    assert all(word in lines[0] for word in words), lines[0]


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Intake or HTTP in use: exit 78, naming the address and the flag."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        free = ["--results", "tcp://127.0.0.1:*", "--requests", "tcp://127.0.0.1:*"]
        done = rvsense(
            "daemon", *free, "--intake", f"tcp://{at}", "--http", "127.0.0.1:0",
            "--state-dir", tmp_path,
        )  # fmt: skip
        assert_refused(done, 78, at, "in use", "--intake")
        done = rvsense(
            "daemon", *free, "--intake", "tcp://127.0.0.1:*", "--http", at,
            "--state-dir", tmp_path,
        )  # fmt: skip
        assert_refused(done, 78, at, "in use", "--http")


def test_a_state_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    """Exit 78 with the path and the remedy."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = rvsense("daemon", "--state-dir", blocked / "state")
    assert_refused(done, 78, str(blocked), "--state-dir")


def test_a_folder_that_is_no_dataset_says_what_was_looked_for(tmp_path: Path) -> None:
    """`rvsense replay` and `rvsense daemon --replay` both exit 2 and name the folder."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = rvsense("replay", empty, "--to", "tcp://127.0.0.1:1")
    assert done.returncode == 2
    assert str(empty) in done.stderr
    assert "RADAR_RA_H" in done.stderr
    done = rvsense("daemon", "--replay", empty, "--state-dir", tmp_path / "s", "--no-learn")
    assert done.returncode == 2, done.stderr
    assert "RADAR_RA_H" in done.stderr


def test_missing_teacher_weights_are_named_before_anything_starts(tmp_path: Path) -> None:
    """The paper preset without its weights: exit 78, the file, the command, the way without."""
    environment = {"TORCH_HOME": str(tmp_path / "no-cache")}
    command = [sys.executable, "-P", "-m", "rvsense", "daemon", "--preset", "paper"]
    done = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "s")],
        check=False, capture_output=True, text=True, timeout=120, env=os.environ | environment,
    )  # fmt: skip
    assert_refused(done, 78, "vgg16", "edge")
    assert not (tmp_path / "s" / "checkpoints").exists()


def test_cuda_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """learning.device = cuda without CUDA: exit 78."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    config = tmp_path / "c.toml"
    config.write_text('[learning]\ndevice = "cuda"\n')
    done = rvsense("daemon", "--config", config, "--state-dir", tmp_path / "s")
    assert_refused(done, 78, "learning.device", "cuda")


def test_two_daemons_do_not_share_a_state_directory(
    tmp_path: Path, start: Callable[..., Any]
) -> None:
    """The second is refused and the first goes on."""
    first = start("--no-learn", state=tmp_path / "s")
    first.wait_for("ready")
    done = rvsense("daemon", "--no-learn", "--state-dir", tmp_path / "s")
    assert_refused(done, 78, "in use by another daemon")
    first.stop()


def test_messages_out_of_form_are_counted_and_hurt_nothing(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Garbage between good frames: each kind counted by reason, every good frame answered."""
    daemon = start("--replay", cruw, "--speed", "10", "--no-learn", "--exit-at-end")
    intake = daemon.wait_for("ready")["intake"]
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.connect(intake)
        for parts in ([b""], [b"\xc1"], [b"\x80"], [b"\x81\xa1v\x01"], [b"a"] * 4):
            push.send_multipart(parts)
        status = daemon.finish()
        push.linger = 0
    rejected = status["intake"]["rejected"]
    assert sum(rejected.values()) == 5
    assert set(rejected) == {"bad_header", "bad_version", "bad_kind", "bad_parts"}
    assert status["serving"]["answered"] == status["serving"]["radar"] == 144
