"""The requests socket: `classify`, `label`, `status`, `reload`; every request gets a reply.

`[map {v, id, op, …}, payload?]` → `[map {v, id, ok, …}]`, from a DEALER, or from a REQ, whose
empty first part goes back with the reply. Used from the I/O thread alone; a classification is
answered when the inference thread has done it.
"""

import queue
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import zmq

from rvsense import results, wire
from rvsense.answer import Answer
from rvsense.daemon.inference import Asked, Inference
from rvsense.errors import FrameError, RvsenseError
from rvsense.frames import AnyFrame, RadarFrame
from rvsense.model import ServableModel
from rvsense.policy import abstention

OPERATIONS = ("classify", "label", "status", "reload")

BURST = 16
"""Requests served before the other sockets get their turn."""

Route = list[bytes]
"""The parts that lead a reply back to who asked."""


class RequestError(RvsenseError):
    """A request that cannot be served; `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Requests:
    """Reads requests, routes them, and sends replies.

    Args:
        socket: a bound ROUTER.
        inference: answers `classify`.
        take_label: takes a label in; returns whether its radar frame was at hand.
        status: gives what `/statusz` gives.
        reload: reads the configuration again; returns the keys that changed.
        ring: wakes the I/O thread when a reply is due.
    """

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        inference: Inference,
        *,
        take_label: Callable[[AnyFrame], bool],
        status: Callable[[], Mapping[str, Any]],
        reload: Callable[[], Mapping[str, Any]],
        ring: Callable[[], None],
    ) -> None:
        self._socket, self._inference = socket, inference
        self._take_label, self._status, self._reload = take_label, status, reload
        self._ring = ring
        self._done: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()

    def handle(self) -> None:
        """Serve the requests that have come in."""
        for _ in range(BURST):
            if not self._socket.poll(0):
                return
            route, parts = _split(self._socket.recv_multipart())
            asked: Any = None
            try:
                head = wire.unpack_map(parts[0] if parts else b"")
                asked = head.get("id")
                self._serve(route, asked, head, parts[1:])
            except RequestError as error:
                self._refuse(route, asked, error.code, str(error))
            except FrameError as error:
                self._refuse(route, asked, error.reason, error.detail)
            except RvsenseError as error:
                self._refuse(route, asked, "refused", str(error))

    def flush(self) -> None:
        """Send the replies that the inference thread has made."""
        while not self._done.empty():
            self._socket.send_multipart(self._done.get())

    def _serve(self, route: Route, asked: Any, head: dict[str, Any], payload: list[bytes]) -> None:
        if not wire.is_current(head.get("v")):
            raise RequestError("bad_version", f"this daemon speaks version {wire.VERSION}")
        match head.get("op"):
            case "classify":
                self._classify(route, asked, head, payload)
            case "label":
                joined = self._take_label(_label(head))
                self._reply(route, asked, {"joined": joined})
            case "status":
                self._reply(route, asked, {"status": self._status()})
            case "reload":
                self._reply(route, asked, dict(self._reload()))
            case op:
                known = ", ".join(OPERATIONS)
                raise RequestError("bad_op", f"op is {wire.short(op)}; one of {known}")

    def _classify(
        self, route: Route, asked: Any, head: dict[str, Any], payload: list[bytes]
    ) -> None:
        frame = _radar(head, payload)

        def reply(answer: Answer, model: ServableModel | None) -> None:
            # In the inference thread: sockets stay in theirs, so only the bytes cross over.
            withheld = abstention(answer, self._inference.settings)
            values = {
                "label": None if withheld else answer.label,
                "probs": answer.probs,
                "abstain": withheld,
                "ood_score": answer.ood_score,
                "model": None if model is None else results.model_name(model.published).as_map(),
                "radio_only": True,
            }
            self._done.put([*route, _packed(asked, {"ok": True, **values})])
            self._ring()

        if not self._inference.ask(Asked(frame.heatmap, reply)):
            raise RequestError("busy", "too many requests wait already; ask again later")

    def _reply(self, route: Route, asked: Any, values: dict[str, Any]) -> None:
        self._socket.send_multipart([*route, _packed(asked, {"ok": True, **values})])

    def _refuse(self, route: Route, asked: Any, code: str, message: str) -> None:
        error = {"code": code, "message": message}
        self._socket.send_multipart([*route, _packed(asked, {"ok": False, "error": error})])


def _split(message: list[bytes]) -> tuple[Route, list[bytes]]:
    start = 2 if len(message) > 1 and not message[1] else 1
    return message[:start], message[start:]


def _label(head: dict[str, Any]) -> AnyFrame:
    """A label must say which frame it speaks of: `site` and `stamp_ns` have no default."""
    return wire.decode_map({"seq": 0, "epoch": 0} | head | {"kind": "label"}, [])


def _radar(head: dict[str, Any], payload: list[bytes]) -> RadarFrame:
    """A heatmap alone needs no site and no stamp."""
    plain = {"site": "request", "seq": 0, "stamp_ns": 0, "epoch": 0}
    frame = wire.decode_map(plain | head | {"kind": "radar"}, payload)
    assert isinstance(frame, RadarFrame)
    return frame


def _packed(asked: Any, values: dict[str, Any]) -> bytes:
    known = asked if isinstance(asked, str | int) else None
    return bytes(msgpack.packb({"v": wire.VERSION, "id": known, **values}))
