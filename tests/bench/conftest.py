"""The experiments, importable without the root on the path, where `daemon` would be shadowed."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from rvsense.learner.offline.samples import Samples, save
from tests.learner.offline.toyscenes import toy_samples

ROOT = Path(__file__).parents[2]
SITES, CLASSES_EACH = 4, 4

bench = ModuleType("bench")
bench.__path__ = [str(ROOT / "bench")]
sys.modules.setdefault("bench", bench)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """One thread, as in the processes of an experiment."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_data() -> Samples:
    """64 sequences of 7 frames; every site shows every class."""
    data = toy_samples(sequences=64, frames=7)
    return replace(data, sites=data.sequences // CLASSES_EACH % SITES)


@pytest.fixture(scope="session")
def toy_folder(toy_data: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, encoded before, a file for each sequence."""
    folder = tmp_path_factory.mktemp("samples")
    for number in torch.unique(toy_data.sequences).tolist():
        rows = (toy_data.sequences == number).nonzero()[:, 0]
        save(folder / f"{number:05d}.safetensors", toy_data.take(rows))
    return folder


Command = Callable[..., tuple[str, dict[str, Any]]]


@pytest.fixture
def command(toy_folder: Path, tmp_path: Path) -> Command:
    """`command(name, *options)`: what an experiment prints, and the one JSON file it leaves."""

    def run(name: str, *options: str) -> tuple[str, dict[str, Any]]:
        folders = ("--samples", str(toy_folder), "--cache", str(tmp_path))
        ran = subprocess.run(
            [sys.executable, "-m", f"bench.{name}", *folders, *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        (left,) = tmp_path.glob("*.json")
        return ran.stdout, json.loads(left.read_text())

    return run
