"""The learner, the disk and files on disk, in small counts; and what scenarios are made of."""

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from rvsense.learner import checkpoint
from tests.chaos import damage, report, strikes
from tests.chaos.__main__ import every, main
from tests.chaos.report import Report, at_least, at_most, exactly, told
from tests.chaos.saves import Saves, Seen, leftovers, step_of, whole
from tests.whole.running import simulate

Chaos = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    return simulate(tmp_path_factory.mktemp("data") / "cruw", sequences=4)


@pytest.fixture
def chaos(capsys: pytest.CaptureFixture[str]) -> Chaos:
    """`chaos(name, *options)`: its report, after an exit status of 0; skips where it did."""

    def run(name: str, *options: str) -> dict[str, Any]:
        status = main([name, "--quick", "--json", *options])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)[name]
        if found["skipped"]:
            pytest.skip(found["skipped"])
        assert status == 0, json.dumps(found, indent=1)
        return found

    return run


@pytest.mark.process
@pytest.mark.timeout(600)
def test_a_learner_killed_while_it_saves_loses_nothing_that_it_announced(chaos: Chaos) -> None:
    """A chain of kills: each start is on the newest checkpoint, and no leftover is in its way."""
    chaos("kill-save", "--victim", "learner", "--runs", "2")


@pytest.mark.process
@pytest.mark.timeout(600)
def test_a_state_directory_without_room_costs_learning_alone(chaos: Chaos, played: Path) -> None:
    """1 MB: models and checkpoints fail by name and number, every frame is answered, exit 0."""
    chaos("tmpfs", "--data", str(played))


@pytest.mark.process
@pytest.mark.timeout(600)
def test_a_learner_that_hangs_is_replaced_and_costs_no_result(chaos: Chaos, played: Path) -> None:
    """SIGSTOP: said, killed, counted, started again after its pause, from its checkpoint."""
    chaos("learner-lost", "--act", "hung", "--data", str(played))


@pytest.mark.process
@pytest.mark.timeout(600)
def test_a_damaged_file_is_named_and_done_without(chaos: Chaos, played: Path) -> None:
    """Each kind of file a few times, and one whole daemon: nothing foreign is ever used."""
    chaos("corrupt", "--trials", "28", "--data", str(played))


def test_every_module_is_a_scenario() -> None:
    """What the command line lists can be run; all have a name of their own."""
    assert {"kill-save", "tmpfs", "corrupt", "learner-lost"} <= every().keys()
    for name, scenario in every().items():
        scenario.add_options(argparse.ArgumentParser(prog=name))
        assert scenario.HELP


def test_a_broken_bound_is_shown_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the table, in the JSON, and in the exit status; what only tells breaks nothing."""
    rows = [told("seen", 5), at_least("a", 2, 2), at_most("b", 2.5, 2.5, " s"), exactly("c", 3, 3)]
    for more, status in (([], 0), ([at_least("d", 1, 2)], 1), ([exactly("e", "x", "y")], 1)):
        made = Report([*rows, *more])
        monkeypatch.setattr(every()["tmpfs"], "run", lambda _, made=made: made)
        assert main(["tmpfs"]) == status
        assert ("NO" in capsys.readouterr().out) == bool(status)
        assert main(["tmpfs", "--json"]) == status
        assert json.loads(capsys.readouterr().out)["tmpfs"]["kept"] is not bool(status)
    assert report.Report(skipped="no root here").as_text() == "skipped: no root here"


@pytest.mark.parametrize("size", [1, 2, 63, 700])
def test_damage_changes_its_file_and_no_other(tmp_path: Path, size: int) -> None:
    """Whatever is drawn; the file that the copy was made of stays as it is."""
    (tmp_path / "whole").mkdir()
    for name in ("a", "b"):
        (tmp_path / "whole" / name).write_bytes(bytes(size))
    random_, kinds = random.Random(size), set()
    for number in range(120):
        drawn = damage.draw(random_, tmp_path / "whole", "a")
        folder = damage.copy(tmp_path / "whole", tmp_path / str(number))
        drawn.apply(folder)
        path = folder / "a"
        assert not path.exists() if drawn.kind == "gone" else path.read_bytes() != bytes(size)
        assert (folder / "b").read_bytes() == bytes(size)
        assert (tmp_path / "whole" / "a").read_bytes() == bytes(size)
        kinds.add(drawn.kind)
    assert kinds == {"flip", "cut", "gone"}  # zeros of zeros would change nothing


def test_a_save_is_seen_in_its_stages(tmp_path: Path) -> None:
    """Folder begun, renamed, announced; what is on disk then is whole, and of that step."""
    saves = Saves(tmp_path)
    path = checkpoint.save(
        tmp_path,
        fingerprint="run",
        values={"counters": {"step": 7}},
        tensors={"weights": torch.zeros(2)},
        tables={},
        keep=2,
    )
    assert [seen.what for seen in saves.read()] == ["aside", "renamed"]
    assert saves.stage == "renamed"
    saves.announced(1)
    assert saves.stage == ""
    saves.close()
    assert (step_of(path), whole(path), leftovers(tmp_path)) == (7, True, [])
    (path / "tensors.safetensors").write_bytes(b"torn")
    assert not whole(path)


def test_aims_meet_every_stage_of_a_save(tmp_path: Path) -> None:
    """Most are within one; each knows when to strike once it has seen two saves."""
    random_, saves = random.Random(0), Saves(tmp_path)
    drawn = [strikes.draw(random_) for _ in range(300)]
    assert {aim.what for aim in drawn} == set(strikes.AIMS)
    assert sum(aim.what not in ("any", "start") for aim in drawn) > 200
    stages: tuple[Literal["chunks", "aside", "renamed"], ...] = ("chunks", "aside", "renamed")
    for aim in drawn:
        aim.started(0.0, usual_s=4.0)
        aim.ready(5.0)
        for at, what in enumerate(stages * 2, start=10):
            aim.see(Seen(what, float(at)), saves)
        assert aim.at is not None
        first, last = {"start": (0, 4), "any": (5, 5 + strikes.ANY_WITHIN_S)}.get(
            aim.what, (10, 16)
        )
        assert first <= aim.at <= last
    saves.close()
