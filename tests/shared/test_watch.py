"""`rvsense echo` and `rvsense hz` beside a results socket."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
import zmq

from rvsense import addresses, results, watch
from rvsense.errors import UsageError
from rvsense.requesting import NoAnswerError
from rvsense.results import Result
from rvsense.terminal.lines import result_line


@pytest.fixture
def endpoint(make_result: Callable[..., Result]) -> Iterator[str]:
    """A socket on which every third result is lost, until the test ends."""
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    ended = threading.Event()

    def publish() -> None:
        number = 0
        while not ended.wait(0.005):
            number += 1
            if number % 3:
                now = time.time_ns()
                times = {"received_ns": now - 2_000_000, "published_ns": now}
                socket.send_multipart(results.pack(make_result(result_seq=number, **times)))
        socket.close(linger=0)

    thread = threading.Thread(target=publish)
    thread.start()
    yield f"tcp://127.0.0.1:{port}"
    ended.set()
    thread.join()
    context.term()


def test_echo_prints_one_line_each(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As many lines as asked for: for a person, and as JSON for a program."""
    assert watch.echo(endpoint, "", 3, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("east" in line and "car" in line and "step 100" in line for line in lines)
    assert watch.echo(endpoint, "east", 2, as_json=True) == 0
    maps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["site"] for one in maps] == ["east", "east"]
    assert all(one["radio_only"] for one in maps)


def test_hz_prints_rate_latency_and_gaps(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each window has its line with latency and what was missed."""
    assert watch.hz(endpoint, "", 2, window_s=0.3) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("Hz" in line and "p99 2.0 ms" in line for line in lines)
    assert int(lines[-1].rsplit("missed ", 1)[1]) > 0


def test_hz_as_json(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same figures, each window a line."""
    assert watch.hz(endpoint, "east", 1, window_s=0.3, as_json=True) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["results"] > 10
    assert figures["hz"] == pytest.approx(figures["results"] / 0.3)
    assert figures["latency_p99_ms"] == pytest.approx(2.0)
    assert figures["missed"] > 0
    assert watch.rates([1.0], 2.0, 0) == {
        "window_s": 2.0,
        "results": 1,
        "hz": 0.5,
        "latency_p50_ms": None,
        "latency_p99_ms": None,
        "missed": 0,
    }


STATUS: dict[str, Any] = {
    "v": 1,
    "uptime_s": 600.0,
    "health": {"ready": False},
    "serving": {"answered": 7, "latency_p99_ms": None},
    "score": {"accuracy": 0.5},
    "model": {"step": 100},
    "learner": {"figures": {"step": 120}},
}


@pytest.fixture
def news() -> Iterator[str]:
    """A socket that tells each new subscriber of a model and of a status, as a daemon does."""
    context = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # else a topic that the last one still has is no news
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    ended = threading.Event()
    model = {"v": 1, "id": "step-100-ab", "step": 100, "sha256": "ab" * 32}

    def serve() -> None:
        while not ended.is_set():
            if socket.poll(20):
                socket.recv()
                socket.send_multipart([b"model", msgpack.packb(model)])
                socket.send_multipart([b"status", msgpack.packb(STATUS)])
        socket.close(linger=0)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"tcp://127.0.0.1:{port}"
    ended.set()
    thread.join()
    context.term()


def test_echo_of_other_topics(news: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Which model answers, and how the daemon is: a line for a person, the map for a program."""
    watch.echo(news, topic="model", count=1, timeout_s=5.0)
    assert capsys.readouterr().out.startswith("step 100  step-100-ab  sha256 abab")
    watch.echo(news, topic="status", count=1, timeout_s=5.0)
    line = capsys.readouterr().out
    for part in ("NOT READY", "up 10 min", "7 answered", "p99 –", "accuracy 50 %", "step 120"):
        assert part in line
    watch.echo(news, topic="status", count=1, timeout_s=5.0, as_json=True)
    assert json.loads(capsys.readouterr().out) == STATUS


def test_patience_ends_and_says_why(news: str) -> None:
    """A daemon without frames is told from no daemon; both are errors once the time is over."""
    with pytest.raises(NoAnswerError, match=r"no result of site x within 0.3 s: connected to"):
        watch.echo(news, "x", timeout_s=0.3)
    with pytest.raises(NoAnswerError, match=r"nothing publishes at .* `rvsense daemon` starts"):
        watch.echo("tcp://127.0.0.1:9", timeout_s=0.2)
    with pytest.raises(NoAnswerError, match="nothing publishes"):
        watch.hz("tcp://127.0.0.1:9", window_s=0.1, timeout_s=0.25)


def test_who_waits_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, again and again, with what would help."""
    monkeypatch.setattr(watch, "QUIET_S", 0.1)
    with pytest.raises(NoAnswerError):
        watch.echo("tcp://127.0.0.1:9", timeout_s=0.35)
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) >= 2
    assert "waiting (Ctrl-C ends): nothing publishes at tcp://127.0.0.1:9" in told.err


def test_an_abstention_shows_its_reason(make_result: Callable[..., Result]) -> None:
    """Where there is no class the line says why, in parentheses."""
    line = result_line(make_result(label=None, abstain="no_labels", model=None))
    assert "(no_labels)" in line
    assert "no model" in line


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:x", ""])
def test_a_malformed_endpoint_is_named_with_its_form(endpoint: str) -> None:
    """What is no endpoint is a usage error that says what one looks like."""
    with pytest.raises(UsageError) as refused:
        watch.echo(endpoint, "", 1, as_json=False)
    with pytest.raises(UsageError, match=re.escape(str(refused.value))):
        watch.hz(endpoint, "", 1, window_s=1.0)
    assert repr(endpoint) in str(refused.value)
    assert addresses.PEER_FORM in str(refused.value)


@pytest.mark.parametrize("where", ["127.0.0.1:0", "127.0.0.1:*", "*:5561"])
def test_what_a_listener_leaves_open_cannot_be_followed(where: str) -> None:
    """Only a listener can let a port or an interface be picked: who connects is told so."""
    with pytest.raises(UsageError, match="the host and port it really got"):
        watch.echo(f"tcp://{where}", "", 1, as_json=False)


@pytest.mark.parametrize("window_s", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_a_window_is_a_time_to_wait(window_s: float) -> None:
    """A window that is none, or has no end, is a usage error that names the flag."""
    with pytest.raises(UsageError, match="--window"):
        watch.hz("tcp://127.0.0.1:9", "", 1, window_s=window_s)


def test_a_count_is_not_negative() -> None:
    """Both commands refuse to stop after less than nothing."""
    with pytest.raises(UsageError, match="--count -1"):
        watch.echo("tcp://127.0.0.1:9", "", -1, as_json=False)
    with pytest.raises(UsageError, match="--count -1"):
        watch.hz("tcp://127.0.0.1:9", "", -1, window_s=1.0)
