"""A learner that trains nothing, but speaks the link and keeps its work as a learner does.

Models and checkpoints are written by the product's own code to the pretended disk, so whatever
cuts that short, cuts the real thing short.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from rvsense import current, link, parcel, published
from rvsense.errors import ModelError
from rvsense.learner import checkpoint
from rvsense.learner.rows import Column, Rows
from tests.simulate import models
from tests.simulate.disk import Disk
from tests.simulate.network import Network, Socket
from tests.simulate.processes import Spawned
from tests.simulate.scenario import Scenario
from tests.simulate.scheduler import Scheduler

FINGERPRINT = "pretended"
POOL_ROWS = 64
ENCODE_S = 0.004
STEP_S = 0.01
CHUNK_S = 0.3
"""A line so slow that it is often cut while a model is on its way."""
KEPT_MODELS = 3


class Connection:
    """One daemon's, as long as it lasts."""

    def __init__(self, network: Network, socket: Socket, take: Callable[[Any, Any], None]) -> None:
        self._network, self.socket = network, socket
        self.open = True
        self.taken = -1
        self._clear_ns = 0
        socket.meet(lambda message: take(self, message))

    def send(self, op: str, payloads: Any = (), **values: Any) -> None:
        """Say something, in order."""
        message = [bytes(part) for part in link.pack(op, payloads, **values)]
        scheduler = self._network.scheduler
        self._clear_ns = max(self._clear_ns, scheduler.now_ns + self._network.latency_ns())
        scheduler.at(self._clear_ns, lambda: self._arrive(message))

    def end(self) -> None:
        """The connection has broken."""
        if self.open:
            self.open = False
            self.socket.end()

    def _arrive(self, message: list[bytes]) -> None:
        if self.open:
            self.socket.put(message)


class Learner:
    """The process. `world` gives it its orders, and is told what it has done.

    Args:
        state: its state directory.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        network: Network,
        disk: Disk,
        chance: random.Random,
        *,
        endpoint: str,
        state: Any,
        told: Callable[..., None],
        next_kind: Callable[[], str],
        day_ns: Callable[[], int],
        scenario: Scenario,
    ) -> None:
        self._scheduler, self._network, self._disk = scheduler, network, disk
        self._chance, self._endpoint, self._state = chance, endpoint, state
        self._told, self._next_kind, self._day_ns = told, next_kind, day_ns
        self._scenario = scenario
        self._inbox: deque[tuple[Connection, list[bytes]]] = deque()
        self._connections: list[Connection] = []
        self._task: Any = None
        self._rows = Rows(POOL_ROWS, {"pair": Column((), torch.int64)})
        self.pairs = self.step = self._published = self._saved = 0
        self._stopping = False

    def main(self, spawned: Spawned) -> int:
        """Live until told to stop."""
        scheduler = self._scheduler
        self._task = scheduler.current
        scheduler.sleep(self._scenario.learner_start_s * self._chance.uniform(0.5, 1.5))
        self._restore()
        self._network.listen(self._endpoint, self._accept)
        figures_ns = save_ns = scheduler.now_ns
        while not self._stopping:
            if not self._inbox:
                scheduler.park(scheduler.now_ns + 200_000_000)
            spawned.thaw()
            while self._inbox and not self._stopping:
                self._hear(*self._inbox.popleft())
            if scheduler.now_ns - figures_ns >= 1_000_000_000:
                figures_ns = scheduler.now_ns
                self._tell_all("figures", step=self.step, pairs=self.pairs)
            if (
                scheduler.now_ns - save_ns >= self._scenario.checkpoint_every_s * 1e9
                and self.step > self._saved
            ):
                save_ns = scheduler.now_ns
                self._save()
        self._save()
        self._tell_all("stopped", step=self.step)
        scheduler.sleep(0.005)
        return 0

    def stop(self) -> None:
        """SIGTERM."""
        self._stopping = True
        if self._task is not None:
            self._scheduler.wake(self._task)

    def ended(self) -> None:
        """The process is no more."""
        self._network.hang_up(self._endpoint)
        self.cut_off()

    def cut_off(self) -> None:
        """All connections break."""
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.end()

    def _accept(self, socket: Socket) -> None:
        self._connections.append(Connection(self._network, socket, self._take))

    def _take(self, connection: Connection, message: list[bytes]) -> None:
        self._inbox.append((connection, message))
        if self._task is not None:
            self._scheduler.wake(self._task)

    def _hear(self, connection: Connection, message: list[bytes]) -> None:
        op, values, payloads = link.unpack(message)
        if op == "hello":
            connection.taken = 0
            connection.send("ready", step=self.step, pid=1, teacher_sha256="t", preset="edge")
            connection.send("figures", step=self.step, pairs=self.pairs)
            if values["fetch"]:
                self._offer_newest(connection)
        elif connection.taken < 0:
            connection.send("stranger")
        elif op in ("pair", "label"):
            self._learn(op, values, payloads)
            connection.taken += 1
            connection.send("taken", count=connection.taken)
        elif op == "drain":
            self._publish()
            connection.send("drained", step=self.step, pairs=self.pairs, weights_sha256="w")
        elif op == "fetch":
            self._give(connection, values)
        elif op == "stop":
            self._stopping = True

    def _learn(self, op: str, values: dict[str, Any], payloads: list[Any]) -> None:
        self._scheduler.sleep(ENCODE_S)
        if op == "label":
            self._told("label", link.unpack_label(values, payloads))
            return
        self._told("pair", link.unpack_pair(values, payloads))
        self._rows.put(self.pairs % POOL_ROWS, pair=self.pairs)
        self.pairs += 1
        self._scheduler.sleep(STEP_S)
        self.step += 1
        if self.step - self._published >= self._scenario.publish_every_steps:
            self._publish()

    def _publish(self) -> None:
        kind = self._next_kind()
        number = self._told("number", None) or 0
        place = self._state / "models"
        self._published = self.step
        try:
            model = models.publish(place, self.step, number, kind, self._day_ns())
            self._told("published", (model.id, number, kind))
            if kind == "damaged":
                models.damage(model.path, self._disk)
            current.prune(self._state, KEPT_MODELS, model.id)
            offer = parcel.offer_of(model)
        except (OSError, ModelError) as error:
            self._tell_all("notice", level="error", event="publish_failed", detail=str(error))
            return
        self._tell_all("model", step=self.step, path=str(model.path), **offer)

    def _offer_newest(self, connection: Connection) -> None:
        for path in reversed(published.list_models(self._state / "models")):
            try:
                offer = parcel.offer_of(published.open_model(path))
            except (ModelError, OSError):
                continue
            connection.send("model", step=self.step, path=str(path), **offer)
            return

    def _give(self, connection: Connection, values: dict[str, Any]) -> None:
        self._scheduler.sleep(self._chance.uniform(0, CHUNK_S))
        id, name, offset = values["id"], values["name"], values["offset"]
        try:
            data = parcel.read_chunk(self._state / "models", id, name, offset)
        except ModelError:
            connection.send("gone", id=id)
            return
        connection.send("chunk", [data], id=id, name=name, offset=offset)

    def _save(self) -> None:
        started_ns = self._scheduler.now_ns
        path, error = "", ""
        try:
            path = str(
                checkpoint.save(
                    self._state / "checkpoints",
                    fingerprint=FINGERPRINT,
                    values={"step": self.step, "pairs": self.pairs},
                    tensors={"weights": torch.tensor([self.step])},
                    tables={"pool": self._rows},
                    keep=2,
                )
            )
            self._saved = self.step
            self._told("saved", self.step)
        except OSError as problem:
            error = str(problem)
        seconds = (self._scheduler.now_ns - started_ns) / 1e9
        words = {"path": path, "seconds": seconds, "ok": not error, "error": error}
        self._tell_all("checkpoint", step=self.step, **words)

    def _restore(self) -> None:
        root = self._state / "checkpoints"
        for path in reversed(checkpoint.numbered(root)):
            try:
                saved = checkpoint.load(path, FINGERPRINT)
                saved.fill("pool", self._rows)
            except ModelError:
                continue
            self.step = self._published = self._saved = saved.values["step"]
            self.pairs = saved.values["pairs"]
            break
        self._told("restored", (self.step, self.pairs, self._rows.take("pair").tolist()))

    def _tell_all(self, op: str, **values: Any) -> None:
        for connection in self._connections:
            if connection.taken >= 0:
                connection.send(op, **values)
