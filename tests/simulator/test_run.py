import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rvsense.cli import main
from rvsense.config import Simulate
from rvsense.errors import RvsenseError, UsageError
from rvsense.replay import partial
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import SIMULATED
from rvsense.replay.simulate import run
from rvsense.replay.simulate.plan import plan
from rvsense.replay.simulate.run import simulate


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every file below `root` by relative path."""
    return {
        str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_layout_is_rod2021s(small: Path, settings: Simulate) -> None:
    """Exactly the files of the layout, and a note of what made them."""
    wanted = {SIMULATED}
    for one in plan(settings):
        wanted.add(f"annotations/{one.split}/{one.name}.txt")
        wanted.add(f"calib/{one.name[:10]}/cam_0.yaml")
        for frame in range(settings.frames):
            base = f"sequences/{one.split}/{one.name}"
            wanted |= {f"{base}/RADAR_RA_H/{frame:06d}_{c:04d}.npy" for c in (0, 64, 128, 192)}
            if one.split == "train":
                wanted.add(f"{base}/IMAGES_0/{frame:010d}.jpg")
    assert set(digests(small)) == wanted


def test_files_hold_what_the_format_says(small: Path) -> None:
    """Radar is (128, 128, 2) float32 in C order, pictures are 1440 x 864 RGB JPEG."""
    one = np.load(next(small.glob("sequences/train/*/RADAR_RA_H/000001_0128.npy")))
    assert (one.shape, one.dtype, one.flags.c_contiguous) == ((128, 128, 2), np.float32, True)
    with Image.open(next(small.glob("sequences/train/*/IMAGES_0/0000000001.jpg"))) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (1440, 864), "RGB")


def test_annotations_are_of_the_planned_class(small: Path, settings: Simulate) -> None:
    """Lines read `frame range azimuth class`; empty sequences have an empty file."""
    for one in plan(settings):
        text = (small / "annotations" / one.split / f"{one.name}.txt").read_text()
        if one.content == "empty":
            assert text == ""
            continue
        assert text
        for line in text.splitlines():
            frame, range_m, azimuth, name = line.split(" ")
            assert int(frame) < settings.frames
            assert 1.0 <= float(range_m) <= 25.0
            assert abs(float(azimuth)) <= np.deg2rad(60) + 1e-4
            assert [len(value.split(".")[1]) for value in (range_m, azimuth)] == [4, 4]
            assert name == one.content


def test_our_own_reader_reads_it(small: Path, settings: Simulate) -> None:
    """Every sequence is found, by site, without a problem."""
    dataset = open_dataset(small)
    assert {s.name for s in dataset.sequences} == {one.name for one in plan(settings)}
    assert {s.site for s in dataset.sequences} == {"2026_01_01", "2026_01_02"}
    assert [p for s in dataset.sequences for p in s.problems] == []


def test_bytes_depend_on_the_seed_alone(small: Path, settings: Simulate, tmp_path: Path) -> None:
    """Two processes and more sequences give the same files; another seed gives others."""
    more = Simulate(sequences=11, frames=2, sites=2, seed=settings.seed, jobs=2)
    report = simulate(tmp_path / "again", more)
    again, before = digests(tmp_path / "again"), digests(small)
    assert again.pop(SIMULATED) != before.pop(SIMULATED)  # it says how many sequences
    assert {name: again[name] for name in before} == before
    assert (report.sequences, report.test_sequences, report.frames) == (11, 1, 22)
    assert report.objects == sum(
        len(path.read_text().splitlines()) for path in (tmp_path / "again").rglob("*.txt")
    )
    simulate(tmp_path / "other", Simulate(sequences=1, frames=1, sites=1, seed=8, jobs=1))
    assert not set(digests(tmp_path / "other").values()) & set(before.values())


def test_mixed_scenes_hold_several_classes(tmp_path: Path) -> None:
    """With `mixed` some frame has objects of two classes."""
    simulate(tmp_path / "m", Simulate(sequences=5, frames=1, sites=1, seed=1, mixed=True, jobs=1))
    (path,) = (tmp_path / "m").rglob("*MLM.txt")
    assert len({line.split()[3] for line in path.read_text().splitlines()}) >= 2


def test_a_full_folder_is_refused(tmp_path: Path) -> None:
    """A folder that holds something is named and left alone."""
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match=f"{tmp_path} is not empty"):
        simulate(tmp_path, Simulate(jobs=1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]


def test_what_an_interrupted_run_left_is_cleared(tmp_path: Path) -> None:
    """A folder with nothing but a killed run's leftovers counts as empty."""
    (tmp_path / partial.PARTIAL / "sequences").mkdir(parents=True)
    simulate(tmp_path, Simulate(sequences=1, frames=1, sites=1, jobs=1))
    left = ["annotations", "calib", "sequences", SIMULATED]
    assert sorted(e.name for e in tmp_path.iterdir()) == left


@pytest.mark.parametrize(
    ("name", "value"), [("sites", 29), ("sequences", 0), ("frames", 0), ("jobs", -1)]
)
def test_impossible_settings_are_named(tmp_path: Path, name: str, value: int) -> None:
    """The setting, its value and what is allowed are in the message; nothing is written."""
    change: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=f"{name} is {value}; allowed: a whole number from"):
        simulate(tmp_path / "x", replace(Simulate(), **change))
    assert not (tmp_path / "x").exists()


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up during the run ends it with a clear error and no half dataset."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "write_sequence", full)
    with pytest.raises(RvsenseError, match="No space left on device; nothing was kept"):
        simulate(tmp_path / "x", Simulate(sequences=2, jobs=1))
    assert not (tmp_path / "x").exists()


@pytest.mark.process
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT to the whole group ends parent and workers without a trace of the run."""
    out = tmp_path / "x"
    command = [sys.executable, "-m", "rvsense", "simulate", str(out), "--jobs", "2"]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(out.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    # The workers hold the same stderr: its end means that they have gone, too.
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert not out.exists()


def test_a_program_can_read_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON line on standard output, and nothing else there."""
    sizes = ["--sequences", "2", "--frames", "1", "--sites", "1", "--jobs", "1"]
    assert main(["simulate", str(tmp_path / "cruw"), *sizes, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["out"], said["frames"]) == (str(tmp_path / "cruw"), 2)
