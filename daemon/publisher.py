"""The results socket: every answer to every subscriber, the last value to a new one.

Used from the I/O thread alone. A slow subscriber loses the newest messages at its own high-water
mark and sees so by `result_seq`; nobody waits for it.
"""

import dataclasses
import time
from typing import Any

import msgpack
import zmq

from rvsense import results
from rvsense.config import Serving
from rvsense.daemon.inference import Answered
from rvsense.policy import abstention
from rvsense.results import ModelName, Result

SUBSCRIBE, UNSUBSCRIBE = 1, 0

BURST = 64
"""Subscriptions handled before the other sockets get their turn."""


class Publisher:
    """Turns answers into results and keeps the last one of each topic.

    `subscribers` counts subscriptions: a client that follows two topics counts twice.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", settings: Serving) -> None:
        self.settings = settings
        self.subscribers = 0
        self._socket = socket
        self._result_seq: dict[str, int] = {}
        self._last: dict[bytes, bytes] = {}

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
        repeat = dataclasses.replace(result, repeat=True)
        self._last[topic] = msgpack.packb(results.as_map(repeat))
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
            message = self._socket.recv()
            if not message or message[0] not in (SUBSCRIBE, UNSUBSCRIBE):
                continue
            self.subscribers += 1 if message[0] == SUBSCRIBE else -1
            if message[0] == SUBSCRIBE:
                for topic, body in self._last.items():
                    if topic.startswith(message[1:]):
                        self._socket.send_multipart([topic, body])

    def _model_name(self, answered: Answered) -> ModelName | None:
        if answered.model is None:
            return None
        return results.model_name(answered.model.published)
