"""`rvsense evaluate` from the command line: what it cannot work on is refused, with the counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rvsense.cli import main

pytestmark = pytest.mark.process


def test_too_few_labelled_frames_are_counted(cruw: Path, tmp_path: Path) -> None:
    """As a process: every fourth of 12 frames in each of 11 sequences is too little; exit 2."""
    out = tmp_path / "report"
    command = [sys.executable, "-P", "-m", "rvsense", "evaluate", str(cruw), "--out", str(out)]
    done = subprocess.run(
        [*command, "--teacher-weights", "random", "--jobs", "1"],
        check=False, capture_output=True, text=True, timeout=170,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "frames of each class for training, at least 20 needed: labelled frames are" in line
    assert "annotate more of the rarest" in line
    assert not (out / "metrics.json").exists()


def test_a_dataset_without_images_is_refused(
    cruw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a downloaded test split is: found, needed and why; exit 2."""
    (sequence,) = (cruw / "sequences" / "test").iterdir()
    split = tmp_path / "split" / "sequences" / "test"
    split.mkdir(parents=True)
    (split / sequence.name).symlink_to(sequence)
    assert main(["evaluate", str(tmp_path / "split"), "--out", str(tmp_path / "report")]) == 2
    said = capsys.readouterr().err
    assert "split: 0 of 1 sequences have radar and images, at least 10 are needed" in said
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--seeds", "0"], 2, "--seeds 0: 1 to 100"),
        (["--jobs", "-2"], 2, "--jobs -2"),
        (["--preset", "paper", "--teacher-weights", "no.pth"], 78, "no.pth: no such file"),
    ],
)
def test_impossible_options_are_refused(
    cruw: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    """One line each, with the flag or the file in it."""
    out = cruw.parent / "report"
    assert main(["evaluate", str(cruw), "--out", str(out), *arguments]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_folder_that_is_no_dataset_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by every command that opens one."""
    assert main(["evaluate", str(tmp_path), "--out", str(tmp_path / "report")]) == 2
    assert "RADAR_RA_H" in capsys.readouterr().err
