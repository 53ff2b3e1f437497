"""The runner knows every command, and writes between the marks of a document alone."""

from pathlib import Path

import pytest

import bench.__main__ as runner
from bench.sides import Goal, Row, Setting

HELPERS = {"__init__", "__main__", "sides", "cached"}
SETTING = Setting("2026-01-01", "a machine", "abc", "3.11", "1 each", "0.1")
ROW = Row("steps", (3.0,), (1.0,), "per s", "a loop", Goal("at least", 3))


def test_every_command_is_known() -> None:
    """A module that nobody lists is run by nobody."""
    modules = Path(runner.__file__).parent.glob("*.py")
    commands = {path.stem for path in modules if "def main(" in path.read_text()} - HELPERS
    assert commands <= set(runner.COMPARISONS) | set(runner.EXPERIMENTS)


def test_rows_stand_under_their_heading_and_setting() -> None:
    """A comparison without rows, for lack of a device, is left out."""
    text = runner.summary({"step": (SETTING, [ROW]), "gpu": (SETTING, [])})
    assert text.startswith("### The training step\n\n`python -m bench.step` · 2026-01-01")
    assert "| steps | 3 per s | 1 per s, a loop | 3 (3–3) | ≥ 3 | yes |" in text
    assert "GPU" not in text


def test_only_what_is_between_the_marks_is_replaced() -> None:
    """And again, so that figures can be taken anew."""
    text = f"before\n{runner.BEGIN}\nold\n{runner.END}\nafter\n"
    once = runner.replaced(text, "new")
    assert once == f"before\n{runner.BEGIN}\nnew\n{runner.END}\nafter\n"
    assert runner.replaced(once, "new") == once


def test_a_document_without_marks_is_refused() -> None:
    """Rather than overwritten."""
    with pytest.raises(ValueError, match="to write between"):
        runner.replaced("text", "new")


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names that there are."""
    with pytest.raises(SystemExit, match="2"):
        runner.main(["--only", "nonsense"])
    assert "serving, intake" in capsys.readouterr().err


def test_a_command_that_fails_costs_only_its_own_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named at the end, and the exit status says so."""
    monkeypatch.setattr(runner, "run", lambda *_, **__: {"step": (SETTING, [ROW])})
    assert runner.main(["--only", "step,intake"]) == 1
    printed = capsys.readouterr()
    assert "| steps |" in printed.out
    assert printed.err == "\nfailed: intake\n"
