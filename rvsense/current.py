"""Which model of a state directory is the current one."""

import json
import time
from pathlib import Path

from rvsense import atomic
from rvsense.published import list_models

NOTE = "serving.json"


def candidates(state_dir: Path) -> list[Path]:
    """Model folders, best first: the one that served last, then the newest by making.

    None is checked: open them in turn until one is whole.
    """
    paths = list_models(state_dir / "models")[::-1]
    try:
        last = state_dir / "models" / json.loads((state_dir / NOTE).read_text())["model"]
    except (OSError, ValueError, KeyError, TypeError):
        return paths
    return sorted(paths, key=lambda path: path != last)


def note_serving(state_dir: Path, model: Path) -> None:
    """Remember what serves.

    Raises:
        OSError: from the disk; the old note stands then.
    """
    note = {"model": model.name, "since_ns": time.time_ns()}
    atomic.write_file(state_dir / NOTE, json.dumps(note).encode())
