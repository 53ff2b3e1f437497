"""Real processes and a real socket of a service manager: what systemd hears, from start to stop."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

PATIENCE_S = 120.0


class Manager:
    """The service manager's end of sd_notify, and the environment that it gives its services."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.settimeout(PATIENCE_S)
        self.environment = os.environ | {
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "1000000",
            "STATE_DIRECTORY": str(folder / "state"),
            "RUNTIME_DIRECTORY": str(folder),
            "OMP_NUM_THREADS": "1",
        }

    def until(self, said: Callable[[str], bool]) -> str:
        """The next message that is as wanted; others are passed over."""
        while not said(message := self._socket.recv(4096).decode()):
            pass
        return message

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A service manager with a folder for one service."""
    found = Manager(tmp_path_factory.mktemp("m"))
    yield found
    found.close()


@contextmanager
def service(manager: Manager, folder: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A service of the manager, in an empty folder; gone afterwards."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rvsense", *command],
            cwd=folder,
            env=manager.environment | {"WATCHDOG_PID": ""},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_about(key: str) -> Callable[[str], bool]:
    """Whether a message begins with KEY=1."""
    return lambda message: message.startswith(f"{key}=1")


def test_a_daemons_life(manager: Manager, tmp_path: Path) -> None:
    """Ready, fed, reloaded, refused a bad configuration, stopped: each is told, and true."""
    config = tmp_path / "north.toml"
    config.write_text("learn = false\n[endpoints]\n" + "".join(
        f'{name} = "tcp://127.0.0.1:*"\n' for name in ("intake", "results", "requests")
    ) + 'http = "127.0.0.1:0"\n')  # fmt: skip
    with service(manager, tmp_path, "daemon", "--config", str(config)) as process:
        assert manager.until(lambda _: True).startswith("READY=1\nSTATUS=")
        manager.until(is_about("WATCHDOG"))
        assert "frames" in manager.until(lambda message: message.startswith("STATUS="))
        process.send_signal(signal.SIGHUP)
        assert re.search(r"\nMONOTONIC_USEC=\d+$", manager.until(is_about("RELOADING")))
        assert manager.until(is_about("READY")) == "READY=1\nSTATUS=reloaded"
        config.write_text('log_level = "loud"\n')
        process.send_signal(signal.SIGHUP)
        manager.until(is_about("RELOADING"))
        assert "refused" in manager.until(is_about("READY"))
        manager.until(is_about("WATCHDOG"))
        process.send_signal(signal.SIGTERM)
        manager.until(is_about("STOPPING"))
        assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()


def test_a_learners_life(manager: Manager, tmp_path: Path) -> None:
    """One by itself is ready when it listens, feeds the watchdog while it waits, and stops."""
    config = tmp_path / "north.toml"
    config.write_text('learner = "tcp://127.0.0.1:5570"\n[learning]\nteacher_weights = "random"\n')
    listen = ["--listen", f"ipc://{tmp_path}/l", "--state-dir", "state"]
    with service(manager, tmp_path, "learner", "--config", str(config), *listen) as process:
        assert manager.until(lambda _: True) == "READY=1\nSTATUS=step 0, 0 daemons"
        manager.until(is_about("WATCHDOG"))
        process.send_signal(signal.SIGTERM)
        assert "checkpoint" in manager.until(is_about("STOPPING"))
        assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()
