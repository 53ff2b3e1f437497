"""The state directory: may it be written to, is there room, what is in it, who holds it."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rvsense import state
from rvsense.config import Config
from rvsense.doctor.findings import Finding
from rvsense.errors import ConfigError, ModelError
from rvsense.models import listing
from rvsense.models.printing import duration, size

LEAST_FREE_BYTES = 200_000_000
LITTLE_FREE_BYTES = 2_000_000_000

CheckOne = Callable[[Path], None]
"""Reads a checkpoint to its end; raises ModelError when it is damaged."""


def directory(config: Config) -> Iterator[Finding]:
    """Whether the daemon can keep anything."""
    path = state.state_dir(config)
    try:
        above = next(folder for folder in (path, *path.parents) if folder.exists())
        writable = os.access(above, os.W_OK | os.X_OK) and above.is_dir()
        free = shutil.disk_usage(above).free
    except OSError:  # under a folder that one may not enter
        writable = False
    if not writable:
        raise ConfigError(f"{path} cannot be written to; choose another with --state-dir")
    facts = {"path": str(path), "exists": above == path, "free_bytes": free}
    there = "" if above == path else " (made when a daemon starts)"
    text = f"{path}{there}, {size(free)} free"
    if free < LEAST_FREE_BYTES:
        yield Finding("state", "bad", text, "models and checkpoints need room", facts)
    elif free < LITTLE_FREE_BYTES:
        yield Finding("state", "warn", text, "a paper model takes 0.5 GB each", facts)
    else:
        yield Finding("state", "good", text, facts=facts)


def models(config: Config) -> Iterator[Finding]:
    """How many models are there, which serves, which are damaged."""
    path = state.state_dir(config)
    found = listing.entries(path, check=True)
    if not found:
        yield Finding("models", "note", "none yet", facts={"count": 0})
        return
    damaged = [entry["id"] for entry in found if entry["state"] == "damaged"]
    # As a daemon begins: with what served last, else the newest that is whole.
    begins = [entry for entry in found if entry["state"] not in ("damaged", "refused")]
    begins.sort(key=lambda entry: entry["state"] not in ("serving", "pinned"))
    current = begins[0] if begins else None
    facts = {"count": len(found), "current": current and current["id"], "damaged": damaged}
    if current is None:
        remedy = "restore models/ from a backup, or wait for the learner to publish one"
        yield Finding("models", "warn", f"{len(found)}, none that can serve", remedy, facts)
    else:
        yield Finding("models", "good", _serves(current, len(found)), facts=facts)
    if damaged:
        remedy = "passed over at a start; restore them from a backup, or let the daemon prune them"
        yield Finding("models", "warn", f"damaged: {', '.join(damaged)}", remedy, facts)


def _serves(current: Mapping[str, Any], count: int) -> str:
    accuracy = current["accuracy"]
    return (
        f"{count}, all checked; {current['id']} serves{_pinned(current['state'])}, "
        f"{duration(current['age_s'])} old, {current['labels']} labels"
        + ("" if accuracy is None else f", accuracy {accuracy:.2f}")
    )


def checkpoints(config: Config, check: CheckOne) -> Iterator[Finding]:
    """Whether the learner can go on from where it was."""
    root = state.state_dir(config) / "checkpoints"
    found = sorted(root.glob("checkpoint-*"))
    if not found:
        yield Finding("checkpoints", "note", "none yet", facts={"count": 0})
        return
    damaged = []
    for path in found:
        try:
            check(path)
        except ModelError as error:
            damaged.append(str(error))
    age_s = time.time() - found[-1].stat().st_mtime
    facts = {"count": len(found), "age_s": round(age_s, 1), "damaged": damaged}
    text = f"{len(found)}, all checked; the newest is {duration(age_s)} old"
    if not damaged:
        yield Finding("checkpoints", "good", text, facts=facts)
    elif len(damaged) < len(found):
        remedy = "the learner goes on from the one before"
        yield Finding("checkpoints", "warn", f"damaged: {'; '.join(damaged)}", remedy, facts)
    else:
        remedy = "the learner starts anew: restore checkpoints/ from a backup before it runs"
        yield Finding("checkpoints", "warn", f"all damaged: {'; '.join(damaged)}", remedy, facts)


def _pinned(standing: str) -> str:
    return ", pinned (`rvsense model release` lets newer ones in)" if standing == "pinned" else ""
