"""What became of models is remembered, a bounded while and at bounded length."""

import json
from typing import Any

from rvsense.daemon.model_history import DETAIL_CHARS, EVENTS, ModelHistory


def test_events_come_in_order_and_the_oldest_go(fake_model: Any) -> None:
    """A model that serves and one that was refused, each with what there is to say of it."""
    history = ModelHistory()
    for n in range(EVENTS + 3):
        model = fake_model(f"step-{n}")
        model.published.step = n
        model.published.manifest["head"] = {"labels": {"car": n, "empty": 1}, "accuracy": 0.5}
        history.serves(model, "swapped")
    history.refused("step-99", "damaged", "a page of text " * 1000)
    events = history.as_list()
    assert len(events) == EVENTS
    assert [event["model"] for event in events[-2:]] == [f"step-{EVENTS + 2}", "step-99"]
    served, refused = events[-2:]
    assert (served["labels"], served["held_out_accuracy"]) == (EVENTS + 3, 0.5)
    assert (refused["event"], refused["reason"]) == ("refused", "damaged")
    assert len(refused["detail"]) == DETAIL_CHARS
    json.dumps(events)


def test_a_model_without_a_head(fake_model: Any) -> None:
    """Nobody has labelled anything yet: no labels, no accuracy."""
    history = ModelHistory()
    history.serves(fake_model("step-1"), "restored")
    (event,) = history.as_list()
    assert (event["labels"], event["held_out_accuracy"]) == (0, None)
