"""The learner's process and the talk with it: spawned, watched, restarted, never waited for.

Used from the I/O thread alone. `pump` sends what may be sent and looks after the process, or
after the link to one that runs elsewhere: what broke is begun again, with a growing pause.
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

from rvsense import curve, link
from rvsense.config import Learning
from rvsense.daemon import figures
from rvsense.daemon.backoff import Backoff
from rvsense.daemon.health import STANDARD_LIMITS
from rvsense.daemon.hearsay import words
from rvsense.daemon.killing import kill
from rvsense.daemon.learner_link import LearnerLink
from rvsense.daemon.outbox import Outbox
from rvsense.errors import ConfigError, UsageError
from rvsense.stopping import HURRY

AWAY_S = 5.0
"""Between two turns of ours: it was we, or the whole machine, that stood still."""
ANSWER_S = 10.0
"""How long a remote learner that was greeted may take to answer before that is said."""
HOPELESS = (UsageError.status, ConfigError.status)
"""Exit statuses that starting again does not mend."""

KEPT_OUT = {
    "reason": "the learner does not let us in",
    "remedy": "give --learner-keys a folder that `rvsense keys new --role daemon` made there",
}

Said = tuple[str, dict[str, Any], list[Any]]
"""Operation, values, payloads."""


@dataclass(slots=True)
class LearnerState:
    """What is known of the learner, for status, metrics and health.

    cuts      times that the link to a learner that still runs broke
    away_ns   Unix time since when no learner answers; None while one does
    refused   why it will not have this daemon now, or ""
    """

    up: bool = False
    cuts: int = 0
    away_ns: int | None = None
    refused: str = ""
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
        keys: ours, where a remote one asks for them.
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
        keys: curve.ClientKeys | None = None,
    ) -> None:
        self.state = LearnerState()
        self.outbox = Outbox(most=learning.backlog_pairs, lossless=lockstep)
        self._learning, self._seed, self._state_dir = learning, seed, state_dir
        self._lockstep, self._limit_s = lockstep, learning.hang_timeout_s
        self.remote = endpoint is not None
        self._link = LearnerLink(
            context,
            poller,
            endpoint or f"ipc://{runtime_dir}/learner.sock",
            lockstep=lockstep,
            remote=self.remote,
            keys=keys,
        )
        self._backoff = Backoff()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at: float | None = None
        self._stopping = self._hurried = False
        self._draining = False
        self._missed = False
        self._turned_at = self._awake_at = 0.0
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Spawn the process, or begin to connect to the remote one."""
        self._away()
        self._begin()

    def pump(self, now: float) -> None:
        """Send what may be sent; start again what has ended, when its time has come."""
        self._mind_hanging(now)
        if self._process is not None and self._process.poll() is not None:
            self._ended(now)
        if self._link.broken:
            self._cut_off(now, **(KEPT_OUT if self._link.denied else {}))
        elif self._silent(now):
            self._cut_off(now, reason="silent: it may have lost us from sight")
        self._miss(now)
        if self._start_at is not None and now >= self._start_at and not self._stopping:
            self.state.restarts += self._to_spawn
            self._begin()
        while self.state.up and (message := self.outbox.next()) is not None:
            self._link.send(message)

    def receive(self) -> list[Said]:
        """What the learner has said since the last call."""
        heard: list[Said] = []
        for message in self._link.receive():
            self.state.heard_at = time.monotonic()
            try:
                said = link.unpack(message)
                link.check_form(said[0], said[1])
                self._note(said[0], said[1])
            except link.LinkError as error:
                self._log.error("learner_not_understood", error=words(str(error)))
                continue
            heard.append(said)
        return heard

    def fetch(self, id: str, name: str, offset: int) -> None:
        """Ask for a chunk of a model; lost where there is no learner, and then asked again."""
        if self.state.up:
            self._link.send(link.pack("fetch", id=id, name=name, offset=offset))

    def drain(self) -> None:
        """Tell the learner that no more input comes."""
        self.state.drained = None
        self._draining = True
        if self.state.up:
            self._link.send(link.pack("drain"))

    def ask_to_stop(self) -> None:
        """Ask for a checkpoint and an end; no restart follows."""
        self._stopping = True
        if self.remote:
            return
        if self.state.up:
            self._link.send(link.pack("stop"))
        elif self._process is not None:
            self._process.terminate()

    def hurry(self) -> None:
        """Somebody waits for that end: a model that it is at is to be given up."""
        if self._process is not None and self.state.up and not self._hurried:
            self._hurried = True
            self._process.send_signal(HURRY)

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for: our process, or what a remote one takes."""
        if self.remote:
            return self.outbox.empty or not self.state.up
        return self._process is None or self._process.poll() is not None

    def close(self) -> None:
        """End the process if it still runs, and close the link."""
        if self._process is not None and self._process.poll() is None:
            self._log.warning("learner_killed", reason="did not stop in time")
            kill(self._process)
        self._link.disconnect()

    @property
    def endpoint(self) -> str:
        """Where the learner is."""
        return self._link.endpoint

    @property
    def _to_spawn(self) -> bool:
        """Whether a process is to be started: ours does not run. Else the link alone is made."""
        return not self.remote and self._process is None

    def _begin(self) -> None:
        self._started_at, self._start_at = time.monotonic(), None
        if self._to_spawn:
            self._spawn()
        else:
            self._link.connect()

    def _spawn(self) -> None:
        threads = str(self._learning.threads)
        settings = json.dumps(asdict(self._learning) | {"seed": self._seed})
        # -P: a folder named rvsense where we were started must not be taken for the package.
        command = [sys.executable, "-P", "-m", "rvsense.learner", "--endpoint", self.endpoint]
        command += ["--state-dir", str(self._state_dir), "--config-json", settings]
        command += ["--parent", str(os.getpid())]
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        try:
            self._process = subprocess.Popen(command, env=environment, start_new_session=True)
        except OSError as error:  # no memory or no process left: answers go on all the same
            self._log_end(self._start_later(self._started_at), error=str(error))
            return
        self.state.pid = self._process.pid
        self._link.connect()

    def _silent(self, now: float) -> bool:
        """Whether a remote learner that is up has said nothing for longer than it may.

        What it cannot deliver makes it forget a daemon, which hears of it by sending; one that
        has nothing to send would wait for ever.
        """
        quiet_s = now - self.state.heard_at
        return self.remote and self.state.up and quiet_s > STANDARD_LIMITS.learner_s

    def _mind_hanging(self, now: float) -> None:
        """Kill our own learner when it has said nothing for longer than any work of it takes.

        From `ready` on it tells figures once a second, but for a long step or checkpoint; what it
        loads before that takes as long as it takes, as do its last words, and lock-step.
        """
        if now - self._turned_at > AWAY_S:
            self._awake_at = now
        self._turned_at = now
        quiet_s = now - max(self.state.heard_at, self._awake_at)
        must_speak = self.state.up and not (self._lockstep or self._stopping)
        if self._process is None or not must_speak or not 0 < self._limit_s < quiet_s:
            return
        self._log.error("learner_hung", quiet_s=round(quiet_s, 1))
        self._process.kill()  # and not waited for: a disk that hangs may keep it for long
        self._away()

    def _miss(self, now: float) -> None:
        """Say, once in each outage, that nobody answers where a remote learner should be."""
        waits = self.remote and not self.state.up and self._start_at is None
        if not waits or now - self._started_at < ANSWER_S:
            return
        self.state.refused = ""  # that was another, or another time
        if not self._missed:
            self._log.error(
                "learner_not_reached",
                endpoint=self.endpoint,
                remedy="start `rvsense learner --listen` there, open the way to it, or correct "
                "--learner; it is tried again all the time",
            )
        self._missed = True

    def _cut_off(self, now: float, **why: str) -> None:
        """The link broke, or its other end forgot us: what was on its way is lost; greet again."""
        was_up = self.state.up
        self.state.cuts += was_up
        self.state.refused = ""
        self._away()
        delay_s = self._start_later(now)
        event = "learner_cut_off" if was_up else "learner_not_reached"
        self._log.error(event, endpoint=self.endpoint, **why, retry_in_s=round(delay_s, 2))

    def _away(self) -> None:
        """No learner answers from now on."""
        self.state.up, self.outbox.away = False, True
        if self.state.away_ns is None:
            self.state.away_ns = time.time_ns()
        self._link.disconnect()
        self.outbox.lost()

    def _refused(self, reason: str) -> None:
        if reason != self.state.refused:
            self._log.error("learner_refuses", reason=reason, endpoint=self.endpoint)
        self.state.refused, self._missed = reason, False
        self._away()
        if self._lockstep:  # it would wait for ever: nothing may be dropped
            self.state.hopeless, self.state.exit_status = True, ConfigError.status
        else:
            self._start_later(time.monotonic())

    def _ended(self, now: float) -> None:
        assert self._process is not None
        self.state.exit_status = self._process.returncode
        # One that was ready before had all it needs: what it lacks now may come back.
        self.state.hopeless = self._process.returncode in HOPELESS and not self.state.ready
        self._process = None
        self._away()
        if self._stopping or self.state.hopeless:
            return
        self._log_end(self._start_later(now), exit_status=self.state.exit_status)

    def _start_later(self, now: float) -> float:
        """Begin again after a pause; returns its seconds."""
        delay_s = self._backoff.delay_s(now - self._started_at)
        self._start_at = now + delay_s
        return delay_s

    def _log_end(self, delay_s: float, **why: Any) -> None:
        self._log.error("learner_ended", **why, restart_in_s=round(delay_s, 2))

    def _note(self, op: str, values: dict[str, Any]) -> None:
        match op:
            case "ready":
                self.state.up, self.outbox.away = True, False
                self.state.away_ns, self.state.refused, self._missed = None, "", False
                self.state.ready = values
                if self._draining and self.state.drained is None:
                    self.drain()  # the one that was told before has died
            case "taken":
                self.outbox.taken(values["count"])
            case "figures":
                figures.check(values)
                self.state.figures = values
            case "drained":
                self.state.drained = values
            case "refused":
                self._refused(words(values["reason"]))
            case "stranger":
                self._cut_off(time.monotonic())
