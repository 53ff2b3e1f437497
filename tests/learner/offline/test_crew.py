"""The crew: each unit once, in the order of its needs, whoever does it and whatever ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rvsense.errors import RvsenseError
from rvsense.learner.offline.crew import Unit, Work, result_path, run_units
from tests.learner.offline.toywork import Die, Draw, Fail, broken_context, no_context

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0
INTERRUPTED = """
import sys
from pathlib import Path
from rvsense.learner.offline.crew import Unit, run_units
from tests.learner.offline.toywork import Draw, Linger, no_context

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    units = [Unit("first", Draw(1, folder / "log"), 1.0),
             Unit("second", Linger(folder / "pid"), 1.0, ("first",))]
    try:
        run_units(units, folder / "results", no_context, jobs=2, progress=lambda _: None)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def unit(name: str, work: Work[None], *needs: str) -> Unit[None]:
    """A unit of cost 2."""
    return Unit(name, work, 2.0, needs)


def run(units: list[Unit[None]], folder: Path, jobs: int = 1, **changes: Any) -> dict[str, Any]:
    """All results."""
    options = {"open_context": no_context, "progress": lambda _: None} | changes
    return run_units(units, folder, jobs=jobs, **options)


def test_units_run_once_after_what_they_need(tmp_path: Path) -> None:
    """The listed order is turned round by needs; a second call does nothing again."""
    log, told = tmp_path / "log", list[float]()
    units = [
        unit("last", Draw(3, log), "middle"),
        unit("middle", Draw(2, log), "first"),
        unit("first", Draw(1, log)),
    ]
    found = run(units, tmp_path / "results", progress=told.append)
    assert log.read_text().split() == ["1", "2", "3"]
    assert told[0] == 0.0
    assert sum(told) == pytest.approx(6.0)
    told.clear()
    assert run(units, tmp_path / "results", progress=told.append) == found
    assert log.read_text().split() == ["1", "2", "3"]
    assert told == [6.0]


def test_only_what_is_missing_is_done_again_and_comes_out_the_same(tmp_path: Path) -> None:
    """Results do not depend on the number of processes, nor on what was done before."""
    log = tmp_path / "log"
    units = [unit(str(n), Draw(n, log)) for n in range(5)]
    alone = run(units, tmp_path / "alone")
    log.unlink()
    result_path(tmp_path / "alone", "3").unlink()
    assert run(units, tmp_path / "alone") == alone
    assert log.read_text().split() == ["3"]
    log.unlink()
    assert run(units, tmp_path / "together", jobs=2) == alone
    assert sorted(log.read_text().split()) == ["0", "1", "2", "3", "4"]
    one, two = (result_path(tmp_path / run, "4").read_bytes() for run in ("alone", "together"))
    assert one == two


def test_a_failing_unit_is_named_with_its_traceback_and_the_rest_is_kept(tmp_path: Path) -> None:
    """What was done before stays done."""
    units = [unit("good", Draw(1, tmp_path / "log")), unit("bad", Fail(), "good")]
    with pytest.raises(RvsenseError, match=r"(?s)bad failed:.*one part of nothing") as raised:
        run(units, tmp_path)
    assert "toywork.py" in str(raised.value)
    assert result_path(tmp_path, "good").exists()
    assert not result_path(tmp_path, "bad").exists()


def test_a_process_that_dies_is_reported(tmp_path: Path) -> None:
    """Without waiting for it for ever, and with what to do."""
    with pytest.raises(RvsenseError, match=r"ended with -9; was memory short\? .*--jobs"):
        run([unit("victim", Die())], tmp_path)


def test_a_process_that_cannot_begin_is_reported(tmp_path: Path) -> None:
    """Whether or not it has been given a unit by then."""
    log = tmp_path / "log"
    units = [unit("first", Draw(1, log)), unit("second", Draw(2, log), "first")]
    with pytest.raises(RvsenseError, match=r"(?s) failed:.*the samples have gone"):
        run(units, tmp_path, jobs=2, open_context=broken_context)


def test_needs_that_nobody_meets_are_named(tmp_path: Path) -> None:
    """An error in a plan is no wait without end."""
    with pytest.raises(RvsenseError, match=r"nobody does: .*'nothing'"):
        run([unit("one", Draw(1, tmp_path / "log"), "nothing")], tmp_path)


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_an_interrupted_run_ends_quietly_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C reaches the whole group; SIGKILL the first process alone. Results stay."""
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    pid_file = tmp_path / "pid"
    wait_until(pid_file.exists)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.kill()
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in errors
    assert "KeyboardInterrupt" not in errors
    worker = int(pid_file.read_text())
    wait_until(lambda: not alive(worker))
    assert result_path(tmp_path / "results", "first").exists()


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(reached: Any) -> None:
    """Poll; only a hang runs into the limit."""
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)
