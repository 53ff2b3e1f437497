"""The Tab key: scripts for shells, tried in a real bash."""

import subprocess
from pathlib import Path

import pytest

from rvsense.cli import COMMANDS, main

TRY = """
source {script}
COMP_WORDS=({words} "{last}"); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMPREPLY=()
$(complete -p rvsense | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """What `rvsense completion bash` prints, in a file."""
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "rvsense.bash"
    path.write_text(capsys.readouterr().out)
    return path


def tab(script: Path, words: str, last: str, folder: Path | None = None) -> set[str]:
    """What bash offers for `last` behind these words."""
    text = TRY.format(script=script, words=words, last=last)
    done = subprocess.run(
        ["bash", "--norc", "-c", text], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_commands(script: Path) -> None:
    """All of them, and the only one that fits."""
    assert tab(script, "rvsense", "") == set(COMMANDS)
    assert tab(script, "rvsense", "ska") == set()
    assert tab(script, "rvsense", "ske") == {"skew"}


@pytest.mark.parametrize(
    ("words", "last", "offered"),
    [
        ("rvsense label", "--pu", {"--purpose"}),
        ("rvsense label --purpose", "", {"train", "score"}),
        ("rvsense learner", "--li", {"--listen"}),
        ("rvsense daemon", "--rep", {"--replay"}),
        ("rvsense completion", "", {"bash", "zsh", "fish"}),
    ],
)
def test_options_and_their_values(script: Path, words: str, last: str, offered: set[str]) -> None:
    """Options of every command, the learner's too, and the values that an option may have."""
    assert tab(script, words, last) == offered


def test_files_and_folders(script: Path, tmp_path: Path) -> None:
    """Where a file is wanted files are offered, where a folder is wanted only folders."""
    (tmp_path / "some.csv").touch()
    (tmp_path / "somewhere").mkdir()
    assert tab(script, "rvsense label --csv", "some", tmp_path) == {"some.csv", "somewhere"}
    assert tab(script, "rvsense model export current", "some", tmp_path) == {
        "some.csv",
        "somewhere",
    }
    assert tab(script, "rvsense daemon --replay", "some", tmp_path) == {"some.csv", "somewhere"}
    assert tab(script, "rvsense daemon --state-dir", "some", tmp_path) == {"somewhere"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command and an option deep down are in their scripts as well."""
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)
    assert "purpose" in text
