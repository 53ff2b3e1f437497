"""Frame messages made beforehand, and the processes at the ends of a daemon that is measured.

Sizes are those of ROD2021: heatmaps of four chirps (512 KiB as float32) and JPEGs of 1440×864.
The contents are noise: neither a bare loop nor a daemon looks at more than that it is finite.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import zmq

from rvsense import link, wire
from rvsense.frames import CameraFrame, RadarFrame
from rvsense.replay.stamps import index_ns

CHIRPS = 4
IMAGE_BYTES = 248_456
"""Of the one image of the real set that is at hand."""
DISTINCT = 32
"""Payloads that take turns, so that no cache holds them all."""
CAMERA_DELAY_NS = 4_000_000
SITE, LAST_SITE = "busy", "last"
QUEUED_MESSAGES = 64
PATIENCE_S = 60.0

Message = list[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run sends: radar, with camera or alone, at 30 instants a second of stamps."""

    instants: int
    camera: bool
    epoch: int = 0

    @property
    def messages(self) -> int:
        """Those counted; one radar frame of `LAST_SITE` follows, whose answer ends the run."""
        return self.instants * (2 if self.camera else 1)


def messages(run: Run) -> list[Message]:
    """The messages of a run in the order of capture."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((DISTINCT, CHIRPS, 128, 128, 2), np.float32) * np.float32(0.03)
    images = [b"\xff\xd8" + random.bytes(IMAGE_BYTES - 2) for _ in range(DISTINCT)]
    made = []
    for k in range(run.instants):
        numbers: dict[str, Any] = {"site": SITE, "seq": k, "epoch": run.epoch}
        stamp_ns = index_ns(k)
        made.append(
            wire.encode(RadarFrame(**numbers, stamp_ns=stamp_ns, heatmap=noise[k % DISTINCT]))
        )
        if run.camera:
            image, camera_ns = images[k % DISTINCT], stamp_ns + CAMERA_DELAY_NS
            camera = CameraFrame(**numbers, stamp_ns=camera_ns, codec="jpeg", image=image)
            made.append(wire.encode(camera))
    last = RadarFrame(site=LAST_SITE, seq=0, stamp_ns=0, epoch=run.epoch, heatmap=noise[0])
    return [*made, wire.encode(last)]


class Sending:
    """A process that makes a run's messages, then sends them as fast as they are taken."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_send, args=(theirs,), daemon=True)
        self._process.start()

    def prepare(self, run: Run, endpoint: str) -> None:
        """Have the messages made and the connection up; returns when both are."""
        self._pipe.send((run, endpoint))
        self._answer()

    def start(self) -> None:
        """Send them."""
        self._pipe.send(None)

    def began_s(self) -> float:
        """When the first was sent, by the monotonic clock; call after all have arrived."""
        began_s: float = self._answer()
        return began_s

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()

    def _answer(self) -> Any:
        if not self._pipe.poll(PATIENCE_S):
            raise TimeoutError("the sender does not answer")
        return self._pipe.recv()


def _send(pipe: Connection) -> None:
    context = zmq.Context()
    while True:
        run, endpoint = pipe.recv()
        made = messages(run)
        with context.socket(zmq.PUSH) as socket:
            socket.set_hwm(QUEUED_MESSAGES)
            socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued before there is a connection
            socket.connect(endpoint)
            socket.poll(None, zmq.POLLOUT)
            pipe.send(None)
            pipe.recv()
            began_s = time.monotonic()
            for message in made:
                socket.send_multipart(message, copy=False)
        pipe.send(began_s)


def stand_in_learner(pipe: Connection) -> None:
    """A process that greets a daemon as a learner does, and takes at once all that it is sent."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        pipe.send(f"tcp://127.0.0.1:{port}")
        taken = 0
        while True:
            peer, *parts = socket.recv_multipart(copy=False)
            op, _, _ = link.unpack([part.buffer for part in parts])
            if op == "hello":
                taken = 0
                ready = link.pack(
                    "ready",
                    step=0,
                    pid=os.getpid(),
                    teacher_sha256="",
                    preset="stand-in",
                    restored=False,
                )
                socket.send_multipart([peer.bytes, *ready])
            elif op in ("pair", "label"):
                taken += 1
                socket.send_multipart([peer.bytes, *link.pack("taken", count=taken)])


class Daemon:
    """A real daemon in its own process, with the stand-in for a learner, and no model."""

    def __init__(self, folder: Path, *settings: str) -> None:
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        self._learner = context.Process(target=stand_in_learner, args=(theirs,), daemon=True)
        self._learner.start()
        config = folder / "config.toml"
        config.write_text("\n".join(settings))
        ports = ["--intake", "tcp://127.0.0.1:*", "--results", "tcp://127.0.0.1:*"]
        ports += ["--requests", "tcp://127.0.0.1:*", "--http", "127.0.0.1:0"]
        command = [sys.executable, "-P", "-m", "rvsense", "daemon", *ports, "--config", str(config)]
        command += ["--state-dir", str(folder / "state"), "--learner", pipe.recv()]
        with (folder / "daemon.log").open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        self.endpoints = self._ready(folder / "daemon.log")
        while not self.status()["learner"]["up"]:
            time.sleep(0.05)

    def status(self) -> dict[str, Any]:
        """Its `/statusz`."""
        with urlopen(f"http://{self.endpoints['http']}/statusz", timeout=PATIENCE_S) as page:
            status: dict[str, Any] = json.load(page)
        return status

    def close(self) -> None:
        """Stop both processes."""
        self.process.terminate()
        self.process.wait()
        self._learner.terminate()
        self._learner.join()

    def _ready(self, log: Path) -> dict[str, str]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in log.read_text().splitlines():
                event: dict[str, str] = json.loads(line) if line.endswith("}") else {}
                if event.get("event") == "ready":
                    return event
            time.sleep(0.05)
        self._learner.terminate()
        raise RuntimeError(f"the daemon did not start:\n{log.read_text()}")


@contextmanager
def closing_after(*things: Sending | Daemon) -> Iterator[None]:
    """Close them whatever happens."""
    try:
        yield
    finally:
        for thing in things:
            thing.close()
