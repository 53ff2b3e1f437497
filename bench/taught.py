"""A learner in a process of its own, fed over its real socket in lock-step as by a daemon."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from rvsense import link
from rvsense.config import Learning
from rvsense.errors import RvsenseError
from rvsense.learner.main import settings_json

SILENCE_S = 120
"""A learner that says nothing for so long is given up."""


@dataclass(slots=True)
class Fed:
    """What a learner did with the pairs; seconds count from the first pair sent."""

    seconds: float = 0.0
    """Until it had trained all it owed and published."""
    pairs: int = 0
    """Taken by the learner."""
    steps: int = 0
    samples: int = 0
    """Drawn by these steps, as its last figures say."""
    models: list[tuple[float, Path]] = field(default_factory=list)
    """When each was announced, and where it lies."""


def feed(pairs: Iterable[link.Pair], learning: Learning, seed: int, folder: Path) -> Fed:
    """Send all pairs to a fresh learner with its state in `folder`, and end it.

    Raises:
        RvsenseError: when it refuses, ends, or is silent.
    """
    endpoint = f"ipc://{folder}/learner.ipc"
    command = [sys.executable, "-m", "rvsense.learner", "--endpoint", endpoint]
    command += ["--state-dir", str(folder), "--config-json", settings_json(learning, seed)]
    command += ["--parent", str(os.getpid())]  # which may then stop it
    with subprocess.Popen(command) as process:
        try:
            return _converse(pairs, endpoint, process)
        finally:
            process.terminate()


def _converse(pairs: Iterable[link.Pair], endpoint: str, process: "subprocess.Popen[bytes]") -> Fed:
    fed, sent, taken, since = Fed(), 0, 0, 0.0

    def hear() -> str:
        nonlocal taken
        op, values = _receive(socket, process)
        if op == "taken":
            taken = int(values["count"])
        elif op == "model":
            fed.models.append((time.perf_counter() - since, Path(values["path"])))
        elif op == "figures":
            fed.samples = int(values["samples"])
        elif op == "drained":
            fed.pairs, fed.steps = int(values["pairs"]), int(values["step"])
        elif op == "refused" or (op == "notice" and values["level"] != "info"):
            raise RvsenseError(f"the learner says {op}: {values}")
        return op

    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        socket.send_multipart(
            link.pack("hello", lockstep=True, daemon="bench", life="bench", fetch=False)
        )
        while hear() != "ready":
            pass
        since = time.perf_counter()
        for pair in pairs:
            while sent - taken >= link.WINDOW:
                hear()
            socket.send_multipart(link.pack_pair(pair))
            sent += 1
        socket.send_multipart(link.pack("drain"))
        while hear() != "drained":
            pass
        fed.seconds = time.perf_counter() - since
        socket.send_multipart(link.pack("stop"))
        while hear() != "stopped":
            pass
    return fed


def _receive(
    socket: "zmq.Socket[bytes]", process: "subprocess.Popen[bytes]"
) -> tuple[str, dict[str, Any]]:
    for _ in range(SILENCE_S):
        if socket.poll(1000):
            op, values, _ = link.unpack(socket.recv_multipart())
            return op, values
        if process.poll() is not None:
            raise RvsenseError(f"the learner ended with status {process.returncode}")
    raise RvsenseError(f"the learner has been silent for {SILENCE_S} s")
