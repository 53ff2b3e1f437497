"""The learner's process and the link to it: spawned, watched, restarted, never waited for.

Used from the I/O thread alone. `socket` is in its poller; `pump` sends what may be sent and
looks after the process. Each process gets a socket of its own, so that nothing meant for one
that died reaches its successor.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog
import zmq

from rvsense import link
from rvsense.config import Learning
from rvsense.daemon.backoff import Backoff
from rvsense.daemon.outbox import Outbox
from rvsense.errors import ConfigError, UsageError

HOPELESS = (UsageError.status, ConfigError.status)
"""Exit statuses that starting again does not mend."""


@dataclass(slots=True)
class LearnerState:
    """What is known of the learner, for status, metrics and health."""

    up: bool = False
    restarts: int = 0
    pid: int | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    heard_at: float = 0.0
    drained: dict[str, Any] | None = None
    exit_status: int | None = None
    hopeless: bool = False


class LearnerProcess:
    """Spawns `python -m rvsense.learner` and speaks rvsense.link with it.

    Args:
        endpoint: where a remote learner listens; None = spawn one here.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        poller: zmq.Poller,
        learning: Learning,
        *,
        seed: int,
        state_dir: Path,
        runtime_dir: Path,
        lockstep: bool,
        endpoint: str | None = None,
    ) -> None:
        self.state = LearnerState()
        self.outbox = Outbox(most=learning.backlog_pairs, lossless=lockstep)
        self._learning, self._seed, self._state_dir = learning, seed, state_dir
        self._lockstep = lockstep
        self._remote = endpoint is not None
        self._endpoint = endpoint or f"ipc://{runtime_dir}/learner.sock"
        self._backoff = Backoff()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at: float | None = None
        self._stopping = False
        self._draining = False
        self._log = structlog.get_logger()
        self._context, self._poller = context, poller
        self.socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None

    def start(self) -> None:
        """Spawn the process, or begin to connect to the remote one."""
        if self._remote:
            self._connect()
        else:
            self._spawn()

    def pump(self, now: float) -> None:
        """Send what may be sent; restart the process when its time has come."""
        if self._process is not None and self._process.poll() is not None:
            self._ended(now)
        if self._cut_off():
            self._log.error("learner_cut_off", endpoint=self._endpoint)
            self.state.up = False
            self._disconnect()
            self.outbox.lost()
            self._connect()
        if self._start_at is not None and now >= self._start_at and not self._stopping:
            self.state.restarts += 1
            self._spawn()
        if not self.state.up or self.socket is None:
            return
        while (message := self.outbox.next()) is not None:
            self.socket.send_multipart(message, copy=False)

    def receive(self) -> list[tuple[str, dict[str, Any]]]:
        """What the learner has said since the last call."""
        said: list[tuple[str, dict[str, Any]]] = []
        while self.socket is not None and self.socket.poll(0):
            message = self.socket.recv_multipart()
            self.state.heard_at = time.monotonic()
            try:
                op, values, _ = link.unpack(message)
                self._note(op, values)
            except (link.LinkError, KeyError, TypeError) as error:
                self._log.error("learner_not_understood", error=str(error) or repr(error))
                continue
            said.append((op, values))
        return said

    def drain(self) -> None:
        """Tell the learner that no more input comes."""
        self.state.drained = None
        self._draining = True
        if self.state.up and self.socket is not None:
            self.socket.send_multipart(link.pack("drain"))

    def ask_to_stop(self) -> None:
        """Ask for a checkpoint and an end; no restart follows."""
        self._stopping = True
        if self._remote:
            return
        if self.state.up and self.socket is not None:
            self.socket.send_multipart(link.pack("stop"))
        elif self._process is not None:
            self._process.terminate()

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for: our process, or what a remote one takes."""
        if self._remote:
            return self.outbox.empty or not self.state.up
        return self._process is None or self._process.poll() is not None

    def close(self) -> None:
        """End the process if it still runs, and close the socket."""
        if self._process is not None and self._process.poll() is None:
            self._log.warning("learner_killed", reason="did not stop in time")
            self._process.kill()
            self._process.wait()
        self._disconnect()

    def _spawn(self) -> None:
        threads = str(self._learning.threads)
        settings = json.dumps(asdict(self._learning) | {"seed": self._seed})
        # -P: a folder named rvsense where we were started must not be taken for the package.
        command = [sys.executable, "-P", "-m", "rvsense.learner", "--endpoint", self._endpoint]
        command += ["--state-dir", str(self._state_dir), "--config-json", settings]
        command += ["--parent", str(os.getpid())]
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        self._started_at, self._start_at = time.monotonic(), None
        try:
            self._process = subprocess.Popen(command, env=environment, start_new_session=True)
        except OSError as error:  # no memory or no process left: answers go on all the same
            self._start_later(self._started_at, error=str(error))
            return
        self.state.pid = self._process.pid
        self._connect()

    def _connect(self) -> None:
        self.socket = self._context.socket(zmq.DEALER)
        if self._remote:
            self._monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.connect(self._endpoint)
        self._poller.register(self.socket, zmq.POLLIN)
        # ZeroMQ keeps the greeting until the learner has bound its end.
        hello = link.pack("hello", lockstep=self._lockstep, daemon=os.getpid())
        self.socket.send_multipart(hello)

    def _cut_off(self) -> bool:
        """Whether the connection to a remote learner broke: its successor needs a greeting."""
        return self._monitor is not None and bool(self._monitor.poll(0))

    def _disconnect(self) -> None:
        if self.socket is not None:
            if self._monitor is not None:
                self.socket.disable_monitor()
                self._monitor = None
            self._poller.unregister(self.socket)
            self.socket.close(linger=0)
            self.socket = None

    def _ended(self, now: float) -> None:
        assert self._process is not None
        self.state.exit_status = self._process.returncode
        # One that was ready before had all it needs: what it lacks now may come back.
        self.state.hopeless = self._process.returncode in HOPELESS and not self.state.ready
        self._process = None
        self.state.up = False
        self._disconnect()
        self.outbox.lost()
        if self._stopping or self.state.hopeless:
            return
        self._start_later(now, exit_status=self.state.exit_status)

    def _start_later(self, now: float, **why: Any) -> None:
        delay_s = self._backoff.delay_s(now - self._started_at)
        self._start_at = now + delay_s
        self._log.error("learner_ended", **why, restart_in_s=round(delay_s, 2))

    def _note(self, op: str, values: dict[str, Any]) -> None:
        match op:
            case "ready":
                self.state.up = True
                self.state.ready = values
                if self._draining and self.state.drained is None:
                    self.drain()  # the one that was told before has died
            case "taken":
                self.outbox.taken(values["count"])
            case "figures":
                self.state.figures = values
            case "drained":
                self.state.drained = values
