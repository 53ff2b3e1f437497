"""Loading beside, checking, swapping, refusing (S4), with small real models."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from structlog.testing import capture_logs

from rvsense import current
from rvsense.config import Serving
from rvsense.daemon.exam import Exam, Item
from rvsense.daemon.exam_store import ExamStore
from rvsense.daemon.models import ModelKeeper, Order, Outcome
from rvsense.errors import ModelError
from rvsense.frames import CLASSES
from rvsense.published import PublishedModel

MakeModel = Callable[..., PublishedModel]
CPU = torch.device("cpu")
EMPTY, CAR = CLASSES.index("empty"), CLASSES.index("car")


class Office:
    """A keeper, the exam it holds, and what it concluded."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.exam: list[Item] = []
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.keeper = ModelKeeper(
            state_dir, Serving(), CPU, lambda: list(self.exam), self.outcomes.put
        )

    def offer(self, path: Path) -> Outcome:
        """Offer a folder and wait for what becomes of it."""
        self.keeper.offer(path)
        return self.outcomes.get(timeout=30)

    def examine_on(self, heatmap: NDArray[np.float32], count: int) -> None:
        """From now on the exam is `count` frames of which each shows a car."""
        self.exam = [(heatmap, "car")] * count


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """One that is open."""
    it = Office(tmp_path)
    it.keeper.start()
    yield it
    it.keeper.stop()


def test_the_first_whole_model_serves(office: Office, make_model: MakeModel) -> None:
    """Where nothing serves yet, a whole model passes, and is noted for the next start."""
    published = make_model(office.state_dir / "models")
    outcome = office.offer(published.path)
    assert outcome.model is not None
    assert outcome.model.published.id == published.id
    assert office.keeper.serving is outcome.model
    assert current.candidates(office.state_dir)[0] == published.path


def spoil_nan(tensors: dict[str, torch.Tensor]) -> None:
    """A weight that is no number."""
    tensors["stem.1.weight"][0, 0, 0, 0] = float("nan")


def spoil_shape(tensors: dict[str, torch.Tensor]) -> None:
    """A tensor of another shape."""
    tensors["projection.bias"] = torch.zeros(3)


@pytest.mark.parametrize("spoil", [spoil_nan, spoil_shape])
def test_a_model_that_cannot_serve_is_refused(
    spoil: Any, office: Office, make_model: MakeModel
) -> None:
    """The serving model stays, and the refusal names the folder and the reason."""
    good = make_model(office.state_dir / "models", 1)
    office.offer(good.path)
    bad = make_model(office.state_dir / "models", 2, spoil=spoil)
    outcome = office.offer(bad.path)
    assert (outcome.model, outcome.reason) == (None, "damaged")
    assert bad.id in outcome.detail
    assert office.keeper.serving is not None
    assert office.keeper.serving.published.id == good.id
    assert current.candidates(office.state_dir)[0] == good.path


@pytest.mark.parametrize("name", ["weights.safetensors", "head.safetensors", "manifest.json"])
def test_a_corrupt_byte_is_refused_and_the_file_named(
    name: str, office: Office, make_model: MakeModel
) -> None:
    """One flipped bit in any file, and the model does not serve."""
    path = make_model(office.state_dir / "models").path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    outcome = office.offer(path.parent)
    assert (outcome.model, outcome.reason) == (None, "damaged")
    assert name in outcome.detail
    assert office.keeper.serving is None


def test_worse_on_the_exam_is_refused_and_better_accepted(
    office: Office, make_model: MakeModel, make_heatmap: Any
) -> None:
    """On held-out frames that all show cars, `always car` replaces `always empty`, not back."""
    models = office.state_dir / "models"
    office.examine_on(make_heatmap(), 20)
    assert office.offer(make_model(models, 1, favours=EMPTY).path).model is not None
    assert office.offer(make_model(models, 2, favours=CAR).path).model is not None
    worse = office.offer(make_model(models, 3, favours=EMPTY).path)
    assert (worse.model, worse.reason) == (None, "worse")
    assert "0 of 20" in worse.detail
    assert worse.path not in current.candidates(office.state_dir)
    assert worse.path.with_name(f"refused-{worse.path.name}").is_dir()
    headless = office.offer(make_model(models, 4, favours=None).path)
    assert headless.reason == "worse"
    assert office.keeper.serving is not None
    assert office.keeper.serving.published.step == 2
    office.examine_on(make_heatmap(), 0)
    assert office.offer(make_model(models, 5, favours=EMPTY).path).model is not None


def test_nothing_that_a_model_does_ends_the_loader(
    office: Office, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw costs one model; the next one is judged as ever."""

    def explode(_: Path) -> Any:
        raise MemoryError("no memory for this one")

    published = make_model(office.state_dir / "models")
    with monkeypatch.context() as patch:
        patch.setattr("rvsense.daemon.models.open_model", explode)
        outcome = office.offer(published.path)
    assert (outcome.model, outcome.reason) == (None, "damaged")
    assert "no memory" in outcome.detail
    assert office.offer(office.state_dir / "nothing").reason == "damaged"
    assert office.offer(published.path).model is not None


@pytest.mark.parametrize("what", ["rollback", "release"])
def test_a_folder_that_cannot_be_listed_ends_no_loader(
    office: Office, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, what: Any
) -> None:
    """Whoever asked for something is told so, and the next one is served."""

    def unlisted(_: Path) -> Any:
        raise OSError(5, "Input/output error")

    told: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    published = make_model(office.state_dir / "models")
    assert office.offer(published.path).model is not None
    with monkeypatch.context() as patch:
        for module in ("rvsense.daemon.models", "rvsense.current"):
            patch.setattr(f"{module}.list_models", unlisted)
        office.keeper.order(Order(what, published.id, told.put))
        outcome = office.outcomes.get(timeout=30)
    assert (outcome.model, outcome.reason, outcome.asked) == (None, "impossible", what)
    assert "models: Input/output error" in outcome.detail
    assert office.offer(make_model(office.state_dir / "models", 2).path).model is not None


def test_idle_means_that_all_outcomes_were_told(tmp_path: Path, make_model: MakeModel) -> None:
    """Of offers that pile up only the newest is judged; idle comes after its outcome is out."""
    office = Office(tmp_path)
    idle = [office.keeper.idle]
    for step in range(3):
        office.keeper.offer(make_model(tmp_path / "models", step).path)
    idle.append(office.keeper.idle)
    told_while_busy: list[bool] = []
    office.keeper._on_outcome = lambda _: told_while_busy.append(not office.keeper.idle)
    office.keeper.start()
    office.keeper._tasks.join()
    assert [*idle, office.keeper.idle] == [True, False, True]
    assert told_while_busy == [True]
    assert office.keeper.serving is not None
    assert office.keeper.serving.published.step == 2
    office.keeper.stop()


def test_a_restart_begins_with_what_served(tmp_path: Path, make_model: MakeModel) -> None:
    """The model that served last is back at once; damaged, the newest whole one takes its place."""
    models = tmp_path / "models"
    assert Office(tmp_path).keeper.restore() is None
    one, two, three = (make_model(models, step) for step in (1, 2, 3))
    current.note_serving(tmp_path, two.path)
    restored = Office(tmp_path).keeper.restore()
    assert restored is not None
    assert restored.published.id == two.id
    (two.path / "weights.safetensors").write_bytes(b"torn")
    (three.path / "manifest.json").write_text("{}")
    restored = Office(tmp_path).keeper.restore()
    assert restored is not None
    assert restored.published.id == one.id


def test_a_damaged_note_is_said_and_written_anew(tmp_path: Path, make_model: MakeModel) -> None:
    """Pinned or not is not known: the newest whole model serves, and old ones may go again."""
    models = [make_model(tmp_path / "models", step) for step in (1, 2, 3)]
    current.write_note(tmp_path, current.Note(models[0].id, pinned=True))
    (tmp_path / current.NOTE).write_bytes((tmp_path / current.NOTE).read_bytes()[:-9])
    (models[2].path / "weights.safetensors").write_bytes(b"torn")
    keeper = Office(tmp_path).keeper
    with capture_logs() as lines:
        restored = keeper.restore()
    assert restored is not None
    assert restored.published.id == models[1].id
    assert [line["path"] for line in lines if line["event"] == "serving_note_damaged"] == [
        str(tmp_path / current.NOTE)
    ]
    assert [outcome.path for outcome in keeper.passed_over] == [models[2].path]
    assert current.noted(tmp_path) == keeper.note
    assert (keeper.note.model, keeper.note.pinned) == (models[1].id, False)


def test_a_model_that_the_start_refused_is_not_offered_again(
    tmp_path: Path, make_model: MakeModel
) -> None:
    """Newer than the one that serves, but known to be damaged: refused once, not twice."""
    one, two = (make_model(tmp_path / "models", step) for step in (1, 2))
    current.write_note(tmp_path, current.Note(two.id))
    (two.path / "weights.safetensors").write_bytes(b"torn")
    keeper = Office(tmp_path).keeper
    restored = keeper.restore()
    assert restored is not None
    assert restored.published.id == one.id
    keeper.offer_newest()
    assert keeper.idle
    assert [(outcome.path, outcome.reason) for outcome in keeper.passed_over] == [
        (two.path, "damaged")
    ]


def test_a_note_that_cannot_be_written_costs_no_swap(office: Office, make_model: MakeModel) -> None:
    """The disk is full or the note's place taken: the model serves all the same."""
    (office.state_dir / current.NOTE).mkdir()
    (office.state_dir / current.NOTE / "in the way").write_text("")
    assert office.offer(make_model(office.state_dir / "models").path).model is not None


def test_an_exam_that_survived_a_restart_still_refuses_the_worse(
    tmp_path: Path, make_model: MakeModel, make_heatmap: Any
) -> None:
    """Frames written by one life are what the next one's keeper judges by."""
    before = ExamStore(tmp_path / "exam")
    before.start()
    before.keep({n: (make_heatmap(n), "car") for n in range(5)})
    before.stop()
    models = tmp_path / "models"
    good = make_model(models, 1, favours=CAR)
    current.note_serving(tmp_path, good.path)

    exam = Exam(share=0.2, most=128)
    exam.restore(ExamStore(tmp_path / "exam").load())
    office = Office(tmp_path)
    office.exam = exam.items()
    office.keeper.restore()
    office.keeper.start()
    worse = office.offer(make_model(models, 2, favours=EMPTY).path)
    office.keeper.stop()
    assert (worse.model, worse.reason) == (None, "worse")
    assert "0 of 5" in worse.detail
    assert office.keeper.serving is not None
    assert office.keeper.serving.published.id == good.id


def test_a_model_that_the_device_cannot_run_leaves_the_old_one_serving(
    office: Office, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that cannot be captured is refused and said; the next model has its chance."""
    first = office.offer(make_model(office.state_dir / "models", 1).path).model
    assert first is not None

    def refuse(*_: object) -> None:
        raise ModelError("the serving pass cannot be captured on cuda")

    with monkeypatch.context() as broken:
        broken.setattr("rvsense.model.serving_pass", refuse)
        outcome = office.offer(make_model(office.state_dir / "models", 2).path)
    assert (outcome.model, outcome.reason) == (None, "damaged")
    assert "cannot be captured" in outcome.detail
    assert office.keeper.serving is first
    assert office.offer(make_model(office.state_dir / "models", 3).path).model is not None


def test_a_serving_model_that_fails_on_a_frame_keeps_no_better_one_out(
    office: Office, make_model: MakeModel, make_heatmap: Callable[..., Any]
) -> None:
    """What it cannot answer in the exam is wrong; found by `python -m tests.simulate --seed 26`."""
    first = make_model(office.state_dir / "models", step=1, favours=CAR)
    serving = office.offer(first.path).model
    assert serving is not None

    def fail(heatmaps: Any) -> Any:
        raise RuntimeError("no memory for this one")

    serving.classify = fail  # type: ignore[method-assign]
    office.examine_on(make_heatmap(1), 4)
    second = make_model(office.state_dir / "models", step=2, favours=CAR)
    outcome = office.offer(second.path)
    assert (outcome.reason, outcome.model is not None) == ("", True)


def test_the_last_refused_models_are_kept_whatever_their_step(
    office: Office, make_model: MakeModel, make_heatmap: Any
) -> None:
    """Steps count from 0 again after a loss; and the same model may be refused twice."""
    models = office.state_dir / "models"
    office.offer(make_model(models, 1, favours=CAR).path)
    office.examine_on(make_heatmap(), 20)
    worse = [make_model(models, step, favours=EMPTY) for step in (90_000, 80_000, 100)]
    for model in worse:
        assert office.offer(model.path).reason == "worse"
    kept = [f"refused-{model.id}" for model in (worse[2], worse[1])]
    assert sorted(path.name for path in models.glob("refused-*")) == kept
    again = make_model(models, 100, favours=EMPTY)
    assert again.path.is_dir()
    assert office.offer(again.path).reason == "worse"
    assert not again.path.exists()
    assert sorted(path.name for path in models.glob("refused-*")) == kept
