"""Going back to a model, pinned, and letting newer ones in again; with small real models."""

import json
import queue
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import structlog
import torch

from rvsense import current
from rvsense.config import Serving
from rvsense.daemon.conclusions import Conclusions, have_done
from rvsense.daemon.exam import Item
from rvsense.daemon.model_history import ModelHistory
from rvsense.daemon.models import MOST_WAITING, ModelKeeper, Order, Outcome
from rvsense.frames import CLASSES
from rvsense.published import REFUSAL, PublishedModel, list_models

MakeModel = Callable[..., PublishedModel]
EMPTY, CAR = CLASSES.index("empty"), CLASSES.index("car")


def parts_of(keeper: ModelKeeper) -> Any:
    """As much of a daemon's parts as is touched here."""
    return SimpleNamespace(
        keeper=keeper,
        inference=Mock(),
        metrics=Mock(),
        publisher=Mock(),
        refused=Counter(),
        model_history=ModelHistory(),
        swaps=0,
        held=0,
    )


class Desk:
    """A model keeper, and who acts on what it concludes and is asked by an operator."""

    def __init__(self, state_dir: Path, make_model: MakeModel) -> None:
        self.state_dir, self._make = state_dir, make_model
        self.exam: list[Item] = []
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.keeper = ModelKeeper(
            state_dir, Serving(), torch.device("cpu"), lambda: list(self.exam), self.outcomes.put
        )
        self.parts = parts_of(self.keeper)
        self.conclusions = Conclusions(self.parts)
        self.keeper.restore()
        self.keeper.start()

    def make(self, step: int, favours: int = CAR) -> PublishedModel:
        """A model of that age."""
        return self._make(self.state_dir / "models", step, favours=favours, created_ns=step)

    def publish(self, step: int, favours: int = CAR) -> PublishedModel:
        """The learner publishes one; wait for what becomes of it."""
        model = self.make(step, favours)
        self.keeper.offer(model.path)
        self.conclude()
        return model

    def ask(self, what: str, model: str = "previous") -> Mapping[str, Any]:
        """An operator's order, and the reply."""
        replies: list[Mapping[str, Any]] = []
        assert have_done(self.parts, what, model, replies.append)
        self.conclude()
        (reply,) = replies
        return reply

    def conclude(self) -> None:
        """What the I/O thread does with the next outcome."""
        self.conclusions.act(self.outcomes.get(timeout=30))

    @property
    def answers(self) -> str:
        """The model that the inference thread was last given."""
        return str(self.parts.inference.swap.call_args[0][0].published.id)


@pytest.fixture
def desk(tmp_path: Path, make_model: MakeModel) -> Iterator[Desk]:
    """One that is open, with nothing published."""
    it = Desk(tmp_path, make_model)
    yield it
    it.keeper.stop()


def test_back_to_the_previous_model_and_then_one_further(desk: Desk) -> None:
    """Each rollback leads to the model that served before; below the first there is none."""
    one, two, three = (desk.publish(step) for step in (1, 2, 3))
    reply = desk.ask("rollback")
    assert reply["ok"] is True
    assert reply["model"]["id"] == desk.answers == two.id
    assert (reply["pinned"], reply["previous"]) == (True, one.id)
    assert desk.ask("rollback")["model"]["id"] == desk.answers == one.id
    reply = desk.ask("rollback")
    assert reply["ok"] is False
    assert reply["error"]["code"] == "no_such_model"
    assert desk.answers == one.id
    assert desk.ask("rollback", three.id[:14])["model"]["id"] == desk.answers == three.id
    assert desk.keeper.serving is not None
    assert desk.keeper.serving.published.id == three.id


def test_newer_models_are_held_until_the_release(desk: Desk) -> None:
    """While pinned nothing takes over, and it is counted; then the newest has its exam."""
    one, two = desk.publish(1), desk.publish(2)
    desk.ask("rollback")
    held = [desk.publish(step) for step in (3, 4)]
    assert (desk.answers, desk.parts.held, desk.parts.swaps) == (one.id, 2, 3)
    assert desk.parts.refused == {}
    desk.parts.metrics.model_pinned.assert_called_with(True)
    reply = desk.ask("release")
    assert reply["model"]["id"] == desk.answers == held[-1].id
    assert (reply["pinned"], reply["reason"]) == (False, None)
    assert reply["previous"] == one.id
    desk.parts.metrics.model_pinned.assert_called_with(False)
    assert desk.publish(5).id == desk.answers
    assert two.path.is_dir()


def test_a_release_lets_in_nothing_that_is_worse(desk: Desk, make_heatmap: Any) -> None:
    """The newest is refused as ever, set aside with the reason; what was pinned serves on."""
    good = desk.publish(1)
    desk.ask("rollback", "current")
    worse = desk.publish(2, favours=EMPTY)
    desk.exam = [(make_heatmap(), "car")] * 20
    reply = desk.ask("release")
    assert (reply["model"]["id"], reply["pinned"]) == (good.id, False)
    assert (reply["tried"], reply["reason"]) == (worse.id, "worse")
    assert "0 of 20" in reply["detail"]
    refusal = json.loads((worse.path.with_name(f"refused-{worse.id}") / REFUSAL).read_text())
    assert refusal["reason"] == "worse"
    assert "0 of 20" in refusal["detail"]
    assert desk.publish(3).id == desk.answers


def test_a_release_without_a_newer_model_changes_nothing(desk: Desk) -> None:
    """It says so; and that nothing was pinned where nothing was."""
    one = desk.publish(1)
    desk.ask("rollback", "current")
    swaps = desk.parts.swaps
    assert "no newer model" in desk.ask("release")["detail"]
    assert "no model was pinned" in desk.ask("release")["detail"]
    assert (desk.answers, desk.parts.swaps) == (one.id, swaps)


@pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json"])
def test_there_is_no_way_back_to_a_damaged_model(name: str, desk: Desk) -> None:
    """The reply names the file; the serving model stays, and is not pinned."""
    one, two = desk.publish(1), desk.publish(2)
    content = bytearray((one.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (one.path / name).write_bytes(content)
    reply = desk.ask("rollback")
    assert reply["ok"] is False
    assert name in reply["error"]["message"]
    assert desk.answers == two.id
    assert not desk.keeper.note.pinned
    assert desk.parts.refused == {}
    assert desk.publish(3).id == desk.answers


@pytest.mark.parametrize("name", ["", "step-9", "nonsense", "../models", "step-0000000"])
def test_a_name_that_means_no_model_or_several_is_refused(name: str, desk: Desk) -> None:
    """The reply says which models there are."""
    one, two = desk.publish(1), desk.publish(2)
    reply = desk.ask("rollback", name)
    assert reply["error"]["code"] == "no_such_model"
    assert one.id in reply["error"]["message"]
    assert desk.answers == two.id


def test_pruning_spares_the_pinned_model_and_the_one_before(desk: Desk) -> None:
    """However long newer ones are held, there is a way back from the way back."""
    ids = [desk.publish(step).id for step in (1, 2, 3)]
    desk.ask("rollback")
    newer = [desk.publish(step).id for step in (4, 5, 6, 7)]
    current.prune(desk.state_dir, 2, newer[-1])
    kept = [path.name for path in list_models(desk.state_dir / "models")]
    assert kept == [ids[0], ids[1], *newer[-2:]]


def test_the_way_back_from_a_model_that_was_held_leads_to_what_served(desk: Desk) -> None:
    """And the disk keeps it: the operator went forward by hand, and may regret it."""
    one, two = desk.publish(1), desk.publish(2)
    desk.ask("rollback", "current")
    held = desk.publish(3)
    assert desk.ask("rollback", held.id)["previous"] == two.id
    current.prune(desk.state_dir, 1, held.id)
    assert desk.ask("rollback")["model"]["id"] == desk.answers == two.id
    assert not one.path.exists()


def test_a_pin_survives_a_restart(desk: Desk, make_model: MakeModel) -> None:
    """The next life begins with the pinned model, holds newer ones, and knows the one before."""
    one, two, _ = desk.publish(1), desk.publish(2), desk.publish(3)
    assert desk.ask("rollback")["survives_restart"] is True
    desk.keeper.stop()
    again = Desk(desk.state_dir, make_model)
    assert again.keeper.serving is not None
    assert again.keeper.serving.published.id == two.id
    newest = again.publish(4)
    assert again.parts.held == 1
    assert again.ask("rollback")["model"]["id"] == one.id
    assert again.ask("release")["model"]["id"] == newest.id
    again.keeper.stop()


def test_the_pin_of_a_model_that_is_lost_is_lost(desk: Desk, make_model: MakeModel) -> None:
    """Rather than hold for ever what nobody chose: said in the log, and newer models serve."""
    desk.publish(1)
    two = desk.publish(2)
    desk.ask("rollback", "current")
    desk.keeper.stop()
    (two.path / "weights.safetensors").write_bytes(b"torn")
    with structlog.testing.capture_logs() as logs:
        again = Desk(desk.state_dir, make_model)
    assert "model_pin_lost" in [line["event"] for line in logs]
    assert again.publish(3).id == again.answers
    again.keeper.stop()


def test_a_full_disk_costs_no_way_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model serves and is pinned; the reply says that a restart would not know."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    one = desk.publish(1)
    desk.publish(2)
    with monkeypatch.context() as patch:
        patch.setattr("rvsense.current.write_note", full)
        reply = desk.ask("rollback")
    assert (reply["model"]["id"], reply["survives_restart"]) == (one.id, False)
    assert desk.ask("rollback", "current")["survives_restart"] is True


def test_an_order_waits_for_the_offer_before_it(tmp_path: Path, make_model: MakeModel) -> None:
    """Offers are overtaken by newer offers alone: an order finds what was offered before it."""
    desk = Desk(tmp_path, make_model)
    desk.keeper.stop()  # so that both wait
    keeper = ModelKeeper(tmp_path, Serving(), torch.device("cpu"), list, desk.outcomes.put)
    one, two, three = (desk.make(step) for step in (1, 2, 3))
    keeper.offer(one.path)
    keeper.offer(two.path)
    told: list[Outcome] = []
    assert keeper.order(Order("rollback", "current", told.append))
    keeper.offer(three.path)
    keeper.start()
    outcomes = [desk.outcomes.get(timeout=30) for _ in range(3)]
    assert [(o.path.name, o.asked, o.reason) for o in outcomes] == [
        (two.id, "", ""),
        (two.id, "rollback", ""),
        (three.id, "", "held"),
    ]
    keeper.stop()


def test_a_reply_tells_how_its_own_order_ended(desk: Desk) -> None:
    """Even where the keeper has gone on to the next one by then."""
    one, two = desk.publish(1), desk.publish(2)
    replies: list[Mapping[str, Any]] = []
    for model in (one.id, two.id):
        assert have_done(desk.parts, "rollback", model, replies.append)
    outcomes = [desk.outcomes.get(timeout=30) for _ in range(2)]
    for outcome in outcomes:
        desk.conclusions.act(outcome)
    assert [reply["model"]["id"] for reply in replies] == [one.id, two.id]


def test_a_start_examines_what_was_published_meanwhile(desk: Desk, make_model: MakeModel) -> None:
    """With nobody to judge it then; not where a model is pinned, nor what is older."""
    one, two = desk.publish(1), desk.publish(2)
    desk.ask("rollback")
    desk.keeper.stop()
    pinned = Desk(desk.state_dir, make_model)
    pinned.keeper.offer_newest()
    assert pinned.ask("release", "")["model"]["id"] == two.id
    pinned.keeper.stop()
    three = pinned.make(3)
    again = Desk(desk.state_dir, make_model)
    assert again.keeper.note.model == two.id
    again.keeper.offer_newest()
    again.conclude()
    assert again.answers == three.id
    again.keeper.offer_newest()
    assert again.keeper.idle
    assert again.ask("rollback")["previous"] == one.id
    again.keeper.stop()


def test_orders_do_not_pile_up(tmp_path: Path) -> None:
    """A client that keeps asking is told to come back."""
    keeper = ModelKeeper(tmp_path, Serving(), torch.device("cpu"), list, lambda _: None)
    order = Order("release", "", lambda _: None)
    taken = [keeper.order(order) for _ in range(MOST_WAITING + 3)]
    assert taken == [True] * MOST_WAITING + [False] * 3


def test_the_history_tells_of_the_way_back(desk: Desk) -> None:
    """As a page shows it."""
    desk.publish(1)
    desk.publish(2)
    desk.ask("rollback")
    events = [event["event"] for event in desk.parts.model_history.as_list()]
    assert events == ["swapped", "swapped", "rolled_back"]
