"""The requests socket: `classify`, `label`, `frames`, `status`, …; every request gets a reply.

`[map {v, id, op, …}, payload?]` → `[map {v, id, ok, …}]`, from a DEALER, or from a REQ, whose
empty first part goes back with the reply. Used from the I/O thread alone; a classification is
answered when the inference thread has done it.
"""

import queue
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack
import zmq

from rvsense import results, wire
from rvsense.answer import Answer
from rvsense.current import PREVIOUS
from rvsense.daemon.inference import Asked, Inference
from rvsense.daemon.label_use import JOINED, Use
from rvsense.errors import FrameError, RvsenseError
from rvsense.frames import LabelFrame, RadarFrame
from rvsense.inlet import Inlet
from rvsense.model import ServableModel
from rvsense.policy import abstention

OPERATIONS = ("classify", "label", "frames", "status", "reload", "rollback", "release", "record")

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
        take_label: takes a label in; returns what became of it.
        frames: gives (epoch, stamp_ns) of the frames that a label may still name, by site.
        status: gives what `/statusz` gives.
        reload: reads the configuration again; returns the keys that changed.
        order: has the loader thread roll back to the model of a name, or release the pin; the
            reply comes later. False when too many orders wait already.
        record: opens, renews or ends a recorder's lease on the tap.
        ring: wakes the I/O thread when a reply is due.
        admit: told of each request; false for a sender that has to leave.
    """

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        inference: Inference,
        *,
        take_label: Callable[[LabelFrame], Use],
        frames: Callable[[], Mapping[str, Sequence[tuple[int, int]]]],
        status: Callable[[], Mapping[str, Any]],
        reload: Callable[[], Mapping[str, Any]],
        order: Callable[[str, str, Callable[[Mapping[str, Any]], None]], bool],
        record: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        ring: Callable[[], None],
        admit: Callable[[Sequence[zmq.Frame]], bool] = lambda _: True,
    ) -> None:
        self._socket, self._inference = socket, inference
        self._inlet = Inlet(socket)
        self._take_label, self._status, self._reload = take_label, status, reload
        self._frames, self._order, self._record = frames, order, record
        self._ring, self._admit = ring, admit
        self._done: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()

    def handle(self) -> None:
        """Serve the requests that have come in."""
        for _ in range(BURST):
            message = self._inlet.take()
            if message is None:
                return
            if not self._admit(message):
                continue
            route, parts = _split([part.bytes for part in message])
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
        """Send the replies that came due since."""
        while not self._done.empty():
            self._socket.send_multipart(self._done.get())

    def _serve(self, route: Route, asked: Any, head: dict[str, Any], payload: list[bytes]) -> None:
        if not wire.is_current(head.get("v")):
            raise RequestError("bad_version", f"this daemon speaks version {wire.VERSION}")
        match head.get("op"):
            case "classify":
                self._classify(route, asked, head, payload)
            case "label":
                use = self._take_label(_label(head))
                self._reply(route, asked, {"joined": use in JOINED, "use": use})
            case "frames":
                self._reply(route, asked, {"frames": dict(self._frames())})
            case "status":
                self._reply(route, asked, {"status": self._status()})
            case "reload":
                self._reply(route, asked, dict(self._reload()))
            case "record":
                self._reply(route, asked, dict(self._record(head)))
            case "rollback" | "release" as what:
                self._have_done(route, asked, what, _model(head))
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

    def _have_done(self, route: Route, asked: Any, what: str, model: str) -> None:
        def reply(values: Mapping[str, Any]) -> None:
            self._done.put([*route, _packed(asked, dict(values))])
            self._ring()

        if not self._order(what, model, reply):
            raise RequestError("busy", "too many orders wait already; ask again later")

    def _reply(self, route: Route, asked: Any, values: dict[str, Any]) -> None:
        self._socket.send_multipart([*route, _packed(asked, {"ok": True, **values})])

    def _refuse(self, route: Route, asked: Any, code: str, message: str) -> None:
        error = {"code": code, "message": message}
        self._socket.send_multipart([*route, _packed(asked, {"ok": False, "error": error})])


def _split(message: list[bytes]) -> tuple[Route, list[bytes]]:
    start = 2 if len(message) > 1 and not message[1] else 1
    return message[:start], message[start:]


def _label(head: dict[str, Any]) -> LabelFrame:
    """A label must say which frame it speaks of: `site` and `stamp_ns` have no default."""
    label = wire.decode_map({"seq": 0, "epoch": 0} | head | {"kind": "label"}, [])
    assert isinstance(label, LabelFrame)
    return label


def _model(head: dict[str, Any]) -> str:
    name = head.get("model", PREVIOUS)
    if not isinstance(name, str):
        raise RequestError("bad_field", f"model is {wire.short(name)}; the name of a model")
    return name


def _radar(head: dict[str, Any], payload: list[bytes]) -> RadarFrame:
    """A heatmap alone needs no site and no stamp."""
    plain = {"site": "request", "seq": 0, "stamp_ns": 0, "epoch": 0}
    frame = wire.decode_map(plain | head | {"kind": "radar"}, payload)
    assert isinstance(frame, RadarFrame)
    return frame


def _packed(asked: Any, values: dict[str, Any]) -> bytes:
    known = asked if isinstance(asked, str | int) else None
    return bytes(msgpack.packb({"v": wire.VERSION, "id": known, **values}))
