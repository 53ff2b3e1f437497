"""`rvsense daemon` as a command: what it does around the daemon itself."""

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rvsense.cli import main
from rvsense.daemon import service

BUSY = """
import sys, threading, time, torch
from rvsense.cli import main
from rvsense.daemon import service

def compute():
    torch.set_num_threads(1)
    while True:
        torch.conv2d(torch.randn(8, 16, 64, 64), torch.randn(16, 16, 3, 3)).sum().item()

def run(*_, **__):
    threading.Thread(target=compute, daemon=True).start()
    time.sleep(0.3)
    print("last words")
    return 0

service.run = run
sys.exit(main(["daemon", "--state-dir", sys.argv[1]]))
"""

READY = """
import gc, os, signal, sys
from rvsense.cli import main
from rvsense.daemon import service

def say_ready(_):
    looked_through = len(gc.get_objects())  # which leaves out what is frozen
    print(gc.get_freeze_count() > 20 * looked_through, file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)

service._say_ready = say_ready
sys.exit(main(["daemon", "--no-learn", *sys.argv[1:]]))
"""


def test_a_thread_that_still_computes_does_not_spoil_the_end(tmp_path: Path) -> None:
    """As one that looks at a new model: exit 0 and all that was said, where torch would abort."""
    command = [sys.executable, "-P", "-c", BUSY, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "last words\n"), done.stderr


def test_no_collection_looks_through_torch_while_frames_come(tmp_path: Path) -> None:
    """One that does stops every thread for as long as some frames are apart."""
    places = [
        f"--intake=ipc://{tmp_path}/i",
        f"--results=ipc://{tmp_path}/r",
        f"--requests=ipc://{tmp_path}/q",
        "--http=127.0.0.1:0",
        f"--state-dir={tmp_path}/state",
    ]
    done = subprocess.run(
        [sys.executable, "-P", "-c", READY, *places],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "True" in done.stderr.splitlines(), done.stderr


def test_the_end_looks_at_nothing_once_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All of torch in a last collection would hold up whoever waits for the end."""
    seen: list[int] = []

    def run(*_: Any, **__: Any) -> int:
        seen.append(gc.get_freeze_count())
        return 5

    monkeypatch.setattr(service, "run", run)
    try:
        assert main(["daemon", "--state-dir", str(tmp_path)]) == 5
        assert gc.get_freeze_count() > seen[0]
    finally:
        gc.unfreeze()
