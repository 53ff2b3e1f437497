"""Fetching models of a learner that has another disk: whole and right, or not at all."""

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from rvsense import parcel
from rvsense.daemon import landing as module
from rvsense.daemon.landing import Ask, Fetched, Landing
from rvsense.errors import ModelError
from rvsense.published import REFUSED, PublishedModel, list_models, open_model

MakeModel = Callable[..., PublishedModel]
CHUNK = 4096


class Line:
    """A daemon's landing, and the learner's disk at the other end of a line that can be cut."""

    def __init__(self, root: Path) -> None:
        self.far = root / "learner" / "models"
        self.near = root / "daemon"
        self.serving = ""
        self.landed: list[Path] = []
        self.bells: SimpleQueue[None] = SimpleQueue()
        self.asked: list[Ask] = []
        self.landing = Landing(
            self.near,
            kept=2,
            most_bytes=10_000_000,
            serving=lambda: self.serving,
            on_landed=self.landed.append,
            on_news=lambda: self.bells.put(None),
        )
        (self.near / "models").mkdir(parents=True)
        self.landing.start()

    def offer(self, model: PublishedModel, **changes: Any) -> None:
        """The learner has published that one."""
        self.landing.offer(parcel.offer_of(model) | changes)

    def ask(self) -> Ask:
        """The next chunk that is asked for."""
        while self.landing.asks.empty():
            self.bells.get(timeout=30)
        self.asked.append(self.landing.asks.get())
        return self.asked[-1]

    def answer(self, ask: Ask, spoil: bool = False) -> None:
        """The learner's answer to it."""
        values = {"id": ask.id, "name": ask.name, "offset": ask.offset}
        try:
            data = parcel.read_chunk(self.far, ask.id, ask.name, ask.offset)
        except ModelError:
            self.landing.gone(ask.id)
            return
        if spoil:
            data = bytes([data[0] ^ 1]) + data[1:]
        self.landing.chunk(values, data)

    def outcome(self, spoil: str = "") -> Fetched:
        """Answer whatever is asked until something has come of an offer."""
        while self.landing.fetched.empty():
            if self.landing.asks.empty():
                self.bells.get(timeout=30)
                continue
            ask = self.ask()
            self.answer(ask, spoil=ask.name == spoil and ask.offset == 0)
        return self.landing.fetched.get()


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """One with small chunks."""
    monkeypatch.setattr(parcel, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(module, "CHUNK_BYTES", CHUNK)
    it = Line(tmp_path)
    yield it
    it.landing.stop()


def test_a_model_lands_whole_and_is_handed_on(line: Line, make_model: MakeModel) -> None:
    """The same digest on this disk, every chunk asked for once, few at a time; then it is idle."""
    model = make_model(line.far)
    line.offer(model)
    assert not line.landing.idle
    outcome = line.outcome()
    assert (outcome.outcome, outcome.id) == ("landed", model.id)
    assert line.landed == [line.near / "models" / model.id]
    assert open_model(line.landed[0]).sha256 == model.sha256
    assert outcome.size_bytes == sum(item.stat().st_size for item in model.path.iterdir())
    assert len(set(line.asked)) == len(line.asked) > 10
    while not line.landing.idle:
        pass


def test_no_more_than_a_window_is_asked_for(line: Line, make_model: MakeModel) -> None:
    """A learner that answers nothing is asked for the first chunks, and for nothing beyond them."""
    model = make_model(line.far)
    line.offer(model)
    asked = [line.ask() for _ in range(module.WINDOW)]
    assert asked[0] == Ask(model.id, "manifest.json", 0)
    assert len(set(asked)) == module.WINDOW
    line.answer(asked[0])
    line.ask()
    assert line.landing.asks.empty()


@pytest.mark.parametrize("name", ["weights.safetensors", "head.safetensors", "manifest.json"])
def test_one_wrong_bit_on_the_way_and_nothing_lands(
    name: str, line: Line, make_model: MakeModel
) -> None:
    """The damage is named, no folder is left, and the next offer is fetched as ever."""
    line.offer(make_model(line.far, 1))
    outcome = line.outcome(spoil=name)
    assert outcome.outcome == "damaged"
    assert name in outcome.detail
    assert list((line.near / "models").iterdir()) == []
    line.offer(make_model(line.far, 2))
    assert line.outcome().outcome == "landed"


def test_a_cut_line_is_gone_on_from_where_it_was(line: Line, make_model: MakeModel) -> None:
    """What was asked and not answered is asked again, and nothing else is."""
    model = make_model(line.far)
    line.offer(model)
    lost = [line.ask() for _ in range(module.WINDOW)]
    before = len(line.asked)
    line.landing.linked()
    assert line.outcome().outcome == "landed"
    assert line.asked[before : before + module.WINDOW] == lost
    assert len(line.asked) == len(set(line.asked)) + module.WINDOW
    assert open_model(line.landed[0]).sha256 == model.sha256


def test_of_offers_that_pile_up_the_newest_is_fetched(line: Line, make_model: MakeModel) -> None:
    """The one at hand comes through; of those published meanwhile, only the last."""
    models = [make_model(line.far, step) for step in range(1, 5)]
    line.offer(models[0])
    first = line.ask()
    for model in models[1:]:
        line.offer(model)
    line.answer(first)
    assert [line.outcome().id for _ in range(2)] == [models[0].id, models[3].id]
    assert {ask.id for ask in line.asked} == {models[0].id, models[3].id}


def test_a_model_that_the_learner_pruned_is_given_up(line: Line, make_model: MakeModel) -> None:
    """`gone` ends the fetch, and the next offer counts."""
    stale = parcel.offer_of(make_model(line.far, 1)) | {"id": "step-00000009-00000000"}
    line.landing.offer(stale)
    assert line.outcome().outcome == "gone"
    line.offer(make_model(line.far, 2))
    assert line.outcome().outcome == "landed"


def test_what_is_here_already_is_not_fetched(line: Line, make_model: MakeModel) -> None:
    """Whole on this disk: handed on at once. Serving, or refused before: nothing happens."""
    here, serves, refused, last = (make_model(line.far, step) for step in range(1, 5))
    here.path.rename(line.near / "models" / here.id)
    moved = open_model(line.near / "models" / here.id)
    line.landing.offer(parcel.offer_of(moved))
    assert line.outcome().outcome == "landed"
    assert line.asked == []
    line.serving = serves.id
    (line.near / "models" / (REFUSED + refused.id)).mkdir()
    for model in (serves, refused):
        line.offer(model)
        while not line.landing.idle:
            pass
    line.offer(last)
    line.outcome()
    assert {ask.id for ask in line.asked} == {last.id}


def test_only_the_newest_models_stay_on_this_disk(line: Line, make_model: MakeModel) -> None:
    """A daemon that fetches prunes, as a learner does."""
    for step in range(1, 5):
        line.offer(make_model(line.far, step, created_ns=step))
        line.outcome()
    assert [int(path.name[5:13]) for path in list_models(line.near / "models")] == [3, 4]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "../../etc"}, "out of form"),
        ({"files": {"manifest.json": 1, "weights.safetensors": 1, "../evil": 1}}, "out of form"),
        ({"files": {"manifest.json": 1}}, "out of form"),
        ({"files": {"manifest.json": 1, "weights.safetensors": -1}}, "out of form"),
        ({"files": {"manifest.json": 1, "weights.safetensors": True}}, "out of form"),
        ({"files": 7}, "out of form"),
        ({"id": None}, "out of form"),
        ({"manifest_sha256": None}, "out of form"),
        ({"sha256": "../evil"}, "out of form"),
        ({"files": {"manifest.json": 2**20 + 1, "weights.safetensors": 1}}, "out of form"),
        ({"files": {"manifest.json": 1, "weights.safetensors": 10**10}}, "max_model_bytes"),
    ],
)
def test_an_offer_out_of_form_or_bounds_is_refused(
    changes: dict[str, Any], said: str, line: Line, make_model: MakeModel
) -> None:
    """Nothing is asked for, and it is said why."""
    line.offer(make_model(line.far), **changes)
    outcome = line.outcome()
    assert (outcome.outcome, line.asked) == ("damaged", [])
    assert said in outcome.detail


@pytest.mark.parametrize("digest", ["sha256", "manifest_sha256"])
def test_another_model_under_the_same_name_does_not_land(
    digest: str, line: Line, make_model: MakeModel
) -> None:
    """Whole in itself, but not what was offered."""
    line.offer(make_model(line.far), **{digest: "0" * 64})
    outcome = line.outcome()
    assert outcome.outcome == "damaged"
    assert "another model" in outcome.detail


def test_a_file_that_no_manifest_names_does_not_land(line: Line, make_model: MakeModel) -> None:
    """Nothing would have checked it."""
    bare = make_model(line.far, favours=None, familiar=False)
    (bare.path / "head.safetensors").write_bytes(b"anything")
    line.offer(bare, files=parcel.offer_of(bare)["files"] | {"head.safetensors": 8})
    outcome = line.outcome()
    assert outcome.outcome == "damaged"
    assert "another model" in outcome.detail


def test_a_full_disk_costs_the_model_alone(line: Line, make_model: MakeModel) -> None:
    """The place where models go cannot be written: said so, and the thread goes on."""
    models = line.near / "models"
    models.rmdir()
    models.write_text("in the way")
    line.offer(make_model(line.far, 1))
    assert line.outcome().outcome == "disk"
    models.unlink()
    line.offer(make_model(line.far, 2))
    assert line.outcome().outcome == "landed"


def test_stopping_in_the_middle_leaves_nothing(line: Line, make_model: MakeModel) -> None:
    """Half a model is removed with the thread."""
    line.offer(make_model(line.far))
    line.answer(line.ask())
    line.landing.stop()
    assert list((line.near / "models").iterdir()) == []


def test_chunks_that_nobody_asked_for_do_not_pile_up(line: Line, make_model: MakeModel) -> None:
    """Neither before an offer, nor the same one again and again; the model lands all the same."""
    stray = {"id": "step-0-x", "name": "weights.safetensors", "offset": 0}
    for _ in range(100):
        line.landing.chunk(stray, bytes(CHUNK))
    assert line.landing._inbox.empty()
    line.offer(make_model(line.far))
    ask = line.ask()
    for _ in range(100):
        line.answer(ask)
    assert line.landing._inbox.qsize() <= 1
    assert line.outcome().outcome == "landed"


def test_what_is_said_while_the_disk_is_slow_does_not_pile_up(line: Line) -> None:
    """Whatever it is, and however often; of offers the newest is known."""
    line.landing.stop()
    for n in range(10 * module.MOST_WAITING):
        line.landing.offer({"id": n})
        line.landing.gone("step-00000001-00000000")
        line.landing.linked()
    assert line.landing._inbox.qsize() <= module.MOST_WAITING
    assert line.landing._offered == {"id": 10 * module.MOST_WAITING - 1}
