"""Requests over a real ROUTER, from DEALER and REQ sockets; every one gets a reply."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvsense.answer import Answer
from rvsense.config import Intake, Serving
from rvsense.daemon.inference import Asked
from rvsense.daemon.label_use import Use
from rvsense.daemon.requests import BURST, Requests
from rvsense.daemon.sockets import bind, request_message_bytes
from rvsense.errors import ConfigError, FrameError
from rvsense.frames import LabelFrame

HEATMAP = np.zeros((1, 128, 128, 2), "<f4").tobytes()
CLASSIFY: dict[str, Any] = {"op": "classify", "shape": [1, 128, 128, 2], "dtype": "<f4"}
LABEL: dict[str, Any] = {"op": "label", "site": "east", "stamp_ns": 5, "objects": []}


class FakeInference:
    """Answers at once, from a thread of its own as the real one does; or says it is busy."""

    def __init__(self, model: Any) -> None:
        self.settings = Serving(min_confidence=0.5)
        self.model = model
        self.busy = False
        self.answer = Answer("car", {"car": 0.9}, 0.5, None)

    def ask(self, asked: Asked) -> bool:
        """As Inference.ask."""
        if not self.busy:
            threading.Thread(target=asked.reply, args=(self.answer, self.model)).start()
        return not self.busy


class Office:
    """A Requests with everything around it, and one client."""

    def __init__(self, model: Any, kind: int = zmq.DEALER) -> None:
        self.context = zmq.Context()
        self.context.linger = 0
        self.router, endpoint = bind(
            self.context,
            zmq.ROUTER,
            "tcp://127.0.0.1:0",
            "--requests",
            max_message_bytes=request_message_bytes(Intake()),
        )
        self.client = self.context.socket(kind)
        self.client.connect(endpoint)
        self.inference = FakeInference(model)
        self.labels: list[LabelFrame] = []
        self.use: Use = "taught"
        self.orders: list[tuple[str, str]] = []
        self.trouble: Exception | None = None
        self.rings = 0
        self.requests = Requests(
            self.router,
            self.inference,  # type: ignore[arg-type]
            take_label=self._take_label,
            frames=lambda: {"east": [(0, 5), (0, 6)]},
            status=lambda: {"uptime_s": 1.5},
            reload=self._reload,
            order=self._take_order,
            record=lambda head: {"lease_s": head.get("lease_s")},
            ring=self._ring,
        )

    def _take_label(self, label: LabelFrame) -> Use:
        if self.trouble:
            raise self.trouble
        self.labels.append(label)
        return self.use

    def _reload(self) -> dict[str, Any]:
        if self.trouble:
            raise self.trouble
        return {"applied": ["log_level"], "needs_restart": []}

    def _take_order(self, what: str, model: str, reply: Any) -> bool:
        self.orders.append((what, model))
        if not self.inference.busy:
            reply({"ok": True, "pinned": what == "rollback"})
        return not self.inference.busy

    def _ring(self) -> None:
        self.rings += 1

    def turn(self) -> None:
        """What the I/O thread does until the client has an answer."""
        until = time.monotonic() + 5
        while not self.client.poll(5) and time.monotonic() < until:
            self.requests.handle()
            self.requests.flush()

    def ask(self, values: Any, *payload: bytes) -> dict[str, Any]:
        """The reply to a request."""
        head = values if isinstance(values, bytes) else msgpack.packb({"v": 1, "id": 1} | values)
        self.client.send_multipart([head, *payload])
        self.turn()
        (reply,) = self.client.recv_multipart(zmq.NOBLOCK)
        answer: dict[str, Any] = msgpack.unpackb(reply)
        assert answer["v"] == 1
        return answer


@pytest.fixture
def office(fake_model: Any) -> Iterator[Office]:
    """One with a DEALER for a client."""
    it = Office(fake_model("step-1"))
    yield it
    it.context.destroy(linger=0)


def test_golden_bytes(office: Office) -> None:
    """The bytes of a request and of its reply are fixed."""
    request = bytes.fromhex("83 a17601 a2696407 a26f70 a6737461747573")
    office.client.send_multipart([request])
    office.turn()
    reply = "84 a17601 a2696407 a26f6b c3 a6737461747573 81 a8757074696d655f73 cb3ff8000000000000"
    assert office.client.recv_multipart(zmq.NOBLOCK) == [bytes.fromhex(reply)]


def test_classify(office: Office) -> None:
    """A heatmap alone is enough; the answer names its model, and the I/O thread is woken."""
    reply = office.ask(CLASSIFY, HEATMAP)
    assert reply == {
        "v": 1,
        "id": 1,
        "ok": True,
        "label": "car",
        "probs": {"car": 0.9},
        "abstain": None,
        "ood_score": 0.5,
        "model": {"id": "step-1", "step": 1, "sha256": "ab", "published_ns": 5},
        "radio_only": True,
    }
    assert office.rings == 1
    office.inference.answer = Answer("car", {"car": 0.3}, 0.5, None)
    reply = office.ask(CLASSIFY, HEATMAP)
    assert (reply["label"], reply["abstain"]) == (None, "low_confidence")


def test_a_busy_daemon_says_so(office: Office) -> None:
    """Too many requests are refused with a code, not queued without end."""
    office.inference.busy = True
    assert office.ask(CLASSIFY, HEATMAP)["error"]["code"] == "busy"


def test_label(office: Office) -> None:
    """A label is taken in as if it had come by the intake."""
    reply = office.ask(LABEL | {"objects": [{"class": "car", "range_m": 5, "azimuth_rad": 0}]})
    assert (reply["ok"], reply["joined"], reply["use"]) == (True, True, "taught")
    (label,) = office.labels
    assert (label.site, label.stamp_ns, len(label.objects)) == ("east", 5, 1)


def test_a_label_that_came_to_nothing_says_why(office: Office) -> None:
    """`joined` is for programs of yesterday, `use` is the reason."""
    office.use = "late"
    reply = office.ask(LABEL)
    assert (reply["ok"], reply["joined"], reply["use"]) == (True, False, "late")


def test_frames_at_hand(office: Office) -> None:
    """What a label may still name: epoch and stamp of each frame, by site."""
    assert office.ask({"op": "frames"})["frames"] == {"east": [[0, 5], [0, 6]]}


@pytest.mark.parametrize("key", ["site", "stamp_ns", "objects"])
def test_a_label_must_name_its_frame(key: str, office: Office) -> None:
    """A label without site, stamp or objects is refused, and opens no site by accident."""
    reply = office.ask({name: value for name, value in LABEL.items() if name != key})
    assert reply["error"]["code"] == "bad_field"
    assert key in reply["error"]["message"]
    assert office.labels == []


def test_status_and_reload(office: Office) -> None:
    """The status as `/statusz`; a reload tells what it changed, a refused one why."""
    assert office.ask({"op": "status"})["status"] == {"uptime_s": 1.5}
    assert office.ask({"op": "reload"})["applied"] == ["log_level"]
    office.trouble = ConfigError("seed = x: a whole number expected")
    error = office.ask({"op": "reload"})["error"]
    assert error["code"] == "refused"
    assert "seed = x" in error["message"]
    office.trouble = FrameError("too_many_sites", "site east would be number 65")
    assert office.ask(LABEL)["error"]["code"] == "too_many_sites"


def nested(depth: int) -> Any:
    """A list in a list in a list …"""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD: dict[str, tuple[str, Any, list[bytes]]] = {
    "nothing": ("bad_header", b"\xc0", []),
    "no msgpack": ("bad_header", b"\xc1", []),
    "a long header": ("bad_header", b"\x00" * 5000, []),
    "version 2": ("bad_version", {"v": 2, "op": "status"}, []),
    "version true": ("bad_version", {"v": True, "op": "status"}, []),
    "no op": ("bad_op", {}, []),
    "an unknown op": ("bad_op", {"op": "dance"}, []),
    "an op nested deep": ("bad_op", {"op": nested(300)}, []),
    "no payload": ("bad_parts", CLASSIFY, []),
    "two payloads": ("bad_parts", CLASSIFY, [HEATMAP, HEATMAP]),
    "a short payload": ("bad_size", CLASSIFY, [HEATMAP[:-1]]),
    "NaN": ("not_finite", CLASSIFY, [b"\xff" * len(HEATMAP)]),
    "no shape": ("bad_shape", {"op": "classify", "dtype": "<f4"}, [HEATMAP]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_refused_with_a_code(case: str, office: Office) -> None:
    """Each gets its reply, and the next request is served."""
    code, values, payload = BAD[case]
    error = office.ask(values, *payload)
    assert (error["ok"], error["error"]["code"]) == (False, code)
    assert error["error"]["message"]
    assert office.ask({"op": "status"})["ok"] is True


def test_orders_to_the_model_keeper(office: Office) -> None:
    """Going back is to the previous model unless one is named; too many orders are refused."""
    assert office.ask({"op": "rollback"})["pinned"] is True
    assert office.ask({"op": "rollback", "model": "step-1"})["pinned"] is True
    assert office.ask({"op": "release"})["pinned"] is False
    assert office.orders == [
        ("rollback", "previous"),
        ("rollback", "step-1"),
        ("release", "previous"),
    ]
    assert office.ask({"op": "rollback", "model": 5})["error"]["code"] == "bad_field"
    office.inference.busy = True
    assert office.ask({"op": "rollback"})["error"]["code"] == "busy"


def test_deeply_nested_unknown_keys_are_ignored(office: Office) -> None:
    """What a request says beyond our keys is not even looked at."""
    head = msgpack.packb({"v": 1, "id": 1} | CLASSIFY)
    deep = bytes([head[0] + 1]) + head[1:] + b"\xa1x" + b"\x91" * 900 + b"\x01"
    assert office.ask(deep, HEATMAP)["ok"] is True


@pytest.mark.parametrize(("id_", "echoed"), [("a", "a"), (7, 7), (None, None), ([1], None)])
def test_ids_are_echoed(id_: Any, echoed: Any, office: Office) -> None:
    """Text and whole numbers come back, in refusals too; anything else is not repeated."""
    assert office.ask({"op": "status", "id": id_})["id"] == echoed
    assert office.ask({"op": "dance", "id": id_})["id"] == echoed


def test_a_req_socket_is_served(fake_model: Any) -> None:
    """The simplest client there is, zmq.REQ, gets its replies as well."""
    office = Office(fake_model("step-1"), zmq.REQ)
    try:
        assert office.ask({"op": "status"})["ok"] is True
        assert office.ask(CLASSIFY, HEATMAP)["label"] == "car"
        assert office.ask({"op": "dance"})["ok"] is False
    finally:
        office.context.destroy(linger=0)


maps = st.dictionaries(st.text(max_size=20), st.integers(-9, 9), max_size=20).map(msgpack.packb)


@given(st.one_of(st.binary(max_size=60), maps))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_anything_at_all_gets_a_reply(office: Office, head: bytes) -> None:
    """No bytes of a request leave its sender without an answer."""
    if head:  # an empty first part is a REQ socket's envelope
        assert "ok" in office.ask(head)


def test_a_flood_leaves_a_turn_to_the_others(office: Office) -> None:
    """One turn serves a bounded number of requests; the rest are served by the next turns."""
    for _ in range(100):
        office.client.send_multipart([msgpack.packb({"v": 1, "op": "status"})])
    assert office.router.poll(5000)
    turns, replies, until = 0, 0, time.monotonic() + 10
    while replies < 100 and time.monotonic() < until:
        turns += 1
        office.requests.handle()
        came = 0
        while office.client.poll(5):
            office.client.recv_multipart()
            came += 1
        assert came <= BURST
        replies += came
    assert replies == 100
    assert turns > 5
