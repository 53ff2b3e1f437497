"""The recorder's hold on a daemon's tap, kept up by a thread of its own.

The recorder must read while the daemon is asked, and must outlive it: a daemon that does not
answer is asked again, and one that started anew gives a new tap.
"""

import os
import secrets
import socket
import threading
from typing import Any, Self

import zmq

from rvsense.errors import RvsenseError
from rvsense.requesting import NoAnswerError, Requester

LEASE_S = 5.0
RENEW_S = 1.0
EAGER_S = 0.05
"""Between two questions until the tap has found us listening."""
ANSWER_S = 2.0


class Lease:
    """Holds the tap from entering to leaving; `endpoint` is where it is, None while away.

    Raises:
        NoAnswerError, RefusedError: on entering, when the daemon does not answer or will not.
    """

    def __init__(self, requests: str, keys: str | None = None) -> None:
        self.endpoint: str | None = None
        self.attached = False
        self.reached = False
        """Whether the tap has found us listening at any time."""
        self.ended_seq: int | None = None
        """How many messages the tap before `endpoint` had, where that is known."""
        self.end_seq: int | None = None
        """How many messages there were to be had, once the lease has ended."""
        self.trouble: str | None = None
        """Why the daemon does not answer, or refuses; None while all is well."""
        self._requester = Requester(requests, keys)
        self._by = f"{socket.gethostname()}:{os.getpid()}"
        self._token = secrets.token_hex(16)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._renew()
        except RvsenseError:
            self._requester.close()
            raise
        self._thread.start()
        return self

    def end(self) -> None:
        """Tell the daemon that it is over; `end_seq` says how much was to be had."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        try:
            reply = self._ask(0.0)
        except RvsenseError as error:
            self.trouble = str(error)
        else:
            self.end_seq = reply["seq"]

    def __exit__(self, *_: object) -> None:
        self.end()
        self._requester.close()

    def _keep(self) -> None:
        while not self._stop.wait(RENEW_S if self.attached else EAGER_S):
            try:
                self._renew()
            except (RvsenseError, zmq.ZMQError, KeyError) as error:
                self.trouble = str(error) or repr(error)
                self.endpoint, self.attached = None, False
                if not isinstance(error, NoAnswerError):
                    self._stop.wait(RENEW_S)

    def _renew(self) -> None:
        reply = self._ask(LEASE_S)
        # Whoever sees the new endpoint asks what the old one had.
        self.ended_seq = reply.get("ended_seq")
        self.endpoint, self.attached, self.trouble = reply["endpoint"], reply["attached"], None
        self.reached = self.reached or self.attached

    def _ask(self, lease_s: float) -> dict[str, Any]:
        return self._requester.ask(
            "record", lease_s=lease_s, by=self._by, token=self._token, timeout_s=ANSWER_S
        )
