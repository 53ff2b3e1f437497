"""Where a daemon keeps its models and checkpoints, and who holds that place.

<state>/lock    locked by the daemon that runs there: {"pid", "endpoints"} once it is ready
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rvsense import atomic, jsontext
from rvsense.config import Config
from rvsense.disk import DiskError, naming
from rvsense.errors import ConfigError, RvsenseError

LOCK = "lock"
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What a disk may recover from: no exit status that keeps a service manager from trying again."""
LOOKS_S = (0.02, 0.1)
"""Pauses before a lock is taken to be a daemon's: `holder` has it for an instant."""


def state_dir(config: Config) -> Path:
    """The configured folder, else $STATE_DIRECTORY (systemd's), else $XDG_STATE_HOME/rvsense."""
    if config.state_dir:
        return Path(config.state_dir).expanduser().resolve()
    if "STATE_DIRECTORY" in os.environ:
        # systemd joins several with colons; the unit declares one.
        return Path(os.environ["STATE_DIRECTORY"].split(":")[0])
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "rvsense"


def prepare(path: Path) -> Path:
    """Make the folder and see that it can be written to.

    Raises:
        ConfigError: naming it and the remedy.
        DiskError: the disk is full or fails, which may pass.
    """
    try:
        atomic.make_folder(path / "models")
        probe = path / f".writable-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def _unwritable(path: Path, error: OSError) -> RvsenseError:
    if error.errno in PASSING:
        return DiskError(
            f"state directory {path} cannot be written now ({error.strerror}); make room "
            "or mend the disk, and start again"
        )
    return ConfigError(
        f"state directory {path} cannot be written ({error.strerror}); "
        "choose another with --state-dir or state_dir"
    )


@dataclass(frozen=True, slots=True)
class Holder:
    """The daemon that holds a state directory; `pid` is 0 and no endpoint known before it is ready.

    `endpoints` has intake, results, requests and http.
    """

    pid: int = 0
    endpoints: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def locked(state_dir: Path) -> Iterator[Path]:
    """One daemon, or one that edits, per state directory; gives the lock's file.

    Raises:
        ConfigError: when another holds it, or it cannot be written.
        DiskError: the disk is full or fails, which may pass.
    """
    path = state_dir / LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unwritable(state_dir, error) from None
    with os.fdopen(handle, "r+") as lock:
        if not _obtained(lock):
            raise ConfigError(
                f"state directory {state_dir} is in use by another daemon; "
                "choose another with --state-dir"
            ) from None
        with naming(state_dir):
            lock.truncate()
        yield path


def _obtained(lock: IO[str]) -> bool:
    for pause_s in (*LOOKS_S, None):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if pause_s is not None:
                time.sleep(pause_s)
    return False


def say_where(state_dir: Path, endpoints: Mapping[str, str]) -> None:
    """Write into the lock, which this process holds, where it can be reached.

    Raises:
        OSError: from the disk.
    """
    facts = {"pid": os.getpid(), "endpoints": dict(endpoints)}
    (state_dir / LOCK).write_text(json.dumps(facts))


def holder(state_dir: Path) -> Holder | None:
    """The daemon that holds this directory now, or None.

    Raises:
        DiskError: the lock is there and cannot be looked at.
    """
    with naming(state_dir, "cannot be looked at"):
        return _holder(state_dir)


def _holder(state_dir: Path) -> Holder | None:
    try:
        lock = (state_dir / LOCK).open(errors="replace")
    except FileNotFoundError:
        return None
    with lock:
        try:
            # Shared, and for an instant: two that look do not take each other for a daemon.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_holder(lock.read())
    return None


def _read_holder(text: str) -> Holder:
    try:
        facts: dict[str, Any] = jsontext.parse(text)
        return Holder(int(facts["pid"]), {k: str(v) for k, v in facts["endpoints"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return Holder()
