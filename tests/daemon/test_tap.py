"""The tap over real sockets: who may have it, what it carries, what it costs nobody."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from rvsense import wire
from rvsense.config import Recording
from rvsense.daemon.requests import RequestError
from rvsense.daemon.tap import Tap
from rvsense.frames import LabelFrame

LABEL = LabelFrame(site="east", seq=3, stamp_ns=5, objects=())
PARTS = wire.encode(LABEL)


class Bench:
    """A tap and a recorder that reads it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.context = zmq.Context()
        self.context.linger = 0
        self.opened: list[bool] = []
        self.tap = Tap(self.context, folder, Recording(**settings), opened=self.opened.append)
        self.reader: zmq.Socket[bytes] | None = None

    def ask(self, lease_s: Any = 10.0, by: Any = "me", token: Any = "mine" * 4) -> dict[str, Any]:
        """A recorder's request."""
        return self.tap.request({"lease_s": lease_s, "by": by, "token": token})

    def attach(self) -> dict[str, Any]:
        """Ask, connect, and ask until the tap has found us; the last reply."""
        reply = self.ask()
        self.reader = self.context.socket(zmq.PULL)
        self.reader.set_hwm(1)
        self.reader.connect(reply["endpoint"])
        until = time.monotonic() + 5
        while not (reply := self.ask())["attached"] and time.monotonic() < until:
            time.sleep(0.01)
        assert self.take()[0]["kind"] == "hello"
        return reply

    def take(self) -> tuple[dict[str, Any], list[bytes]]:
        """The next message."""
        assert self.reader is not None
        assert self.reader.poll(5000)
        head, *parts = self.reader.recv_multipart()
        return msgpack.unpackb(head), parts


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One that may be recorded."""
    it = Bench(tmp_path)
    yield it
    it.context.destroy(linger=0)


def test_nobody_asked_so_nothing_is_there(bench: Bench, tmp_path: Path) -> None:
    """Without a lease a frame goes nowhere: no socket, no file, null in the status."""
    bench.tap.frame(LABEL, PARTS)
    assert (bench.tap.open, bench.tap.as_map(), bench.opened) == (False, None, [])
    assert list(tmp_path.iterdir()) == []


def test_what_is_taken_in_comes_to_the_byte(bench: Bench) -> None:
    """Parts as they came, numbered, dated by a clock that does not jump; the status counts."""
    before_ns = time.time_ns()
    bench.attach()
    for _ in range(3):
        bench.tap.frame(LABEL, PARTS)
    seen = [bench.take() for _ in range(3)]
    assert [head["seq"] for head, _ in seen] == [0, 1, 2]
    assert [parts for _, parts in seen] == [[bytes(part) for part in PARTS]] * 3
    head = seen[0][0]
    assert (head["kind"], head["site"], head["stamp_ns"]) == ("label", "east", 5)
    assert before_ns <= head["received_ns"] <= time.time_ns()
    status = bench.tap.as_map()
    assert status is not None
    assert (status["by"], status["sites"], status["messages"]) == ("me", ["east"], 3)
    assert (status["bytes"], status["lost"]) == (3 * len(PARTS[0]), 0)
    assert bench.opened == [True]


def test_what_comes_before_the_recorder_listens_is_not_counted(bench: Bench) -> None:
    """A recording begins when it can: with the hello that found the recorder."""
    bench.ask()
    bench.tap.frame(LABEL, PARTS)
    assert bench.attach()["seq"] == 0
    bench.tap.frame(LABEL, PARTS)
    assert bench.take()[0]["seq"] == 0


def test_a_slow_recorder_loses_and_nobody_waits(tmp_path: Path) -> None:
    """What finds no room is counted, and is missing from the numbers that the recorder sees."""
    bench = Bench(tmp_path, waiting_messages=5)
    bench.attach()
    payload = bytes(300_000)
    for _ in range(200):
        bench.tap.frame(LABEL, [*PARTS, payload])
    status = bench.tap.as_map()
    assert status is not None
    assert status["lost"] > 100
    assert status["lost"] + status["messages"] == 200
    came = [bench.take()[0]["seq"] for _ in range(status["messages"])]
    assert came == sorted(set(came))
    assert bench.ask(0)["seq"] == 200
    bench.context.destroy(linger=0)


def test_one_recorder_at_a_time(bench: Bench) -> None:
    """A second one is refused by name, until the first has ended; also one that takes its name."""
    bench.ask()
    assert "mine" not in str(bench.tap.as_map())
    for by in ("another", "me"):
        for lease_s in (10.0, 0):
            with pytest.raises(RequestError, match="me records already") as caught:
                bench.ask(lease_s, by=by, token="guessed, perhaps")
            assert caught.value.code == "busy"
    bench.ask(0)
    assert bench.ask(by="another", token="other" * 4)["endpoint"]
    assert bench.opened == [True, False, True]


def test_a_lease_that_runs_out_closes_the_tap(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder that was killed leaves nothing open; the next one gets a path of its own."""
    first = bench.ask(10.0)["endpoint"]
    bench.tap.tick()
    assert bench.tap.open
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 10.1)
    bench.tap.tick()
    assert (bench.tap.open, bench.opened) == (False, [True, False])
    assert bench.ask()["endpoint"] != first


def test_a_recorder_that_was_held_up_is_told_where_its_lease_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had not taken by then is its loss to count; nobody else is told."""
    assert bench.attach()["ended_seq"] is None
    for _ in range(3):
        bench.tap.frame(LABEL, PARTS)
    for token, ended_seq in (("mine" * 4, 3), ("other" * 4, None)):
        now_s = time.monotonic()
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda now_s=now_s: now_s + 10.1)
            bench.tap.tick()
        assert not bench.tap.open
        assert bench.ask(token=token)["ended_seq"] == ended_seq
        assert bench.ask(token=token)["ended_seq"] == ended_seq


def test_the_operator_may_forbid_it(tmp_path: Path) -> None:
    """With recording.allowed = false there is no tap, whoever asks."""
    bench = Bench(tmp_path, allowed=False)
    with pytest.raises(RequestError, match=r"recording\.allowed") as caught:
        bench.ask()
    assert caught.value.code == "not_allowed"
    assert not bench.tap.open
    bench.context.term()


@pytest.mark.parametrize(
    "wrong",
    [
        {"lease_s": None},
        {"lease_s": True},
        {"lease_s": -1},
        {"lease_s": 61},
        {"lease_s": float("nan")},
        {"lease_s": "10"},
        {"by": ""},
        {"by": 7},
        {"by": "x" * 101},
        {"token": None},
        {"token": "too short"},
        {"token": "x" * 101},
    ],
)
def test_bad_requests_open_nothing(wrong: dict[str, Any], bench: Bench) -> None:
    """Each is refused with what was expected."""
    with pytest.raises(RequestError, match="expected"):
        bench.ask(**wrong)
    assert not bench.tap.open
