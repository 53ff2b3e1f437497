"""`rvsense echo` and `rvsense hz` beside a results socket."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import zmq

from rvsense import addresses, results, watch
from rvsense.errors import UsageError
from rvsense.results import Result


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


def test_an_abstention_shows_its_reason(make_result: Callable[..., Result]) -> None:
    """Where there is no class the line says why, in parentheses."""
    line = watch._line(make_result(label=None, abstain="no_labels", model=None))
    assert "(no_labels)" in line
    assert "no model" in line


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:x", ""])
def test_a_malformed_endpoint_is_named_with_its_form(endpoint: str) -> None:
    """What is no endpoint is a usage error that says what one looks like."""
    with pytest.raises(UsageError) as refused:
        watch.echo(endpoint, "", 1, as_json=False)
    with pytest.raises(UsageError, match=re.escape(str(refused.value))):
        watch.hz(endpoint, "", 1, 1.0)
    assert repr(endpoint) in str(refused.value)
    assert addresses.ENDPOINT_FORM in str(refused.value)


@pytest.mark.parametrize("port", ["0", "*"])
def test_a_port_to_be_picked_cannot_be_followed(port: str) -> None:
    """Only a listener can let a free port be picked: who connects is told so."""
    with pytest.raises(UsageError, match="the port"):
        watch.echo(f"tcp://127.0.0.1:{port}", "", 1, as_json=False)
    with pytest.raises(UsageError, match="cannot be connected to"):
        watch.echo("tcp://*:5561", "", 1, as_json=False)


@pytest.mark.parametrize("window_s", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_a_window_is_a_time_to_wait(window_s: float) -> None:
    """A window that is none, or has no end, is a usage error that names the flag."""
    with pytest.raises(UsageError, match="--window"):
        watch.hz("tcp://127.0.0.1:9", "", 1, window_s)


def test_a_count_is_not_negative() -> None:
    """Both commands refuse to stop after less than nothing."""
    with pytest.raises(UsageError, match="--count -1"):
        watch.echo("tcp://127.0.0.1:9", "", -1, as_json=False)
    with pytest.raises(UsageError, match="--count -1"):
        watch.hz("tcp://127.0.0.1:9", "", -1, 1.0)
