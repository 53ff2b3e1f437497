"""A real daemon that is ready: what it says, what its pages show, and data to play to it."""

import argparse
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.whole.running import FREE_PORTS, PATIENCE_S, SMALL, Daemon

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the environment knows nothing of the daemon here."""


class Stage:
    """A daemon that has said that it is ready, and where it listens."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.endpoints = daemon.wait_for("ready")
        self.pid: int = self.endpoints["pid"]

    def page(self, path: str) -> str:
        """What HTTP answers.

        Raises:
            OSError: nothing, or an error.
        """
        with OPENER.open(f"http://{self.endpoints['http']}{path}", timeout=PATIENCE_S) as page:
            text: str = page.read().decode()
        return text

    def is_well(self) -> bool:
        """Whether it says of itself that it is live and ready."""
        try:
            return all(self.page(path) for path in ("/livez", "/readyz"))
        except OSError:
            return False

    def status(self) -> dict[str, Any]:
        """`/statusz`."""
        status: dict[str, Any] = json.loads(self.page("/statusz"))
        return status

    def metric(self, name: str) -> float:
        """A metric without labels."""
        found = re.search(rf"^{name} (\S+)$", self.page("/metrics"), re.MULTILINE)
        assert found, name
        return float(found[1])

    def said(self, event: str) -> list[dict[str, Any]]:
        """Its lines of this event so far."""
        return [line for line in self.daemon.events if line["event"] == event]


@contextmanager
def staged(
    work: Path,
    *arguments: str | Path,
    state: str = "state",
    config: str = SMALL,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """A daemon on free ports, ready; killed on the way out if it still runs.

    `config` is written to `config.toml` of `work`, where a scenario may change it; `environment`
    is added to ours.
    """
    (work / "config.toml").write_text(config)
    where: list[str | Path] = ["--state-dir", work / state, "--config", work / "config.toml"]
    with _environment(environment or {}):
        daemon = Daemon(*FREE_PORTS, *where, *arguments)
    try:
        yield Stage(daemon)
    finally:
        daemon.kill()


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option of a scenario that plays something."""
    parser.add_argument("--data", metavar="DIR", help="play this; a simulated dataset if not given")


def data(options: argparse.Namespace, *, sequences: int, frames: int) -> str:
    """The dataset that was asked for, else a simulated one of two sites."""
    if options.data:
        return str(options.data)
    out = str(options.work / "data")
    sizes = {"sequences": sequences, "frames": frames, "sites": 2, "seed": 3, "jobs": 2}
    words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    command = [sys.executable, "-P", "-m", "rvsense", "simulate", out, *words]
    subprocess.run(command, check=True, capture_output=True, timeout=10 * PATIENCE_S)
    return out


STREAMS = ("radar", "camera")


def unanswered(status: Mapping[str, Any]) -> int:
    """Radar frames that were taken in and got no result, by a daemon's last word."""
    serving = status["serving"]
    return int(serving["radar"] - serving["answered"])


def balanced(status: Mapping[str, Any]) -> bool:
    """Whether every frame is accounted for, in serving and in pairing."""
    books = [site[kind] for site in status["pairing"]["sites"].values() for kind in STREAMS]
    return status["serving"]["balanced"] and all(
        book["received"] == book["paired"] + sum(book["dropped"].values()) + book["pending"]
        for book in books
    )


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
