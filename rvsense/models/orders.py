"""Going back to a model and letting newer ones in again, with or without a running daemon.

A running daemon is asked by a request and does it between two frames. Where none runs, the note
of what serves is edited under the lock of the state directory, after the same checks.
"""

from pathlib import Path
from typing import Any

import torch

from rvsense import current, results, state
from rvsense.disk import naming
from rvsense.errors import ModelError, RvsenseError, UsageError
from rvsense.model import ServableModel
from rvsense.published import open_model
from rvsense.requesting import Keys, Requester

LOADING_S = 120.0
"""A large model is read, checked and tried before the daemon answers."""


def rollback(state_dir: Path, name: str, endpoint: str = "", keys: Keys = None) -> dict[str, Any]:
    """Let the model that `name` means serve, and pin it; what the daemon replies, or would.

    Args:
        endpoint: the requests endpoint of the daemon; "" = the one that holds `state_dir`.
        keys: a client's folder of CURVE keys; None = as the environment says.

    Raises:
        RvsenseError: there is no such model, it is damaged, the daemon cannot be asked, or the
            disk fails.
    """
    if there := endpoint or _running(state_dir):
        return _ask(there, keys, "rollback", model=name)
    with naming(state_dir), state.locked(_existing(state_dir)):
        path = current.find(state_dir, name)
        model = ServableModel(open_model(path), torch.device("cpu"))
        current.write_note(state_dir, current.read_note(state_dir).pinned_to(path))
        return _noted(state_dir, model)


def release(state_dir: Path, endpoint: str = "", keys: Keys = None) -> dict[str, Any]:
    """Take the pin off: the newest model has its exam at once, or when a daemon runs again.

    Raises:
        RvsenseError: the daemon cannot be asked, nothing is there, or the disk fails.
    """
    if there := endpoint or _running(state_dir):
        return _ask(there, keys, "release")
    with naming(state_dir), state.locked(_existing(state_dir)):
        note = current.read_note(state_dir)
        if not note.model:
            raise ModelError(f"{state_dir}: no model has served there yet; there is nothing to do")
        current.write_note(state_dir, note.released())
        return _noted(state_dir, None, "" if note.pinned else "no model was pinned")


def scores(state_dir: Path, keys: Keys = None) -> dict[str, dict[str, Any]]:
    """How the models that the running daemon remembers have answered, by id; {} without one.

    Each is a `rvsense.trust.Record.as_map` of answers whose label came later.
    """
    try:
        there = _running(state_dir)
        if not there:
            return {}
        with Requester(there, keys) as requester:
            history = requester.ask("status")["status"]["score"]["history"]
    except (RvsenseError, KeyError):
        return {}  # the list is of files; this is an addition to it
    return {record["model"]: record for record in history}


def _ask(endpoint: str, keys: Keys, op: str, **fields: Any) -> dict[str, Any]:
    with Requester(endpoint, keys) as requester:
        requester.ask("status")  # whether anybody is there is known sooner
        return requester.ask(op, timeout_s=LOADING_S, **fields) | {"daemon": endpoint}


def _noted(state_dir: Path, model: ServableModel | None, detail: str = "") -> dict[str, Any]:
    note = current.read_note(state_dir)
    named = {"id": note.model} if model is None else results.model_name(model.published).as_map()
    return {
        "ok": True,
        "daemon": None,
        "model": named,
        "previous": note.previous or None,
        "pinned": note.pinned,
        "survives_restart": True,
        "tried": note.model,
        "reason": None,
        "detail": detail or None,
    }


def _running(state_dir: Path) -> str:
    """The requests endpoint of the daemon that holds this directory; "" when none does."""
    holder = state.holder(state_dir)
    if holder is None:
        return ""
    if "requests" not in holder.endpoints:
        raise RvsenseError(
            f"state directory {state_dir} is held by a daemon that is just starting, or by "
            "another of these commands; try again, or name its endpoint with --requests"
        )
    return holder.endpoints["requests"]


def _existing(state_dir: Path) -> Path:
    if not (state_dir / "models").is_dir():
        raise UsageError(
            f"no models in {state_dir / 'models'}; name a daemon's directory with --state-dir, or "
            "a running daemon's requests endpoint with --requests"
        )
    return state_dir
