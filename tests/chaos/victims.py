"""What `kill-save` kills: a learner whose daemon we are, or a daemon together with its learner."""

import os
import re
import signal
import threading
import time
import urllib.request
from contextlib import AbstractContextManager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

import psutil

from rvsense import link
from rvsense.config import Learning
from tests.chaos.saves import Saves, number_of, step_of
from tests.learner.conftest import toy_pair
from tests.learner.running import Peer, learner
from tests.whole.running import FREE_PORTS, Daemon

PATIENCE_S = 60.0
PAIRS_EVERY_S = 0.1
LOOK_EVERY_S = 0.05
ANNOUNCED_S = 0.02
"""After its rename a checkpoint's message has left the learner, where we are not told ourselves."""
COMPLAINTS = ("checkpoint_refused", "checkpoints_set_aside", "checkpoint_failed", "model_refused")

SETTINGS = Learning(
    preset="edge",
    device="cpu",
    niceness=0,
    teacher_weights="random",
    batch=2,
    queue=64,
    pool_pairs=48,
    min_pool_pairs=2,
    heldout_pairs=2,
    publish_every_steps=20,
    max_reuse=2.0,
    checkpoint_every_s=1.0,
)


class Victim(Protocol):
    """One life of what is killed.

    ready       what the learner said when it came up: `step` and `restored`; None before
    complaints  events by which it said that something on disk was wrong
    announced   checkpoints that the other end has been told of: number → step
    """

    ready: dict[str, Any] | None
    complaints: list[str]
    announced: dict[int, int]

    def turn(self) -> None:
        """Feed it, and hear what it says."""

    def strike(self) -> None:
        """SIGKILL."""

    def bury(self) -> int:
        """Hear its last words; returns how many of its processes did not end."""


class LonelyLearner:
    """A learner process; the other end of its link is here."""

    def __init__(self, state_dir: Path, saves: Saves) -> None:
        self.ready: dict[str, Any] | None = None
        self.complaints: list[str] = []
        self.announced: dict[int, int] = {}
        self._saves = saves
        self._context: AbstractContextManager[Peer] = learner(SETTINGS, state_dir)
        self._peer = self._context.__enter__()
        self._peer.say(link.pack("hello", lockstep=False, daemon="chaos", life="1"))
        self._next_pair_at, self._pairs = 0.0, int(time.time()) % 10_000

    def turn(self) -> None:
        """Send a pair when it is time, and read all there is."""
        while self._peer.socket.poll(0):
            self._hear(*link.unpack(self._peer.socket.recv_multipart())[:2])
        now = time.monotonic()
        if self.ready is not None and now >= self._next_pair_at:
            self._next_pair_at, self._pairs = now + PAIRS_EVERY_S, self._pairs + 1
            self._peer.say(link.pack_pair(toy_pair(self._pairs)))

    def strike(self) -> None:
        """SIGKILL."""
        self._peer.process.kill()

    def bury(self) -> int:
        """What was on its way in the kernel still counts as announced."""
        self._peer.process.wait(timeout=PATIENCE_S)
        while self._peer.socket.poll(100):
            self._hear(*link.unpack(self._peer.socket.recv_multipart())[:2])
        self._context.__exit__(None, None, None)
        return 0

    def _hear(self, op: str, values: dict[str, Any]) -> None:
        if op == "ready":
            self.ready = values
        elif op == "checkpoint" and values["ok"]:
            number = number_of(values["path"])
            self.announced[number] = values["step"]
            self._saves.announced(number)
        elif op == "checkpoint":
            self.complaints.append(f"checkpoint_failed: {values['error']}")
        elif op == "notice" and values["event"] in COMPLAINTS:
            self.complaints.append(f"{values['event']}: {values.get('detail')}")


class WholeDaemon:
    """A daemon that plays a dataset to itself, and its learner; both are killed at once."""

    def __init__(self, state_dir: Path, saves: Saves, dataset: Path, config: Path) -> None:
        self.ready: dict[str, Any] | None = None
        self.complaints: list[str] = []
        self.announced: dict[int, int] = {}
        self._saves, self._learner, self._told_at = saves, 0, 0.0
        replay = ("--replay", dataset, "--speed", "1", "--loop", "--labels", "0.3")
        where = ("--state-dir", state_dir, "--config", config)
        self._daemon = Daemon(*FREE_PORTS, *where, *replay)
        self._process = psutil.Process(self._daemon.process.pid)
        self._children: list[psutil.Process] = []
        self._read, self._look_at = 0, 0.0
        self._struck = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def turn(self) -> None:
        """Read its log, and see what it has been told of checkpoints."""
        events = self._daemon.events
        while self._read < len(events):
            self._hear(events[self._read])
            self._read += 1
        now = time.monotonic()
        if self._learner == 0 and now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._find_children()
        newest = max(self._saves.renamed, default=0)
        told = newest and time.time() - self._saves.renamed[newest] > ANNOUNCED_S
        if told and not self._struck.is_set():
            self._saves.announced(newest)

    def strike(self) -> None:
        """SIGKILL to both."""
        self._daemon.process.kill()
        if self._learner:
            os.kill(self._learner, signal.SIGKILL)

    def bury(self) -> int:
        """The player, and a learner that had just been started, must end by themselves."""
        self._struck.set()
        self._watcher.join(timeout=PATIENCE_S)
        self._daemon.kill()
        _, alive = psutil.wait_procs(self._children, timeout=PATIENCE_S)
        for process in alive:
            process.kill()
        self.turn()
        for number, renamed_at in self._saves.renamed.items():
            if renamed_at <= self._told_at:
                with suppress(FileNotFoundError):  # pruned: a newer one is there, and checked
                    self.announced[number] = step_of(_path(self._saves.root, number))
        return len(alive)

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "learner_ready":
            self.ready, self._learner = event, event["pid"]
            self._find_children()
        elif event["event"] in COMPLAINTS:
            self.complaints.append(f"{event['event']}: {event.get('detail', event.get('error'))}")

    def _find_children(self) -> None:
        with suppress(psutil.Error):
            self._children = self._process.children(recursive=True)
            for child in self._children:
                if "rvsense.learner" in child.cmdline():
                    self._learner = child.pid

    def _watch(self) -> None:
        """When the daemon counted its newest checkpoint, as anybody can ask it."""
        address = ""
        while not self._struck.wait(LOOK_EVERY_S):
            if not address:
                ready = [event for event in self._daemon.events if event["event"] == "ready"]
                address = ready[0]["http"] if ready else ""
                continue
            with suppress(OSError, HTTPException):  # it may be killed at every byte
                url = f"http://{address}/metrics"
                with urllib.request.urlopen(url, timeout=PATIENCE_S) as page:
                    self._told_at = _checkpoint_at(page.read().decode())


def _checkpoint_at(metrics: str) -> float:
    found = re.search(r"^rvsense_checkpoint_success_timestamp_seconds (\S+)", metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _path(root: Path, number: int) -> Path:
    return root / f"checkpoint-{number:08d}"
