"""Some thousands of messages to everything that listens or reads; `make fuzz` sends millions."""

import argparse
from pathlib import Path

import pytest

from tests.fuzz.__main__ import Target, alone, every, main, run
from tests.fuzz.drive import BrokenError, Case, drive, number
from tests.fuzz.mutate import mutated

LIVE = ("live", "requests", "http", "names")
"""With a real daemon at the other end."""
ALONE = ("files",)
"""Bound by a peak of memory, and no process forgets an earlier one."""


def marked(name: str, target: Target) -> object:
    """A parameter; those that start a process say so."""
    marks = [pytest.mark.process] if name in LIVE else []
    return pytest.param(target, id=name, marks=marks)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "target", [marked(*item) for item in every().items() if item[0] not in ALONE]
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_no_bound_is_broken(target: Target) -> None:
    """Each target's table: what was taken, what was refused and why, what must hold meanwhile."""
    report = run(target, seed=0, messages=target.QUICK)
    assert report.kept, report.as_text()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ALONE)
def test_no_bound_is_broken_in_a_process_of_its_own(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """As `all` runs it, whatever this process held before."""
    held = bytearray(10**9)
    del held
    status = alone(name, argparse.Namespace(seed=0, quick=True, messages=None, only=None))
    assert status == 0, capfd.readouterr().out
    assert "memory at its highest" in capfd.readouterr().out


def test_the_same_seed_makes_the_same_input() -> None:
    """Whatever came before it: a failure can be tried again alone."""
    data = bytes(range(200))
    alone = mutated(data, number(7, 5))
    for index in range(5):
        mutated(data, number(7, index))
    assert mutated(data, number(7, 5)) == alone != mutated(data, number(8, 5))


def test_a_failure_is_kept_whole_and_told_how_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes lie in a file; ten of them end the drive, and a report that is not kept."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    options = argparse.Namespace(messages=50, seed=3, only=None)

    def feed(case: Case) -> str:
        if case.parts[0][0] % 2:
            raise BrokenError("odd")
        return "even"

    done = drive(options, "toy", lambda rng: Case("made", [bytes([rng.randrange(256)])]), feed)
    assert len(done.failures) == 10
    assert done.tried < 50
    assert not done.report().kept
    words = done.failures[0].split()
    index = int(words[words.index("--only") + 1])
    (path,) = {Path(failure.split()[-1]) for failure in done.failures[:1]}
    assert bytes.fromhex(path.read_text()) == bytes([number(3, index).randrange(256)])


@pytest.mark.parametrize("status", [1, -9])
def test_one_that_fails_or_is_killed_fails_all_and_the_others_run(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory, the kernel ends a target by a signal: no status above 0 says so."""
    ran: list[str] = []

    def alone(name: str, _: argparse.Namespace) -> int:
        ran.append(name)
        return status if name == "decoder" else 0

    monkeypatch.setattr("tests.fuzz.__main__.alone", alone)
    assert main(["all"]) == 1
    assert ran == list(every())


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, with those that there are."""
    with pytest.raises(SystemExit) as refused:
        main(["nothing"])
    assert refused.value.code == 2
    assert "decoder" in capsys.readouterr().err
