"""What a learner says that no learner of ours would: it costs that message, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from rvsense import link
from rvsense.daemon.hearsay import LONGEST, MOST, details, words
from rvsense.daemon.learner_events import MOST_NOTICES
from rvsense.daemon.learner_link import BURST
from tests.fuzz.ends import DaemonEnd, daemon_end


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonEnd]:
    """One that is connected to a learner."""
    with daemon_end(tmp_path) as end:
        yield end


def nested(levels: int) -> Any:
    """Lists within lists."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("op", "values"),
    [
        ("figures", {"mi_bound": "high"}),
        ("figures", {"top1": [1]}),
        ("figures", {"pairs": 1.5}),
        ("figures", {"step": -1}),
        ("figures", {"loss": nested(400)}),
        ("figures", {"anything": nested(5)}),
        ("figures", {"anything": b"bytes"}),
        ("figures", {"anything": msgpack.Timestamp(1)}),
        ("figures", {"anything": "x" * link.MOST_HEAD_BYTES}),
        ("ready", {"step": "1"}),
        ("taken", {"count": True}),
        ("refused", {"reason": ["x"]}),
        ("notice", {"level": "info", "event": ["x"]}),
        ("notice", {"event": "x"}),
        ("checkpoint", {"ok": 1, "seconds": 0.1, "error": ""}),
        ("gone", {"id": 7}),
        ("chunk", {"id": "x", "name": "y", "offset": 0.5}),
    ],
)
def test_a_message_out_of_form_is_not_understood(
    daemon: DaemonEnd, op: str, values: dict[str, Any]
) -> None:
    """The pages and the live line are made as before, and the next message is heard."""
    learner = daemon.parts.learner
    assert learner is not None
    assert daemon.hear(link.pack("figures", step=3, loss=1.5)) == "taken"
    assert daemon.hear(link.pack(op, **values)) == "not understood"
    assert learner.state.figures == {"step": 3, "loss": 1.5}
    assert learner.state.up
    assert daemon.hear(link.pack("figures", step=4, loss=None)) == "taken"


def test_one_message_does_not_cost_those_behind_it(daemon: DaemonEnd) -> None:
    """Of several that come at once."""
    learner = daemon.parts.learner
    assert learner is not None
    for message in (link.pack("model", id=[]), link.pack("chunk", id="x"), link.pack("figures")):
        daemon.router.send_multipart([daemon.peer, *message])
    daemon.hear(link.pack("checkpoint", ok=False, seconds=0.1, error="the disk is full"))
    assert daemon.parts.metrics.registry.get_sample_value("rvsense_checkpoint_failures_total") == 1


def test_the_log_has_so_much_of_it_a_minute(daemon: DaemonEnd) -> None:
    """However it is called, and nothing of ours is written over."""
    for n in range(3 * MOST_NOTICES):
        said: dict[str, Any] = {
            "event": f"event {n}",
            "detail": "x" * 10_000,
            "logger": "l",
            "timestamp": "never",
        }
        message = [daemon.peer, *link.pack("notice", level="warning", exc_info=True, **said)]
        daemon.router.send_multipart(message)
    for _ in range(20):
        daemon.loop.turn(20)
    lines = [json.loads(line) for line in daemon.log.getvalue().splitlines()]
    notices = [line for line in lines if line["event"].startswith("event ")]
    assert len(notices) == MOST_NOTICES
    assert all(set(line) == {"timestamp", "level", "event", "detail"} for line in notices)
    assert all(len(line["detail"]) == LONGEST for line in notices)


def test_a_learner_that_never_stops_talking_keeps_nobody_waiting(daemon: DaemonEnd) -> None:
    """So many messages in a turn; the others are taken in the next ones."""
    learner = daemon.parts.learner
    assert learner is not None
    for count in range(4 * BURST):
        daemon.router.send_multipart([daemon.peer, *link.pack("taken", count=count)])
    heard: list[int] = []
    while sum(heard) < 4 * BURST:
        heard.append(len(learner.receive()))
    assert max(heard) <= BURST


def test_details_are_few_and_short() -> None:
    """Whatever their names and values are."""
    values: dict[str, Any] = {f"name {n}": n for n in range(100)}
    assert list(details(values)) == list(values)[:MOST]
    long: dict[str, Any] = {"x" * 10_000: 1, "list": list(range(10_000)), "text": "x" * 10_000}
    assert set(details(long)) == {"list", "text"}
    assert len(repr(details(long))) < 2 * LONGEST
    assert details({"daemons": ["one", "two"]}) == {"daemons": ["one", "two"]}
    assert words("short") == "short"
