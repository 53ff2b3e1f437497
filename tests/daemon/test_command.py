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


def test_a_thread_that_still_computes_does_not_spoil_the_end(tmp_path: Path) -> None:
    """As one that looks at a new model: exit 0 and all that was said, where torch would abort."""
    command = [sys.executable, "-P", "-c", BUSY, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "last words\n"), done.stderr


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
