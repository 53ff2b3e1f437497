"""The results socket of a daemon, for tests of those who follow it."""

import zmq

from rvsense import results
from rvsense.results import Result


class Daemon:
    """Bound at a port of its own, or at a given one."""

    def __init__(self, port: int = 0) -> None:
        self.context = zmq.Context()
        self.context.linger = 0
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def admit(self) -> None:
        """Wait for a subscription to arrive."""
        assert self.socket.poll(5000)
        self.socket.recv()

    def send(self, *sent: Result) -> None:
        """Publish."""
        for result in sent:
            self.socket.send_multipart(results.pack(result))

    def close(self) -> None:
        """End it, as a crash would."""
        self.context.destroy(linger=0)
