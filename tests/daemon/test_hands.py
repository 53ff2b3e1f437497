"""What is done about effects, the learner's words and a new configuration."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from rvsense.answer import Answer
from rvsense.config import Config, Endpoints, Serving
from rvsense.daemon.effects import Classify, Effect, Examine, Refused, Teach, Truth
from rvsense.daemon.hands import Hands
from rvsense.daemon.inference import Inference
from rvsense.daemon.learner_events import LearnerEvents
from rvsense.daemon.model_history import ModelHistory
from rvsense.daemon.models import Outcome
from rvsense.daemon.outbox import Outbox
from rvsense.daemon.reload import Reloader
from rvsense.daemon.scoring import Given, Score
from rvsense.daemon.tally import Tally
from rvsense.errors import ConfigError
from rvsense.link import Label


def test_the_serving_ledger_balances_through_overload(make_radar: Any) -> None:
    """Frames that are pushed out or refused are counted at the instant it happens."""
    inference = Inference(Serving(max_waiting_frames=2), lambda _: None, None)
    tally = Tally()
    hands = Hands(inference, None, tally, Score(), Mock(), latest=Mock(), keep_exam=Mock())
    for seq in range(5):
        tally.received["radar"] += 1
        hands.carry_out([Classify(make_radar(seq), 0)])
        assert tally.serving(inference.waiting)["balanced"]
    tally.received["radar"] += 1
    hands.carry_out([Refused("east", "late")])
    assert tally.dropped == {"overload": 3, "late": 1}
    assert tally.serving(inference.waiting)["balanced"]


def test_without_a_learner_nothing_is_put_aside(make_radar: Any) -> None:
    """Labels still score answers; with a learner they are queued for it too."""
    frame = make_radar(0)
    effects: list[Effect] = [
        Teach(Label("east", 0, 0, "car", frame.heatmap)),
        Truth("east", 0, 0, "car"),
    ]
    for outbox in (None, Outbox(most=4)):
        tally, score = Tally(), Score()
        given = Given(Answer("car", {"car": 0.9}, 0.5, None), "m", False)
        score.answered(("east", 0, 0), given)
        Hands(Mock(), outbox, tally, score, Mock(), latest=Mock(), keep_exam=Mock()).carry_out(
            effects
        )
        assert score.scored == 1
        assert tally.taught == (outbox is not None)
        if outbox is not None:
            assert outbox.next() is not None


def test_a_frame_for_the_exam_is_counted_and_saved(make_radar: Any) -> None:
    """The store is told at once; the learner never hears of it."""
    tally, keep_exam, outbox = Tally(), Mock(), Outbox(most=4)
    hands = Hands(Mock(), outbox, tally, Score(), Mock(), latest=Mock(), keep_exam=keep_exam)
    hands.carry_out([Examine(Label("east", 0, 0, "car", make_radar(0).heatmap))])
    assert (tally.examined, keep_exam.call_count, outbox.empty) == (1, 1, True)


class FakeLearner:
    """Says what it is told to."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.outbox = Outbox(most=4)
        self.state = SimpleNamespace(restarts=0, up=True, cuts=0)

    def pump(self, now: float) -> None:
        """Nothing to send."""

    def receive(self) -> list[Any]:
        """What was said."""
        said, self.said = self.said, []
        return said


@pytest.fixture
def parts() -> Any:
    """As much of a daemon's parts as these classes touch."""
    return SimpleNamespace(
        learner=FakeLearner(),
        metrics=Mock(),
        keeper=Mock(),
        inference=Mock(),
        publisher=Mock(),
        outcomes=SimpleQueue(),
        landing=None,
        refused=Counter(),
        swaps=0,
        model_history=ModelHistory(),
        notifier=Mock(),
        doors=SimpleNamespace(reload=lambda now_s: False, doorman=None),
        config=Config(),
    )


def test_a_learner_that_speaks_nonsense_ends_nothing(parts: Any) -> None:
    """Messages without their keys are passed over; later ones count."""
    events = LearnerEvents(parts)
    nonsense: list[Any] = [("model", {}, []), ("checkpoint", {"ok": True}, [])]
    for said in nonsense:
        parts.learner.said = [said]
        events.turn(0.0)
    parts.learner.said = [("model", {"path": "models/step-1"}, [])]
    events.turn(1.0)
    parts.keeper.offer.assert_called_once_with(Path("models/step-1"))


def test_a_refused_model_is_counted_and_not_swapped_in(parts: Any, fake_model: Any) -> None:
    """Refusals are told by reason; what passed is swapped and announced."""
    events = LearnerEvents(parts)
    parts.outcomes.put(Outcome(Path("step-1"), None, "worse", "0 of 20"))
    events.turn(0.0)
    assert parts.refused == {"worse": 1}
    parts.inference.swap.assert_not_called()
    model = fake_model("step-2")
    parts.outcomes.put(Outcome(Path("step-2"), model))
    events.turn(0.0)
    parts.inference.swap.assert_called_once_with(model)
    ((topic, values), _) = parts.publisher.announce.call_args
    assert (topic, values) == ("model", {"id": "step-2", "step": 1, "sha256": "ab"})
    assert parts.swaps == 1


def test_a_reload_applies_what_it_can_and_names_the_rest(parts: Any) -> None:
    """Thresholds take effect at once; an endpoint waits for a restart and stays as it was."""
    serving = Serving(min_confidence=0.7, device="cpu")
    new = replace(Config(), serving=serving, endpoints=Endpoints(http="127.0.0.1:1"))
    outcome = Reloader(parts, lambda: new)()
    assert outcome["applied"] == ["serving.min_confidence"]
    assert sorted(outcome["needs_restart"]) == ["endpoints.http", "serving.device"]
    for part in (parts.inference, parts.publisher, parts.keeper):
        assert part.settings.min_confidence == 0.7
        assert part.settings.device == "auto"
    assert parts.config.endpoints == Endpoints()


def test_a_bad_reload_keeps_the_old(parts: Any) -> None:
    """Unreadable, or nothing to read: the error comes through and nothing has changed."""
    before = parts.config

    def fail() -> Config:
        raise ConfigError("serving.max_batch = 0: at least 1")

    for read in (fail, None):
        with pytest.raises(ConfigError):
            Reloader(parts, read)()
    assert parts.config is before
    assert parts.metrics.reloaded.call_count == 2
