"""What models a state directory holds: which serves, which were refused and why."""

import time
from pathlib import Path
from typing import Any

from rvsense import current, jsontext
from rvsense.current import Note
from rvsense.errors import ModelError
from rvsense.published import REFUSAL, REFUSED, list_models, made_ns, open_model, read_manifest


def entries(state_dir: Path, *, check: bool = False) -> list[dict[str, Any]]:
    """Every model, newest first, as plain values; with `check`, all checksums are verified.

    `state` is serving, pinned (and serving), previous, refused, damaged or ready; `detail` says
    why one was refused or what is damaged.
    """
    note = current.read_note(state_dir)
    serving = next(iter(current.candidates(state_dir)), None)
    note = note if serving is None or note.model == serving.name else Note(serving.name)
    models = state_dir / "models"
    refused = sorted(models.glob(f"{REFUSED}step-*-*")) if models.is_dir() else []
    by_age = sorted((*list_models(models), *refused), key=made_ns, reverse=True)
    return [_entry(path, note, check) for path in by_age]


def locate(state_dir: Path, name: str) -> Path:
    """The folder that `name` means: as current.find, or a refused model's id, or a folder's path.

    Raises:
        ModelError: when it means none, or several.
    """
    if "/" in name and Path(name).is_dir():
        return Path(name)
    try:
        return current.find(state_dir, name)
    except ModelError:
        aside = state_dir / "models" / (REFUSED + name.removeprefix(REFUSED))
        if "step-" in name and aside.is_dir():
            return aside
        raise


def details(path: Path) -> dict[str, Any]:
    """Everything that is known of one model, its files checked.

    Raises:
        ModelError: when it is damaged.
    """
    manifest = open_model(path).manifest
    known = manifest | {
        "id": path.name.removeprefix(REFUSED),
        "path": str(path),
        "checked": True,
        "age_s": _age_s(manifest),
        "bytes": _bytes(path),
        "refusal": _refusal(path),
    }
    return {"id": known.pop("id"), **known}


def _entry(path: Path, note: Note, check: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": path.name.removeprefix(REFUSED), "state": "ready", "detail": ""}
    manifest: dict[str, Any] = {}
    try:
        manifest = open_model(path).manifest if check else read_manifest(path)
        entry["state"] = _state(path.name, note)
    except ModelError as error:
        entry |= {"state": "damaged", "detail": str(error)}
    refusal = _refusal(path)
    if refusal is not None:
        entry |= {"state": "refused", "detail": f"{refusal['reason']}: {refusal['detail']}"}
    head = manifest.get("head") or {}
    teacher = manifest.get("teacher") or {}
    return entry | {
        "step": manifest.get("step"),
        "created_ns": manifest.get("created_ns"),
        "age_s": _age_s(manifest),
        "preset": manifest.get("preset"),
        "teacher": teacher.get("name"),
        "labels": sum((head.get("labels") or {}).values()),
        "accuracy": head.get("accuracy"),
        "ece": head.get("ece"),
        "retrieval": (manifest.get("figures") or {}).get("retrieval"),
        "bytes": _bytes(path),
        "path": str(path),
    }


def _state(name: str, note: Note) -> str:
    if name == note.model:
        return "pinned" if note.pinned else "serving"
    return "previous" if name == note.previous else "ready"


def _refusal(path: Path) -> dict[str, Any] | None:
    """Why a model was set aside; None when it was not."""
    if not path.name.startswith(REFUSED):
        return None
    known: dict[str, Any] = {"reason": "worse", "detail": "", "at_ns": None}
    try:
        return known | dict(jsontext.parse((path / REFUSAL).read_text()))
    except (OSError, ValueError, TypeError):
        return known  # set aside by a version that did not write it down


def _age_s(manifest: dict[str, Any]) -> float | None:
    created_ns = manifest.get("created_ns")
    return None if created_ns is None else round(time.time() - created_ns / 1e9, 1)


def _bytes(path: Path) -> int:
    try:
        return sum(item.stat().st_size for item in path.iterdir())
    except OSError:
        return 0  # pruned since it was listed
