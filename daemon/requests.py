"""The requests socket: `classify`, `label`, `status`, `reload`; every request gets a reply.

`[map {v, id, op, …}, payload?]` → `[map {v, id, ok, …}]`, as docs/protocol.md says. Used from
the I/O thread alone; a classification is answered when the inference thread has done it.
"""

import queue
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import zmq

from rvsense import wire
from rvsense.answer import Answer
from rvsense.daemon.inference import Asked, Inference
from rvsense.daemon.policy import abstention
from rvsense.errors import FrameError, RvsenseError
from rvsense.frames import AnyFrame, RadarFrame
from rvsense.model import ServableModel

OPERATIONS = ("classify", "label", "status", "reload")


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
        self.rejected = 0
        self._socket, self._inference = socket, inference
        self._take_label, self._status, self._reload = take_label, status, reload
        self._ring = ring
        self._done: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()

    def handle(self) -> None:
        """Serve the requests that have come in."""
        while self._socket.poll(0):
            who, *parts = self._socket.recv_multipart()
            asked: Any = None
            try:
                head = wire.unpack_map(parts[0] if parts else b"")
                asked = head.get("id")
                self._serve(who, asked, head, parts[1:])
            except RequestError as error:
                self._refuse(who, asked, error.code, str(error))
            except FrameError as error:
                self._refuse(who, asked, error.reason, error.detail)
            except RvsenseError as error:
                self._refuse(who, asked, "refused", str(error))

    def flush(self) -> None:
        """Send the replies that the inference thread has made."""
        while not self._done.empty():
            self._socket.send_multipart(self._done.get())

    def _serve(self, who: bytes, asked: Any, head: dict[str, Any], payload: list[bytes]) -> None:
        if head.get("v") != wire.VERSION:
            raise RequestError("bad_version", f"this daemon speaks version {wire.VERSION}")
        match head.get("op"):
            case "classify":
                self._classify(who, asked, head, payload)
            case "label":
                joined = self._take_label(_as_frame(head, "label", []))
                self._reply(who, asked, {"joined": joined})
            case "status":
                self._reply(who, asked, {"status": self._status()})
            case "reload":
                self._reply(who, asked, dict(self._reload()))
            case op:
                raise RequestError("bad_op", f"op is {op!r}; one of {', '.join(OPERATIONS)}")

    def _classify(self, who: bytes, asked: Any, head: dict[str, Any], payload: list[bytes]) -> None:
        frame = _as_frame(head, "radar", payload)
        assert isinstance(frame, RadarFrame)

        def reply(answer: Answer, model: ServableModel | None) -> None:
            # In the inference thread: sockets stay in theirs, so only the bytes cross over.
            withheld = abstention(answer, self._inference.settings)
            values = {
                "label": None if withheld else answer.label,
                "probs": answer.probs,
                "abstain": withheld,
                "ood_score": answer.ood_score,
                "model": None if model is None else model.published.id,
                "radio_only": True,
            }
            self._done.put([who, _packed(asked, {"ok": True, **values})])
            self._ring()

        if not self._inference.ask(Asked(frame.heatmap, reply)):
            raise RequestError("busy", "too many requests wait already; ask again later")

    def _reply(self, who: bytes, asked: Any, values: dict[str, Any]) -> None:
        self._socket.send_multipart([who, _packed(asked, {"ok": True, **values})])

    def _refuse(self, who: bytes, asked: Any, code: str, message: str) -> None:
        self.rejected += 1
        error = {"code": code, "message": message}
        self._socket.send_multipart([who, _packed(asked, {"ok": False, "error": error})])


def _as_frame(head: dict[str, Any], kind: str, payload: list[bytes]) -> AnyFrame:
    """The request's keys as a frame message, so that one decoder checks everything.

    Raises:
        FrameError: as wire.decode.
    """
    plain = {"site": "request", "seq": 0, "stamp_ns": 0, "epoch": 0} | head
    header = msgpack.packb(plain | {"kind": kind, "v": wire.VERSION})
    return wire.decode([header, *payload])


def _packed(asked: Any, values: dict[str, Any]) -> bytes:
    known = asked if isinstance(asked, str | int) else None
    return bytes(msgpack.packb({"v": wire.VERSION, "id": known, **values}))
