"""A daemon under measurement: its data, a model to begin with; started and ended.

Data and model are made once, by the product's own commands, and kept in `build/bench/serving`.
Every run gets a copy, so that none sees what another has learned.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvsense import current
from rvsense.errors import ModelError
from rvsense.published import PublishedModel, open_model

PATIENCE_S = 120.0

TAUGHT = """
[pairing]
thin_rate_hz = 0.0
[learning]
preset = "edge"
steps_per_pair = 0.1
publish_every_steps = 1000000
"""
"""Enough for a head and a familiarity; what the answers are worth is not measured here."""

BUSY = """
[intake]
max_sites = 4096
[learning]
preset = "edge"
max_reuse = 1e9
publish_every_steps = 1000000
"""
"""The learner never waits for pairs, and the model that is measured stays."""


def dataset(folder: Path, *, sequences: int = 16, frames: int = 20) -> Path:
    """The simulated dataset in `folder`, made now unless it is there."""
    if not (folder / "simulated.json").exists():
        size = ["--sequences", str(sequences), "--frames", str(frames), "--seed", "0"]
        _rvsense("simulate", str(folder), *size)
    return folder


def learned(folder: Path, data: Path) -> Path:
    """A state directory with a checkpoint and a model with head and familiarity."""
    if not _has_model(folder):
        shutil.rmtree(folder, ignore_errors=True)
        with _configured(TAUGHT) as config:
            replay = ["--replay", str(data), "--speed", "max", "--exit-at-end", "--labels", "0.5"]
            _rvsense("daemon", *replay, *_free_ports(), "--config", config, "--state-dir", folder)
        model_of(folder)
    return folder


def model_of(state_dir: Path) -> PublishedModel:
    """The model that a daemon in this state directory begins with.

    Raises:
        ModelError: there is none, or it lacks a head or familiarity.
    """
    for path in current.candidates(state_dir):
        model = open_model(path)
        if model.head() is None or model.familiarity() is None:
            raise ModelError(f"{path}: a head and familiarity are needed; remove {state_dir}")
        return model
    raise ModelError(f"{state_dir}: no model was published; remove it and try again")


@dataclass(frozen=True, slots=True)
class Worked:
    """What a thread has had of the cores so far, and what it has waited for them, in seconds."""

    name: str
    ran_s: float
    waited_s: float


class Daemon:
    """A running `rvsense daemon` on free ports, in a copy of a state directory."""

    def __init__(self, process: subprocess.Popen[bytes], endpoints: Mapping[str, str]) -> None:
        self.process = process
        self.endpoints = endpoints

    def status(self) -> dict[str, Any]:
        """What `/statusz` says."""
        with urllib.request.urlopen(f"http://{self.endpoints['http']}/statusz") as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def steps(self) -> int:
        """Training steps that its learner has taken; 0 before it said so, or without one."""
        return int(self.status()["learner"]["figures"].get("step", 0))

    def threads(self) -> dict[int, Worked]:
        """The daemon's threads by their id, as the kernel counts (schedstat)."""
        found = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            ran_ns, waited_ns, _ = map(int, (task / "schedstat").read_text().split())
            name = (task / "comm").read_text().strip()
            found[int(task.name)] = Worked(name, ran_ns / 1e9, waited_ns / 1e9)
        return found

    def learner_ran_s(self) -> float:
        """Core time of the learner's process so far; 0 without one."""
        pid = self.status()["learner"].get("pid")
        tasks = Path(f"/proc/{pid}/task").glob("*/schedstat") if pid else ()
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def wait_until_learning(self) -> None:
        """Return when training steps are being taken."""
        began, first = time.monotonic(), 0
        while (steps := self.steps()) <= first or not first:
            first = first or steps
            if time.monotonic() - began > PATIENCE_S:
                raise SystemExit("the learner takes no steps: see its log on standard error")
            time.sleep(0.2)


@contextmanager
def daemon(state: Path, *, learn: bool, extra: str = "") -> Iterator[Daemon]:
    """A daemon that is ready, and, where it learns, busy with it; ended on leaving."""
    with tempfile.TemporaryDirectory(prefix="rvsense-bench-") as folder:
        copy = Path(folder) / "state"
        shutil.copytree(state, copy)
        with _configured(BUSY + extra) as config, (Path(folder) / "log").open("w+") as log:
            command = ["daemon", *_free_ports(), "--config", config, "--state-dir", str(copy)]
            process = subprocess.Popen(
                [*_program(), *command, *([] if learn else ["--no-learn"])],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
            try:
                running = Daemon(process, _ready(process, Path(log.name)))
                if learn:
                    running.wait_until_learning()
                yield running
            finally:
                process.terminate()
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _program() -> list[str]:
    return [sys.executable, "-P", "-m", "rvsense"]


def _rvsense(*arguments: str | Path) -> None:
    subprocess.run(
        [*_program(), *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def _free_ports() -> list[str]:
    ports = [f"--{name}=tcp://127.0.0.1:*" for name in ("intake", "results", "requests")]
    return [*ports, "--http=127.0.0.1:0"]


@contextmanager
def _configured(text: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        yield file.name


def _has_model(state_dir: Path) -> bool:
    try:
        model_of(state_dir)
    except ModelError:
        return False
    return True


def _ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """The endpoints out of the log line that says ready."""
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < until:
        for line in log.read_text().splitlines():
            if line.startswith("{") and (event := json.loads(line))["event"] == "ready":
                return {name: event[name] for name in ("intake", "results", "requests", "http")}
        time.sleep(0.05)
    raise SystemExit(f"the daemon did not get ready:\n{log.read_text()[-2000:]}")
