"""The results socket: every answer to every subscriber, the last value to a new one.

Used from the I/O thread alone. A slow subscriber loses the newest messages at its own high-water
mark and sees so by `result_seq`; nobody waits for it.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import msgpack
import zmq

from rvsense import results
from rvsense.config import Serving
from rvsense.daemon.inference import Answered
from rvsense.lobby import SUBSCRIBE, UNSUBSCRIBE
from rvsense.policy import abstention
from rvsense.results import ModelName, Result
from rvsense.visitors import source_of

BURST = 64
"""Subscriptions handled before the other sockets get their turn."""


class Publisher:
    """Turns answers into results and keeps the last one of each topic.

    Args:
        admit: told whatever a subscriber says; false where it is not to be heeded.
    """

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        settings: Serving,
        *,
        admit: Callable[[zmq.Frame], bool] = lambda _: True,
    ) -> None:
        self.settings = settings
        self._followed: dict[int, tuple[int, set[bytes]]] = {}
        self._socket, self._admit = socket, admit
        self._result_seq: dict[str, int] = {}
        self._last: dict[bytes, bytes | Result] = {}

    def answer(self, answered: Answered, *, drift: bool) -> Result:
        """Publish an answer under its site's topic; returns the result as it went out."""
        frame, answer = answered.waiting.frame, answered.answer
        withheld = abstention(answer, self.settings)
        seq = self._result_seq.get(frame.site, -1) + 1
        self._result_seq[frame.site] = seq
        # Stamps of this machine's day, from a clock that never jumps in between.
        published_ns = time.time_ns()
        waited_ns = time.monotonic_ns() - answered.waiting.received_ns
        result = Result(
            site=frame.site,
            seq=frame.seq,
            stamp_ns=frame.stamp_ns,
            epoch=frame.epoch,
            source=frame.source,
            label=None if withheld else answer.label,
            probs=answer.probs,
            abstain=withheld,
            ood_score=answer.ood_score,
            model=self._model_name(answered),
            received_ns=published_ns - waited_ns,
            published_ns=published_ns,
            result_seq=seq,
            drift=drift,
        )
        topic, body = results.pack(result)
        self._socket.send_multipart([topic, body])
        self._last[topic] = result
        return result

    def announce(self, topic: str, values: dict[str, Any]) -> None:
        """Publish under `model` or `status`; the newest is kept for those who come later."""
        body = msgpack.packb({"v": results.VERSION, **values})
        self._socket.send_multipart([topic.encode(), body])
        self._last[topic.encode()] = body

    def handle_subscriptions(self) -> None:
        """Count subscribers and send the last values that a new one asked for."""
        for _ in range(BURST):
            if not self._socket.poll(0):
                return
            frame = self._socket.recv(copy=False)
            what, topic = frame.bytes[:1], frame.bytes[1:]
            handle = source_of(frame)
            if handle is None:  # ZeroMQ's own word, for each topic of one that has gone
                continue
            if not self._admit(frame):
                continue
            if what == UNSUBSCRIBE:
                self._topics(handle).discard(topic)
            elif what == SUBSCRIBE:
                self._topics(handle).add(topic)
                self._repeat(topic)

    @property
    def subscribers(self) -> int:
        """Subscriptions: a client that follows two topics counts twice, one that asks for the same
        one twice does not.
        """
        for handle, (inode, _) in list(self._followed.items()):
            if not inode or _inode(handle) != inode:
                del self._followed[handle]  # it has gone
        return sum(len(topics) for _, topics in self._followed.values())

    def _topics(self, handle: int) -> set[bytes]:
        """What the connection with this descriptor follows now."""
        inode = _inode(handle)
        if handle not in self._followed or self._followed[handle][0] != inode:
            self._followed[handle] = (inode, set())
        return self._followed[handle][1]

    def _repeat(self, beginning: bytes) -> None:
        """Send the last value of each topic that begins so."""
        for topic, last in self._last.items():
            if topic.startswith(beginning):
                self._socket.send_multipart([topic, _repeated(last)])

    def _model_name(self, answered: Answered) -> ModelName | None:
        if answered.model is None:
            return None
        return results.model_name(answered.model.published)


def _inode(handle: int) -> int:
    """Which socket has a descriptor now; 0 for none. Descriptors are used again."""
    try:
        return os.fstat(handle).st_ino
    except OSError:
        return 0


def _repeated(last: bytes | Result) -> bytes:
    """A last value for a new subscriber; of a result, one that says that it is no new one."""
    if isinstance(last, bytes):
        return last
    return results.pack(dataclasses.replace(last, repeat=True))[1]
