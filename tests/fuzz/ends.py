"""Both ends of the link between daemon and learner, in this process."""

import contextlib
import io
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
import torch
import zmq

from rvsense import link, logs
from rvsense.config import Config, Endpoints
from rvsense.daemon.history import History
from rvsense.daemon.http_message import json_line
from rvsense.daemon.live import Terminal
from rvsense.daemon.loop import Loop
from rvsense.daemon.parts import build
from rvsense.daemon.watch import Housekeeping, Watch
from rvsense.learner.service import Service
from tests.fuzz.drive import BrokenError
from tests.fuzz.talk import FROM_DAEMON, undamaged
from tests.learner.conftest import SMALL, small_teacher, small_trainer

WITHIN_MS = 10_000
SETTINGS = replace(SMALL, publish_every_steps=50, checkpoint_every_s=3600.0)
LONGEST_LINE = 8_192
"""Of the log: a line of a screen or two, whatever a learner says."""
LONGEST_WORD = 4_096
"""Of the learner to a daemon, but for chunks of a model."""


class LearnerEnd:
    """A learner's service over a toy trainer, and what it sends."""

    def __init__(self, work: Path) -> None:
        torch.set_num_threads(1)
        trainer = small_trainer(SETTINGS, small_teacher())
        self.sent: list[tuple[bytes, list[Any]]] = []
        clock = itertools.count()
        self.service = Service(trainer, work, self._send, lambda: next(clock) / 100)

    def hear(self, parts: Sequence[bytes]) -> str:
        """One message of a daemon; the operations of what it sends in return.

        Raises:
            BrokenError: a reply is out of form.
        """
        self.sent.clear()
        self.service.hear(b"peer", list(parts))
        if self.service.stopped:
            raise BrokenError("it has stopped, and it is nobody's")
        return self.answer()

    def take_a_step(self) -> None:
        """Pairs until there are enough, and a step."""
        self.hear(undamaged(FROM_DAEMON, "hello").parts)
        while not self.service.trainer.ready:
            self.hear(undamaged(FROM_DAEMON, "pair").parts)
        self.service.work()

    def answer(self) -> str:
        """The operations of what was sent, each a message of this version."""
        ops = []
        for _, message in self.sent:
            op, _, payloads = link.unpack(message)
            if len(message[0]) > LONGEST_WORD:
                raise BrokenError(f"{op} of {len(message[0])} bytes")
            ops.append(f"{op}+{len(payloads)}" if payloads else op)
        return " ".join(sorted({op for op in ops if op != "figures"})) or "nothing"

    def _send(self, identity: bytes, message: list[Any]) -> bool:
        self.sent.append((identity, message))
        return True


class DaemonEnd:
    """A daemon's I/O thread, which is this one, and the learner that it is connected to."""

    def __init__(self, work: Path) -> None:
        self.log = io.StringIO()
        free = "tcp://127.0.0.1:0"
        at = f"ipc://{work}/learner.sock"
        config = Config(endpoints=Endpoints(free, free, free, "127.0.0.1:0"), learner=at)
        logs.configure("info", self.log)
        (work / "models").mkdir()
        self.parts = build(
            config, state_dir=work, runtime_dir=work, reload=None, configure_logs=lambda _: None
        )
        self.router = self.parts.context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.bind(at)
        self.peer = b""
        self.loop = Loop(self.parts, exit_at_end=False)
        watch = Watch(self.parts, self.loop)
        self.loop.health = lambda: watch.health().as_map()
        self._keeping = Housekeeping(self.parts, self.loop, watch, Terminal(io.StringIO()))
        assert self.parts.landing is not None
        self.parts.landing.start()
        self._greet()

    def hear(self, parts: Sequence[bytes]) -> str:
        """One message of the learner, and all that is made of it for those who look at the daemon.

        Raises:
            BrokenError: a line of the log is too long.
        """
        learner = self.parts.learner
        assert learner is not None
        at = self.log.tell()
        self.router.send_multipart([self.peer, *parts])
        heard_at, cuts = learner.state.heard_at, learner.state.cuts
        until_s = time.monotonic() + WITHIN_MS / 1000
        while learner.state.heard_at == heard_at and learner.state.cuts == cuts:
            self.loop.turn(100)
            assert time.monotonic() < until_s, "never heard"
        self.look()
        said = self.log.getvalue()[at:].splitlines()
        if (longest := max(map(len, said), default=0)) > LONGEST_LINE:
            raise BrokenError(f"a line of {longest} characters in the log")
        self.log.seek(0)
        self.log.truncate()
        if not learner.state.up or learner.state.cuts > cuts:
            self._greet()
            return "cut off"
        return "not understood" if "learner_not_understood" in "".join(said) else "taken"

    def look(self) -> None:
        """As once a second, and as those do who ask."""
        self._keeping._next_s = 0.0
        self._keeping.turn(time.monotonic())
        json_line(self.loop.status(), 2)
        self.parts.metrics.exposition("")
        history: History = self.parts.history
        json_line(history.as_map(""))

    def close(self) -> None:
        """End all of it."""
        self.router.close()
        self.parts.close()
        structlog.reset_defaults()

    def _greet(self) -> None:
        learner = self.parts.learner
        assert learner is not None
        learner._begin()
        greeted: list[bytes] = []
        until_s = time.monotonic() + WITHIN_MS / 1000
        while not learner.state.up:
            assert time.monotonic() < until_s, "no greeting"
            if self.router.poll(0):
                peer, *parts = self.router.recv_multipart()
                if link.unpack(parts)[0] == "hello":
                    greeted.append(peer)
                    self.router.send_multipart([peer, *link.pack("ready", step=0)])
            self.loop.turn(1)
        # Greetings of connections that have ended come late, and in any order.
        for self.peer in reversed(greeted):
            heard_at = learner.state.heard_at
            self.router.send_multipart([self.peer, *link.pack("taken", count=0)])
            for _ in range(50):
                self.loop.turn(5)
                if learner.state.heard_at > heard_at:
                    return


@contextlib.contextmanager
def daemon_end(work: Path) -> Iterator[DaemonEnd]:
    """One that is closed on the way out."""
    end = DaemonEnd(work)
    try:
        yield end
    finally:
        end.close()
