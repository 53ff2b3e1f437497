"""`rvsense top`: what is on the screen, that it fits, and that it follows the daemon."""

import contextlib
import copy
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import zmq
from rich.console import Console

from rvsense.errors import UsageError
from rvsense.terminal import top
from rvsense.terminal.trend import LOOKS, Trend
from rvsense.terminal.words import counted, duration, number, percent, sparkline

ANSWER: dict[str, Any] = {"label": "car", "abstain": None, "confidence": 0.93, "drift": False}
SITE: dict[str, Any] = {
    "answer": ANSWER,
    "radar_hz": 29.97,
    "camera_hz": 10.0,
    "radar_age_s": 0.1,
    "camera_age_s": 0.1,
    "offset_ms": -4.25,
    "tolerance_ms": 16.7,
    "skew_left_p99_ms": 1.5,
}
LEDGER = {"radar": {"dropped": {"unmatched": 2, "late": 1}}, "camera": {"dropped": {}}}
STATUS: dict[str, Any] = {
    "version": "9.8.7",
    "uptime_s": 7300.0,
    "replay": None,
    "recording": None,
    "health": {"live": True, "ready": True, "checks": []},
    "intake": {"rejected": {"bad_shape": 4}},
    "serving": {
        "answered": 1234,
        "dropped": {"overload": 5},
        "waiting": 1,
        "subscribers": 2,
        "abstained": {"no_model": 3},
        "latency_p50_ms": 4.2,
        "latency_p99_ms": 9.1,
    },
    "labels": {"taught": 7, "examined": 3},
    "score": {"accuracy": 0.83, "coverage": 0.9, "scored": 600},
    "model": {"step": 300, "id": "step-00000300-ab", "age_s": 61.0, "pinned": True, "held": 2},
    "swaps": 6,
    "refused": {"worse": 1},
    "learner": {
        "enabled": True,
        "up": True,
        "remote": None,
        "figures": {
            "step": 320,
            "steps_per_s": 2.5,
            "mi_bound": 2.1,
            "mi_ceiling": 6.9,
            "top1": 0.41,
            "retrieval": 0.33,
            "pairs": 100,
            "samples": 900,
            "pool": 95,
        },
    },
    "sites": {"north": SITE},
    "pairing": {"sites": {"north": LEDGER}},
    "model_history": [
        {"at_s": 0.0, "event": "swapped", "model": "step-200"},
        {"at_s": 60.0, "event": "refused", "model": "step-250", "detail": "worse than 200"},
    ],
}


def status(**changes: Any) -> dict[str, Any]:
    """A daemon's status, changed."""
    return copy.deepcopy(STATUS) | changes


def many_sites(count: int) -> dict[str, Any]:
    """A daemon of so many sites with the longest names and reasons."""
    abstains = ANSWER | {"label": None, "abstain": "out_of_distribution", "drift": True}
    names = [f"{n:02d}-{'x' * 61}" for n in range(count)]
    sites = {name: SITE | {"answer": abstains, "radar_age_s": 900.0} for name in names}
    return status(sites=sites, pairing={"sites": dict.fromkeys(names, LEDGER)})


def drawn(
    seen: dict[str, Any] | None, *, size: tuple[int, int] = (80, 24), **more: Any
) -> list[str]:
    """The lines of the page, as a terminal of this size has them."""
    trend = Trend()
    for _ in range(LOOKS + 1):
        if seen is not None:
            trend.add(seen)
    console = Console(
        file=io.StringIO(), width=size[0], height=size[1], highlight=False, record=True
    )
    console.print(top.page("tcp://here:1", seen, trend, size=console.size, **more))
    return console.export_text().splitlines()


def test_what_is_on_the_screen() -> None:
    """Sites, learner, model, answers, and what became of models, newest first."""
    text = "\n".join(drawn(STATUS))
    for part in (
        "rvsense 9.8.7  tcp://here:1  up 2 h",
        "READY",
        "north 30.0, 10.0 Hz car 0.93",
        "-4.2 ms  1.5 ms  0.1 s        3",
        "320  2.5/s",
        "2.10 of 6.90 nats",
        "41 %, retrieval 33 %",
        "95 pairs, each used 9.0×",
        "step 300, 61 s old, PINNED",
        "83 % of 600 answers",
        "6 swaps, 2 held back",
        "1234, dropped: 5 overload, waiting: 1, subscribers: 2",
        "p50 4.2, p99 9.1 ms",
        "withheld  3 no model",
        "7 taught, 3 examined   rejected messages: 4 bad shape",
        "news      00:01:00 refused step-250: worse than 200",
        "00:00:00 swapped step-200",
    ):
        assert part in text


def test_a_name_of_eleven_letters_is_shown_whole() -> None:
    """On the narrowest terminal: the sites of CRUW have ten."""
    named = status(sites={"2019_04_09x": SITE}, pairing={"sites": {"2019_04_09x": LEDGER}})
    assert any(line.startswith("2019_04_09x ") for line in drawn(named))


def test_a_daemon_that_has_just_begun() -> None:
    """Nothing is known yet, and that is what the screen says."""
    serving = STATUS["serving"] | {"latency_p50_ms": None, "latency_p99_ms": None}
    score = {"accuracy": None, "coverage": None, "scored": 0}
    learner: dict[str, Any] = {"enabled": True, "up": False, "remote": None, "figures": {}}
    check = {"name": "learner", "ok": False, "reason": "starting", "gate": "degraded"}
    fresh = status(
        model=None, sites={}, serving=serving, score=score, learner=learner, model_history=[],
        refused={}, health={"live": True, "ready": True, "checks": [check]},
    )  # fmt: skip
    text = "\n".join(drawn(fresh))
    for part in (
        "no frame has come yet",
        "none yet",
        "LEARNER   starting",
        "READY  learner: starting",
        "p99 – ms",
    ):
        assert part in text
    assert "no answer has been scored yet" in text
    learner |= {"remote": "tcp://box:5570", "restarts": 2}
    assert "LEARNER   tcp://box:5570 away" in "\n".join(drawn(status(learner=learner)))
    off = status(learner={"enabled": False, "up": False, "figures": {}})
    assert "off, as asked for" in "\n".join(drawn(off))


def test_what_is_not_well_is_said() -> None:
    """The verdict, and each check that fails; a site that abstains, drifts or is silent."""
    checks = [{"name": "answers", "ok": False, "reason": "9 frames wait", "gate": "ready"}]
    bad = many_sites(1) | {
        "health": {"live": True, "ready": False, "checks": checks},
        "recording": {"since": "now"},
        "replay": {"phase": "playing"},
    }
    text = "\n".join(drawn(bad, size=(160, 24)))
    for part in ("NOT READY  answers: 9 frames wait", "out_of_distribution!", "15 min"):
        assert part in text
    assert "RECORDING" in text
    assert "replay playing" in text
    bad["health"]["live"] = False
    assert "STUCK" in "\n".join(drawn(bad))


@pytest.mark.parametrize("count", [1, 6, 7, 64])
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_it_fits(count: int, size: tuple[int, int]) -> None:
    """Any number of sites with any names, also below the line about a daemon that is away."""
    for more in ({}, {"away_s": 12.0}):
        lines = drawn(many_sites(count), size=size, **more)
        assert len(lines) <= size[1]
        assert all(len(line) <= size[0] for line in lines)
        shown = sum(line[2:5] == "-xx" for line in lines)
        assert shown == count or f"+{count - shown} more" in "\n".join(lines)
        assert shown >= min(count, 5)


def test_a_daemon_that_is_away_is_said() -> None:
    """Above what was last known, or with what would help where nothing is."""
    lines = drawn(STATUS, away_s=12.0)
    assert lines[0].startswith("no answer from tcp://here:1 for 12 s")
    assert "rvsense 9.8.7" in lines[1]
    assert "`rvsense daemon` starts one" in drawn(None, away_s=3.0)[1]


def test_words() -> None:
    """Few columns, with a unit; a dash for what is not known."""
    assert [duration(s) for s in (None, 0.04, 9.96, 61, 7300, 200_000)] == [
        *("–", "0.0 s", "10.0 s", "61 s", "2 h", "2 d"),
    ]
    assert (number(None, ".1f", " Hz"), percent(None), percent(0.5)) == ("–", "–", "50 %")
    assert counted({"a": 0, "no_model": 2, "late": 30}) == "30 late, 2 no model"


def test_sparklines() -> None:
    """From 0 to the highest, or to a given top; the newest at the right, gaps where nothing was."""
    assert sparkline([0.0, 7.0, None, 14.0], 10) == "▁▅ █"
    assert sparkline([0.0, 7.0, None, 14.0], 2) == " █"
    assert sparkline([0.5, 2.0], 10, top=1.0) == "▅█"
    assert sparkline([0.0, None], 10) == "▁ "
    assert sparkline([1.0], 0) == ""
    assert sparkline([], 5) == ""
    assert sparkline([None, None], 5) == ""


@pytest.fixture
def daemon() -> Iterator[tuple[str, threading.Event]]:
    """A requests endpoint that gives STATUS, and the event while which it stays silent."""
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    over, silent = threading.Event(), threading.Event()

    def work() -> None:
        while not over.is_set():
            if socket.poll(20):
                route, head = socket.recv_multipart()
                reply = {"v": 1, "id": msgpack.unpackb(head)["id"], "ok": True, "status": STATUS}
                if not silent.is_set():
                    socket.send_multipart([route, msgpack.packb(reply)])
        socket.close(linger=0)

    thread = threading.Thread(target=work)
    thread.start()
    yield f"tcp://127.0.0.1:{port}", silent
    over.set()
    thread.join()
    context.term()


def test_without_a_terminal(
    daemon: tuple[str, threading.Event], capsys: pytest.CaptureFixture[str]
) -> None:
    """One plain screen; as JSON one line of all there is."""
    assert top.top(daemon[0], credentials=None, every_s=1.0, once=False, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "rvsense 9.8.7" in shown
    assert "\x1b" not in shown
    assert top.top(daemon[0], credentials=None, every_s=1.0, once=False, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    for every_s in (0.0, float("nan")):
        with pytest.raises(UsageError, match="--every"):
            top.top(daemon[0], credentials=None, every_s=every_s, once=True, as_json=False)


class Screen:
    """`rvsense top` in a terminal of its own."""

    def __init__(self, endpoint: str) -> None:
        self.pid, self._handle = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm", "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-P", "-m", "rvsense", "top", endpoint, "--every", "0.2"]
            os.execv(sys.executable, command)
        fcntl.ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def wait_for(self, text: bytes) -> None:
        """Read until this has been shown."""
        seen, until_s = b"", time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < until_s, seen[-2000:]
            if select.select([self._handle], [], [], 0.2)[0]:
                seen += os.read(self._handle, 65536)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._handle, keys)

    def end(self) -> int:
        """The exit status, once it has ended."""
        with contextlib.suppress(OSError):  # EIO: the other end has gone
            while os.read(self._handle, 65536):
                pass
        os.close(self._handle)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.process
@pytest.mark.parametrize("how", ["q", "ctrl-c", "kill"])
def test_in_a_terminal(daemon: tuple[str, threading.Event], how: str) -> None:
    """It follows the daemon, says when it is away, goes on when it is back, and tidies up."""
    endpoint, silent = daemon
    screen = Screen(endpoint)
    screen.wait_for(b"READY")
    screen.type(b"x")
    silent.set()
    screen.wait_for(b"no answer from")
    silent.clear()
    screen.wait_for(b"\x1b[1mrvsense 9.8.7")
    if how == "kill":
        os.kill(screen.pid, signal.SIGTERM)
    else:
        screen.type(b"q" if how == "q" else b"\x03")
    screen.wait_for(b"\x1b[?1049l")
    assert screen.end() == 0
