"""Published models: judged and set aside by the daemon's loader, fetched, exported."""

import os
from pathlib import Path

import torch

from rvsense import current, parcel, published
from rvsense.config import Serving
from rvsense.daemon.landing import Landing
from rvsense.daemon.models import ModelKeeper, Outcome
from rvsense.errors import RvsenseError
from rvsense.frames import CLASSES
from rvsense.models.export import export
from rvsense.models.program import Program
from tests.conftest import heatmap, publish_small
from tests.faults.disk import ELSEWHERE
from tests.faults.every import Said, Writer
from tests.faults.writers.light import light_models
from tests.faults.writers.state import CPU, whole_models

EMPTY, CAR = CLASSES.index("empty"), CLASSES.index("car")


class Office(ModelKeeper):
    """A loader without a thread of its own, whose exam shows cars alone."""

    def __init__(self, folder: Path) -> None:
        self.outcomes: list[Outcome] = []
        exam = [(heatmap(), CLASSES[CAR])] * 4
        super().__init__(folder, Serving(), CPU, lambda: exam, self.outcomes.append)

    def judge(self, path: Path) -> None:
        """Deal with an offer, as its thread does."""
        self.outcomes.append(self._offered(path))


@light_models()
def _one_serves(folder: Path) -> None:
    office = Office(folder)
    office.judge(publish_small(folder / "models", 1, favours=CAR, created_ns=1).path)
    for step in (2, 3):
        favours = EMPTY if step == 2 else CAR
        model = publish_small(folder / "models", step, favours=favours, created_ns=step)
        (folder / ELSEWHERE / model.id).mkdir(parents=True)
    for name in ("one", "two"):  # were refused before
        (folder / "models" / f"refused-{name}").mkdir()


@light_models()
def _judge(folder: Path, said: Said) -> None:
    office = Office(folder)
    office.restore()
    for name in sorted(os.listdir(folder / ELSEWHERE)):
        office.judge(folder / "models" / name)
    said.append(office.note.model if office.noted else "")


@light_models()
def _judged(folder: Path, said: Said, done: bool) -> None:
    models, note = whole_models(folder), current.read_note(folder)
    assert note.model in models
    restored = Office(folder).restore()
    assert restored is not None
    noted = [item for item in said if isinstance(item, str)]
    assert not noted or noted[-1] in ("", note.model)
    assert not done or restored.published.step == 3


def _three_to_fetch(folder: Path) -> None:
    store = folder / ELSEWHERE
    for step in (1, 2, 3):
        publish_small(store, step, created_ns=step)
    first, _, last = published.list_models(store)
    (folder / "models").mkdir()
    os.rename(first, folder / "models" / first.name)
    current.note_serving(folder, folder / "models" / first.name)
    (folder / "models" / last.name).mkdir()  # a damaged one is in the way
    (folder / "models" / last.name / published.MANIFEST).write_text("{}")


def _fetch(folder: Path, said: Said) -> None:
    store = folder / ELSEWHERE

    def answer() -> None:
        while not landing.asks.empty():
            ask = landing.asks.get()
            data = parcel.read_chunk(store, ask.id, ask.name, ask.offset)
            landing.chunk({"id": ask.id, "name": ask.name, "offset": ask.offset}, data)

    landing = Landing(
        folder,
        kept=2,
        most_bytes=10**8,
        serving=lambda: "",
        on_landed=lambda path: said.append(path.name),
        on_news=answer,
    )
    for path in published.list_models(store):
        landing.offer(parcel.offer_of(published.open_model(path)))
        landing._settle(landing._next()[0])
        assert not landing.fetched.empty()


def _fetched(folder: Path, said: Said, done: bool) -> None:
    damaged = published.list_models(folder / ELSEWHERE)[-1].name
    models = []
    for path in published.list_models(folder / "models"):
        if path.name not in said and path.name == damaged:
            continue  # it was so before
        models.append(published.open_model(path).id)
    assert current.read_note(folder).model in models
    assert not done or said[-1] == damaged
    assert not done or damaged in models


def _one_exported(folder: Path) -> None:
    model = publish_small(folder / "models", 1)
    (folder / ELSEWHERE / model.id).mkdir(parents=True)
    _export(folder, [])


def _export(folder: Path, said: Said) -> None:
    path = folder / "models" / os.listdir(folder / ELSEWHERE)[0]
    export(path, folder / "model.safetensors", force=True)


def _exported(folder: Path, said: Said, done: bool) -> None:
    program = Program(str(folder / "model.safetensors"))
    assert program(torch.from_numpy(heatmap()[None]))["probabilities"].shape == (1, 4)


LOADER = Writer("model-loader", _one_serves, _judge, _judged, (RvsenseError,))
LANDING = Writer("landing", _three_to_fetch, _fetch, _fetched, ())
EXPORT = Writer("model-export", _one_exported, _export, _exported, (RvsenseError,))
