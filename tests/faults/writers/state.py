"""The state directory as a start finds it, and the note of what serves."""

from contextlib import suppress
from pathlib import Path

import torch

from rvsense import current, published, state
from rvsense.errors import RvsenseError
from rvsense.models import orders
from tests.conftest import publish_small
from tests.faults.every import Said, Writer
from tests.faults.writers.light import light_models

CPU = torch.device("cpu")


def whole_models(folder: Path) -> list[str]:
    """The models there, each of which must be whole."""
    return [published.open_model(path).id for path in published.list_models(folder / "models")]


def _start(folder: Path, said: Said) -> None:
    state.prepare(folder / "state")
    with state.locked(folder / "state"):
        with suppress(OSError):  # as the daemon does
            state.say_where(folder / "state", {"intake": "tcp://127.0.0.1:5560"})
        said.append(state.holder(folder / "state"))


def _is_free(folder: Path, said: Said, done: bool) -> None:
    assert state.holder(folder / "state") is None
    if done:
        holder = said[-1]
        assert isinstance(holder, state.Holder)
        assert holder.endpoints == {"intake": "tcp://127.0.0.1:5560"}
        assert {path.name for path in (folder / "state").iterdir()} == {"models", "lock"}


def _three_models(folder: Path) -> None:
    for step in (1, 2, 3):
        path = publish_small(folder / "models", step, created_ns=step).path
        current.note_serving(folder, path)


@light_models()
def _roll_back(folder: Path, said: Said) -> None:
    orders.release(folder)
    said.append(orders.rollback(folder, current.PREVIOUS)["model"]["id"])


def _note_holds(folder: Path, said: Said, done: bool) -> None:
    note = current.read_note(folder)
    assert note.model in (there := whole_models(folder))
    assert len(there) == 3
    assert note.pinned == (note.model != there[-1])
    models = [item for item in said if isinstance(item, str)]
    assert not models or note.model == models[-1]
    assert not done or models


START = Writer("start", lambda folder: folder.mkdir(), _start, _is_free, (RvsenseError,))
NOTE = Writer("rollback", _three_models, _roll_back, _note_holds, (RvsenseError,))
