"""One seed's world: the daemon, all that it talks to, and what goes wrong, put together and run."""

import contextlib
import functools
import hashlib
import io
import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

import structlog

from rvsense import logs
from rvsense.daemon import http, loop, pairing, service
from rvsense.errors import RvsenseError
from rvsense.model import ServableModel
from tests.simulate import faults
from tests.simulate.checks import BrokenError, Checks
from tests.simulate.disk import Disk
from tests.simulate.learner import Learner
from tests.simulate.models import PretendedModel
from tests.simulate.network import Network, Socket
from tests.simulate.outside import Asker, Server, Subscriber, monitor
from tests.simulate.platform import Clock, pretended, replacements
from tests.simulate.player import LONG_ROOM_S, ROOM_S, player
from tests.simulate.processes import Spawned, option
from tests.simulate.scenario import INTAKE, REMOTE, STATE, Fault, Scenario
from tests.simulate.scheduler import Process, Scheduler
from tests.simulate.sources import Message, Source
from tests.simulate.watched import met, watched, watched_loop

TAIL = 60
"""Events that are shown of a run that failed."""
RESTART_S = 2.0
NO_RESTART = (2, 78)
"""As the systemd units have it."""
REMOTE_BACK_S = 2.0
REMOTE_STATE = "/elsewhere"
REQUESTS = "tcp://127.0.0.1:5562"


class World:
    """Everything; `run` lets time pass.

    Args:
        turns: another word lets other tasks go first, where nothing else differs.
    """

    def __init__(self, scenario: Scenario, turns: str = "turns") -> None:
        self.scenario = scenario
        self.chance = random.Random(f"faults {scenario.seed}")
        self.scheduler = Scheduler(random.Random(f"{turns} {scenario.seed}"))
        self.clock = Clock(self.scheduler)
        self.network = Network(self.scheduler, random.Random(f"net {scenario.seed}"))
        self.disk = Disk(PurePosixPath(STATE).name, self._before_disk, self.clock.time_ns)
        self.disk_slow_s = self.disk_failing = 0.0
        self.checks = Checks()
        self.learner: Spawned | None = None
        self.spawn_fails = False
        self.next_kind = "good"
        self.handlers: dict[int, Any] = {}
        self.subscribers = [Subscriber(), Subscriber()]
        self.asker = Asker()
        self.server = Server(lambda _: None)
        self.exit_status: int | None = None
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.seen: Counter[str] = Counter()
        self.newest_loop: Any = None
        self.messages: Iterable[Message] = ()
        self.watched = True
        self.on_learned: Callable[[str], None] = lambda _: None
        self._digest = hashlib.sha256()
        self._learning: Learner | None = None
        self._outside = Process("outside")
        self.daemon = Process("nobody")
        self.daemon.alive = False
        self._numbers = self._models = 0
        self._began_ns = self.scheduler.now_ns
        self._base = [radar_camera[1].offset_ns - radar_camera[0].offset_ns
                      for radar_camera in scenario.streams]  # fmt: skip
        self.sources = [self._source(streams) for streams in scenario.streams]
        self.network.on_read = lambda _, message: self.checks.read(message)
        self.network.on_publish = self._published
        self.network.on_bind = self._bound
        self.scheduler.after_event = self.checks.after_event

    def unwatched(self) -> None:
        """Leave out the checks, whose books grow: for a run that is long, and measured."""
        self.watched, self.subscribers = False, []
        self.scheduler.after_event = lambda: None
        self.network.on_read = lambda _, __: None
        self.network.on_publish = lambda _: None

    @property
    def now_ns(self) -> int:
        """The time."""
        return self.scheduler.now_ns

    @property
    def digest(self) -> str:
        """Of all that has happened so far."""
        return self._digest.hexdigest()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Have the daemon's modules find this world."""
        replaced = replacements(
            self.scheduler,
            self.clock,
            self.network,
            self.disk,
            popen=self._popen,
            handlers=self.handlers,
        )
        replaced += [
            (
                ServableModel,
                type("Model", (PretendedModel,), {"sleep": staticmethod(self.scheduler.sleep)}),
            ),
            (http.HttpServer, self.server),
            (loop.Loop, watched_loop(self._began)),
        ]
        if self.watched:
            pairer = watched(self.checks.truth_of, clocked=not self.messages)
            replaced.append((pairing.Pairer, pairer))
        configured, configure = structlog.get_config(), logs.configure
        structlog.configure(processors=[self._logged], cache_logger_on_first_use=False)
        logs.configure = lambda *_, **__: None
        PretendedModel.slowed = 1.0
        try:
            with (
                pretended(replaced),
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                try:
                    yield
                finally:
                    self.scheduler.end()
        finally:
            logs.configure = configure
            structlog.configure(**configured)

    def start(self) -> None:
        """The daemon, what sends to it, and what will go wrong."""
        self.disk.Path(STATE).mkdir()
        self.disk.root.sync()
        if self.scenario.remote:
            self._start_remote()
        self.start_daemon()
        watcher = random.Random(f"monitor {self.scenario.seed}")
        self.scheduler.spawn("monitoring", self._outside, lambda: monitor(self, watcher))
        for source in self.sources if not self.messages else ():
            self.scheduler.after(0.3, source.start)
        for fault in self.scenario.faults:
            self.scheduler.after(fault.start_s, self._bound_to(faults.begin, fault))
            self.scheduler.after(fault.end_s, self._bound_to(faults.end, fault))

    def run(self, seconds: float) -> None:
        """Let time pass, up to so long after the start."""
        self.scheduler.run(self._began_ns + round(seconds * 1e9))

    def note(self, *words: Any) -> None:
        """Something happened."""
        at_s = (self.now_ns - self._began_ns) / 1e9
        line = " ".join((f"{at_s:9.4f}", *map(str, words)))
        self.tail.append(line)
        self._digest.update(line.encode())

    def start_daemon(self) -> None:
        """Start it, or start it again."""
        if self.daemon.alive:
            return
        self.note("daemon starts")
        self.checks.new_life()
        self.asker = Asker()
        self.daemon = Process("daemon")
        self.scheduler.spawn("main", self.daemon, self._run_daemon)

    def kill_daemon(self, *, power: bool, away_s: float) -> None:
        """It is gone from one instant to the next, and with the power what was not synced."""
        self.count_seen()
        self.daemon.alive = False
        self.checks.new_life()
        self.server.routes = {}
        for endpoint, socket in list(self.network.bound.items()):
            if socket.process is self.daemon:
                del self.network.bound[endpoint]
        if self.scenario.remote:
            if self._learning is not None:
                self._learning.cut_off()
        elif self.learner is not None:
            self.learner.end(-9)
        if power:
            self.disk.cut_power(self.chance)
        self.scheduler.after(away_s, self.start_daemon)

    def stop_daemon(self) -> None:
        """SIGTERM."""
        self.note("SIGTERM")
        self.handlers[15](15, None)

    def hang_up(self) -> None:
        """SIGHUP."""
        if self.daemon.alive and 1 in self.handlers:
            self.handlers[1](1, None)

    def cut_cable(self) -> None:
        """Between the daemon and a learner elsewhere."""
        self.network.cut.add(REMOTE)
        if self._learning is not None:
            self._learning.cut_off()

    def align(self, site: int) -> None:
        """Set the camera's clock by the radar's."""
        radar, camera = self.sources[site].streams
        if camera.offset_ns != radar.offset_ns + self._base[site]:
            camera.jump(radar.offset_ns + self._base[site] - camera.offset_ns)

    def hurry(self, busy: bool) -> None:
        """Whether answers may take long, for a while longer than they must."""
        if busy:
            self.checks.unhurried = False
        else:
            self.scheduler.after(8.0, lambda: setattr(self.checks, "unhurried", True))

    def ask(self, parts: list[bytes]) -> None:
        """Send the daemon a request."""
        self.asker.ask(self.network.bound.get(REQUESTS), parts)

    def send(self, message: Message) -> None:
        """Send the daemon a frame; where it has no room, or is not there, it is lost."""
        self.checks.frames[message.sent.number] = message.sent
        self.network.deliver(INTAKE, message)

    def count_seen(self) -> None:
        """Take note of what this life of the daemon has met."""
        if self.checks.loop is not None:
            self.seen += met(self.checks.loop.parts)

    def _source(self, streams: Any) -> Source:
        name = streams[0].site
        return Source(
            name,
            streams,
            random.Random(f"{name} {self.scenario.seed}"),
            label_share=self.scenario.label_share,
            now_ns=lambda: self.scheduler.now_ns,
            later=self.scheduler.after,
            send=self.send,
            count=self.count,
        )

    def count(self) -> int:
        """A number that nothing else has."""
        self._numbers += 1
        return self._numbers

    def _bound_to(self, act: Callable[["World", Fault], None], fault: Fault) -> Callable[[], None]:
        return lambda: act(self, fault)

    def _run_daemon(self) -> None:
        """As the command line runs it, and the service manager above that."""
        try:
            status = service.run(self.scenario.config, reload=lambda: self.scenario.config)
        except RvsenseError as error:
            status = error.status
            self.note("daemon fails", error)
            if status in NO_RESTART:
                raise BrokenError(
                    "end", f"nobody starts it again after {status}: {error}"
                ) from None
            self.scheduler.after(RESTART_S, self.start_daemon)
        self.note("daemon ends", status)
        self.exit_status = status
        self.count_seen()
        self.checks.loop = None
        self.daemon.alive = False

    def _began(self, newest: Any) -> None:
        self.checks.loop = self.newest_loop = newest

    def _popen(self, command: list[str], **_: Any) -> Spawned:
        if self.spawn_fails:
            raise OSError(12, "Cannot allocate memory")
        if "replay" in command:
            return self._start_player()
        state = self.disk.Path(option(command, "--state-dir"))
        return self._start_learner(option(command, "--endpoint"), state)

    def _start_learner(self, endpoint: str, state: Any) -> Spawned:
        learner = self._learning = Learner(
            self.scheduler,
            self.network,
            self.disk,
            random.Random(self.chance.random()),
            endpoint=endpoint,
            state=state,
            told=self._told,
            next_kind=lambda: self.next_kind,
            day_ns=self.clock.time_ns,
            scenario=self.scenario,
        )
        self.note("learner starts")
        self.learner = Spawned(
            self.scheduler,
            "learner",
            1000 + self.count(),
            learner.main,
            on_term=learner.stop,
            on_end=lambda: self._learner_ended(learner),
        )
        return self.learner

    def _start_player(self) -> Spawned:
        if self.watched:
            for message in self.messages:
                self.checks.frames[message.sent.number] = message.sent
        deliver = functools.partial(self.network.deliver, INTAKE)
        room_s = ROOM_S if self.watched else LONG_ROOM_S
        main = player(self.scheduler, deliver, self.messages, room_s)
        return Spawned(self.scheduler, "player", 999, main)

    def _start_remote(self) -> None:
        state = self.disk.Path(REMOTE_STATE)
        state.mkdir(exist_ok=True)
        self._start_learner(REMOTE, state)

    def _learner_ended(self, learner: Learner) -> None:
        self.note("learner ends")
        learner.ended()
        self.checks.books.learned.clear()
        if self.scenario.remote:
            self.scheduler.after(REMOTE_BACK_S, self._start_remote)

    def _told(self, what: str, value: Any) -> Any:
        checks = self.checks
        match what:
            case "pair" if not self.watched:
                checks.learned_total += 1
            case "pair":
                self.note("pair", value.site, value.radar_seq, value.camera_seq)
                self.on_learned(f"{value.site} {value.radar_seq} {value.camera_seq}\n")
                checks.learned(value)
            case "label":
                self.on_learned(f"{value.site} {value.stamp_ns} {value.label}\n")
                checks.taught(value)
            case "number":
                self._models += 1
                return self._models
            case "published":
                id, number, kind = value
                self.note("published", *value)
                checks.models[id] = number, kind
            case "saved":
                self.note("saved", value)
                checks.saved(value)
            case "restored":
                self.note("restored", *value[:2])
                checks.restored(*value)
        return None

    def _published(self, parts: list[bytes]) -> None:
        topic = parts[0].decode()
        if topic != "status":  # which tells of this process: its age, its memory
            self.note("out", topic, hashlib.sha256(parts[1]).hexdigest()[:8])
        self.checks.published(parts)

    def _bound(self, socket: Socket, endpoint: str) -> None:
        if endpoint.endswith(":5561"):
            for subscriber in self.subscribers:
                subscriber.greet(socket)

    def _before_disk(self, what: str, path: PurePosixPath) -> None:
        scheduler = self.scheduler
        scheduler.must_live()
        task = scheduler.current
        if task is None or path.parts[1] != self.disk.ours:
            return
        if task.name == "main" and self.checks.loop is not None and self.checks.loop.turning:
            raise BrokenError("S2", f"the I/O thread waits for the disk: {what} {path}")
        if what == "write" and self.disk_failing and self.chance.random() < self.disk_failing:
            raise OSError(5, "Input/output error", str(path))
        if self.disk_slow_s and what in ("write", "sync"):
            scheduler.sleep(self.chance.uniform(0, self.disk_slow_s))
        else:
            scheduler.pause()

    def _logged(self, _logger: Any, level: str, event: Any) -> Any:
        self.seen[f"log {event['event']}"] += 1
        if event["event"] == "model_refused" and "model" in event:
            self.checks.refused.add(event["model"])
        self.note("log", level, json.dumps(event, default=repr, sort_keys=True))
        raise structlog.DropEvent
