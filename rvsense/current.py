"""Which model of a state directory serves, which did before it, and whether it is pinned.

    <state>/serving.json    {"model", "since_ns", "pinned", "served": those before it, oldest first,
                            "sha256": of these four}

Rules:
1. A model that takes over is put on top of those that served; going back takes from the top, so
   that going back twice leads two models back.
2. Going back pins: no newer model takes over until the pin is taken off. A pin outlives a restart.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rvsense import atomic, jsontext, published
from rvsense.errors import ModelError
from rvsense.published import list_models, made_ns
from rvsense.wire import INT64_MAX

NOTE = "serving.json"
SERVED_KEPT = 16
"""Models that one may go back to by saying just `back`; the disk keeps fewer as a rule."""
CURRENT, PREVIOUS = "current", "previous"


@dataclass(frozen=True, slots=True)
class Note:
    """What serving.json holds; `model` is "" before the first one serves."""

    model: str = ""
    since_ns: int = 0
    pinned: bool = False
    served: tuple[str, ...] = ()

    @property
    def previous(self) -> str:
        """The model that served before this one, or ""."""
        return self.served[-1] if self.served else ""

    def forward(self, model: str) -> "Note":
        """A newer model takes over."""
        known = (*self.served, self.model) if self.model not in ("", model) else self.served
        return Note(model, time.time_ns(), False, known[-SERVED_KEPT:])

    def back(self, model: str) -> "Note":
        """The operator goes back to a model, which stays."""
        depth = self.served.index(model) if model in self.served else len(self.served)
        return Note(model, time.time_ns(), True, self.served[:depth])

    def pinned_to(self, path: Path) -> "Note":
        """The operator asks for the model of this folder: back to it, or forward to one that was
        held so far, from which the way leads back to what serves now.
        """
        newer = self.model and made_ns(path) > made_ns(path.with_name(self.model))
        if newer and path.name not in self.served:
            return replace(self.forward(path.name), pinned=True)
        return self.back(path.name)

    def released(self) -> "Note":
        """The same model serves, and the next one that passes its exam may take over."""
        return replace(self, pinned=False)


def read_note(state_dir: Path) -> Note:
    """What was noted; an empty note where there is none that can be read."""
    return noted(state_dir) or Note()


def noted(state_dir: Path) -> Note | None:
    """What was noted; None where something was, and it cannot be read or has been changed."""
    try:
        values: dict[str, Any] = jsontext.parse((state_dir / NOTE).read_text())
        digest = values.pop("sha256", None)
        if digest not in (None, _digest(values)):  # none before version 1.0
            return None
        since_ns = int(values.get("since_ns", 0))
        if not -INT64_MAX <= since_ns <= INT64_MAX:
            raise ValueError("since_ns is no time")
        return Note(
            _name(values["model"]),
            since_ns,
            values.get("pinned", False) is True,
            tuple(map(_name, values.get("served", ()))),
        )
    except FileNotFoundError:
        return Note()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _name(value: Any) -> str:
    """The name of a model's folder, which leads nowhere else; "" for none."""
    if not isinstance(value, str) or Path(value).name != value or value == "..":
        raise ValueError("no name of a model")
    return value


def write_note(state_dir: Path, note: Note) -> None:
    """Remember what serves.

    Raises:
        OSError: from the disk; the old note stands then.
    """
    facts = asdict(note)
    atomic.write_file(state_dir / NOTE, json.dumps(facts | {"sha256": _digest(facts)}).encode())


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def note_serving(state_dir: Path, model: Path) -> None:
    """Remember that this model has taken over.

    Raises:
        OSError: from the disk; the old note stands then.
    """
    write_note(state_dir, read_note(state_dir).forward(model.name))


def candidates(state_dir: Path) -> list[Path]:
    """Model folders, best first: the one that served last, then the newest by making.

    None is checked: open them in turn until one is whole.
    """
    return _best_first(list_models(state_dir / "models"), read_note(state_dir))


def find(state_dir: Path, name: str, note: Note | None = None) -> Path:
    """The folder of the model that `name` means: an id, the beginning of one or of its digest.

    `current` is the one that a start begins with; `previous` served before it or, where that is
    not known, was made before it. `note` tells what serves where the one on disk may be old.

    Raises:
        ModelError: when it means none, or several.
    """
    paths = list_models(state_dir / "models")
    note = note or read_note(state_dir)
    if name == CURRENT:
        found = _best_first(paths, note)[:1]
    elif name == PREVIOUS:
        found = _before(paths, note)
    else:
        found = [path for path in paths if path.name == name] or [
            path
            for path in paths
            if name and (path.name.startswith(name) or path.name.split("-")[2].startswith(name))
        ]
    if len(found) == 1:
        return found[0]
    there = ", ".join(path.name for path in (found or paths)[-8:]) or "none at all"
    what = f"{len(found)} models are meant by" if found else "there is no model"
    raise ModelError(f"{what} {name!r} in {state_dir / 'models'}; there are: {there}")


def _best_first(paths: list[Path], note: Note) -> list[Path]:
    newest_first = paths[::-1]
    return sorted(newest_first, key=lambda path: path.name != note.model)


def _before(paths: list[Path], note: Note) -> list[Path]:
    by_name = {path.name: path for path in paths}
    known = [by_name[name] for name in note.served if name in by_name]
    if known:
        return known[-1:]
    if note.model not in by_name:
        return []
    return paths[: paths.index(by_name[note.model])][-1:]


def prune(state_dir: Path, keep: int, *spare: str) -> None:
    """Remove the oldest models beyond `keep`, but none named in `spare`, nor the one that serves
    or served before it.

    `spare` names at least the newest: the daemon must find what was just announced, and must be
    able to start again with what answers now, and to go back, however long that has not been
    replaced. While nobody knows what serves, since the note cannot be read, all stay.
    """
    note = noted(state_dir)
    if note is None:
        return
    published.prune(state_dir / "models", keep, frozenset({*spare, note.model, *note.served[-1:]}))
