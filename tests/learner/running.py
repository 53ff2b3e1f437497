"""A real learner as a process, and the daemon's end of its link; without pytest."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import zmq

from rvsense import link
from rvsense.config import Learning
from rvsense.learner.main import settings_json

PATIENCE_MS = 60_000


class Peer:
    """A learner process and the daemon's end of its link."""

    def __init__(
        self, learning: Learning, state_dir: Path, socket_dir: Path, parent: int | None, ranks: int
    ) -> None:
        endpoint = f"ipc://{socket_dir}/learner"
        command = [sys.executable]
        if ranks > 1:
            command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            command += [str(ranks)]
        command += ["-m", "rvsense.learner", "--endpoint", endpoint]
        command += ["--state-dir", str(state_dir)]
        command += [] if parent is None else ["--parent", str(parent)]
        command += ["--config-json", settings_json(learning, 7)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        self.context = zmq.Context()
        self.context.linger = 0
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(endpoint)

    def say(self, message: list[Any]) -> None:
        """Send one message."""
        self.socket.send_multipart(message)

    @property
    def ranks(self) -> list[psutil.Process]:
        """The learners that torchrun has started; none when it has ended."""
        if self.process.poll() is not None:
            return []
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def until(self, op: str) -> dict[str, Any]:
        """Wait for the next message of that kind."""
        while self.socket.poll(PATIENCE_MS):
            heard, values, _ = link.unpack(self.socket.recv_multipart())
            if heard == op:
                return values
        raise AssertionError(f"no {op!r} from the learner")


@contextmanager
def learner(
    learning: Learning,
    state_dir: Path,
    parent: int | None = None,
    *,
    alone: bool = False,
    ranks: int = 1,
) -> Iterator[Peer]:
    """A learner that is gone afterwards, whatever happens.

    `alone`: one without a parent; `ranks`: so many processes under torchrun.
    """
    with tempfile.TemporaryDirectory() as socket_dir:  # short: ipc paths end at 107 bytes
        owner = None if alone else parent or os.getpid()
        peer = Peer(learning, state_dir, Path(socket_dir), owner, ranks)
        try:
            yield peer
        finally:
            for process in [*peer.ranks, peer.process]:
                process.kill()
            peer.process.communicate()
            peer.socket.close()
            peer.context.term()
