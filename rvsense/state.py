"""Where a daemon keeps its models and checkpoints."""

import os
from pathlib import Path

from rvsense.config import Config
from rvsense.errors import ConfigError


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
    """
    try:
        (path / "models").mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"state directory {path} cannot be written ({error.strerror}); "
            "choose another with --state-dir or state_dir"
        ) from None
    return path
