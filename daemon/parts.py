"""Everything a daemon is made of, opened in an order in which failing is cheap.

What can be wrong with the configuration or the machine is found here, before a thread or a
process starts.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import torch
import zmq

from rvsense import __version__
from rvsense.addresses import PEER_FORM, is_peer
from rvsense.config import Config
from rvsense.daemon import auth
from rvsense.daemon.auth import Doors
from rvsense.daemon.clocks import Clocks
from rvsense.daemon.core import Core
from rvsense.daemon.drift import DriftWatch
from rvsense.daemon.exam import Exam
from rvsense.daemon.exam_store import ExamStore
from rvsense.daemon.hands import Hands
from rvsense.daemon.history import History
from rvsense.daemon.inference import Answered, Inference
from rvsense.daemon.landing import Landing
from rvsense.daemon.latest import Latest
from rvsense.daemon.learner_process import LearnerProcess
from rvsense.daemon.metrics import Metrics
from rvsense.daemon.model_history import ModelHistory
from rvsense.daemon.models import ModelKeeper, Outcome
from rvsense.daemon.places import kept_sites
from rvsense.daemon.publisher import Publisher
from rvsense.daemon.scoring import Score
from rvsense.daemon.sockets import (
    SUBSCRIPTION_BYTES,
    Bell,
    bind,
    intake_message_bytes,
    request_message_bytes,
)
from rvsense.daemon.tally import Tally
from rvsense.daemon.tap import Tap
from rvsense.device import serving_lane, settle
from rvsense.errors import ConfigError
from rvsense.machine import (
    detector_file,
    pick_device,
    preset_name,
    teacher_file,
    uses_detector,
)
from rvsense.model import ServableModel
from rvsense.notify import Notifier

OVERSIZE = 4
"""A frame up to so many times too large is taken in, to be counted and named; a peer that sends
more is cut off."""


@dataclass(slots=True)
class Parts:
    """The pieces, wired to each other but not yet running."""

    config: Config
    state_dir: Path
    lockstep: bool
    reload: Callable[[], Config] | None
    configure_logs: Callable[[str], None]
    context: "zmq.Context[zmq.Socket[bytes]]"
    poller: zmq.Poller
    bell: Bell
    intake: "zmq.Socket[bytes]"
    results: "zmq.Socket[bytes]"
    requests: "zmq.Socket[bytes]"
    endpoints: dict[str, str]
    doors: Doors
    answered: "SimpleQueue[Answered]"
    outcomes: "SimpleQueue[Outcome]"
    core: Core
    inference: Inference
    keeper: ModelKeeper
    exam_store: ExamStore
    learner: LearnerProcess | None
    landing: Landing | None
    publisher: Publisher
    hands: Hands
    tap: Tap
    tally: Tally
    score: Score
    drift: DriftWatch
    metrics: Metrics
    notifier: Notifier
    latest: Latest
    started_at: float = field(default_factory=time.monotonic)
    clocks: Clocks = field(default_factory=Clocks)
    swaps: int = 0
    held: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    model_history: ModelHistory = field(default_factory=ModelHistory)
    history: History = field(default_factory=History)

    def start(self) -> None:
        """Start the threads and the learner; tell of the model that serves already."""
        for outcome in self.keeper.passed_over:
            self.metrics.model_refused(outcome.reason)
            self.refused[outcome.reason] += 1
            self.model_history.refused(outcome.path.name, outcome.reason, outcome.detail)
        if self.keeper.serving is not None:
            self.announce(self.keeper.serving)
            self.metrics.model_pinned(self.keeper.note.pinned)
            self.model_history.serves(self.keeper.serving, "restored")
        self.inference.start()
        self.keeper.start()
        self.keeper.offer_newest()
        self.exam_store.start()
        if self.landing is not None:
            self.landing.start()
        if self.learner is not None:
            self.learner.start()

    def announce(self, model: ServableModel) -> None:
        """Tell subscribers and metrics which model answers."""
        published = model.published
        self.metrics.model_restored(published.step, published.manifest["created_ns"] / 1e9)
        self.publisher.announce(
            "model",
            {"id": published.id, "step": published.step, "sha256": published.sha256},
        )

    def close(self) -> None:
        """End threads and processes, then close every socket."""
        if self.learner is not None:
            self.learner.close()
        if self.landing is not None:
            self.landing.stop()
        self.keeper.stop()
        self.exam_store.stop()
        self.inference.stop()
        self.tap.close()
        self.doors.close()
        for socket in (self.intake, self.results, self.requests):
            # What has been published still goes out; a stuck subscriber holds us half a second.
            socket.close(linger=500)
        self.context.term()
        self.bell.close()


def build(
    config: Config,
    *,
    state_dir: Path,
    runtime_dir: Path,
    reload: Callable[[], Config] | None,
    configure_logs: Callable[[str], None],
) -> Parts:
    """Bind, load the last model, and wire up; starts nothing.

    Raises:
        ConfigError: a device, a port or a file that the configuration asks for is not there, or
            it contradicts itself.
    """
    device = pick_device(config.serving.device, "serving.device")
    settle(device)
    kept = kept_sites(config.intake)
    if config.learn:
        _preflight(config)
    metrics = Metrics(_build_info(config, device), config.intake.max_sites)
    context, poller = zmq.Context(), zmq.Poller()
    try:
        doors = Doors(context, poller, config, runtime_dir, metrics.auth_denied)
        intake, results, requests, endpoints = _sockets(context, config, doors)
    except ConfigError:
        context.destroy(linger=0)
        raise
    bell = Bell()
    for source in (results, requests, bell.fileno()):
        poller.register(source, zmq.POLLIN)
    answered: SimpleQueue[Answered] = SimpleQueue()
    outcomes: SimpleQueue[Outcome] = SimpleQueue()

    def deliver(batch: Sequence[Answered]) -> None:
        for item in batch:
            answered.put(item)
        bell.ring()

    def conclude(outcome: Outcome) -> None:
        outcomes.put(outcome)
        bell.ring()

    exam = Exam(config.serving.exam_share, config.serving.exam_labels)
    exam_store = ExamStore(state_dir / "exam")
    exam.restore(exam_store.load())
    keeper = ModelKeeper(state_dir, config.serving, device, exam.items, conclude)
    lockstep = config.replay.lockstep
    inference = Inference(
        config.serving, deliver, keeper.restore(), serving_lane(device), lossless=lockstep
    )
    core = Core(config.intake, config.pairing, exam, kept)
    learner = None
    if config.learn:
        learner = LearnerProcess(
            context,
            poller,
            config.learning,
            seed=config.seed,
            state_dir=state_dir,
            runtime_dir=runtime_dir,
            lockstep=lockstep,
            endpoint=config.learner or None,
            keys=auth.learner_keys(config),
        )
    landing = None
    if learner is not None and learner.remote:
        landing = Landing(
            state_dir,
            kept=config.learning.models_kept,
            most_bytes=config.serving.max_model_bytes,
            serving=lambda: "" if keeper.serving is None else keeper.serving.published.id,
            on_landed=keeper.offer,
            on_news=bell.ring,
        )
    tally, score = Tally(), Score()
    latest = Latest(keep_images=config.page.camera)
    metrics.capacities(config.learning.pool_pairs, config.learning.queue)
    outbox = learner.outbox if learner is not None else None
    return Parts(
        config=config,
        state_dir=state_dir,
        lockstep=lockstep,
        reload=reload,
        configure_logs=configure_logs,
        context=context,
        poller=poller,
        bell=bell,
        intake=intake,
        results=results,
        requests=requests,
        endpoints=endpoints,
        doors=doors,
        answered=answered,
        outcomes=outcomes,
        core=core,
        inference=inference,
        keeper=keeper,
        exam_store=exam_store,
        learner=learner,
        landing=landing,
        publisher=Publisher(results, config.serving, admit=doors.hears_out),
        hands=Hands(
            inference,
            outbox,
            tally,
            score,
            metrics,
            latest=latest,
            keep_exam=lambda: exam_store.keep(exam.kept()),
        ),
        tap=Tap(context, runtime_dir, config.recording, opened=metrics.recording),
        tally=tally,
        score=score,
        drift=DriftWatch(config.serving),
        metrics=metrics,
        notifier=Notifier(),
        latest=latest,
    )


def _preflight(config: Config) -> None:
    """Look for what the learner will need, so that a lack is said before it is spawned."""
    if config.learner:
        if not is_peer(config.learner):
            raise ConfigError(f"learner is {config.learner!r}; allowed: {PEER_FORM}")
        auth.check_learner(config)
        return
    device = pick_device(config.learning.device, "learning.device")
    teacher_file(preset_name(config.learning, device), config.learning.teacher_weights)
    if uses_detector(config.learning):
        detector_file(config.learning.detector)


def _sockets(
    context: "zmq.Context[zmq.Socket[bytes]]", config: Config, doors: Doors
) -> tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]", "zmq.Socket[bytes]", dict[str, str]]:
    wanted = config.endpoints
    intake, intake_at = bind(
        context,
        zmq.PULL,
        wanted.intake,
        "--intake",
        max_message_bytes=OVERSIZE * intake_message_bytes(config.intake),
        high_water_messages=config.intake.high_water_messages,
        arm=doors.arm("intake"),
    )
    results, results_at = bind(
        context,
        zmq.XPUB,
        wanted.results,
        "--results",
        max_message_bytes=SUBSCRIPTION_BYTES,
        arm=doors.arm("results"),
    )
    requests, requests_at = bind(
        context,
        zmq.ROUTER,
        wanted.requests,
        "--requests",
        max_message_bytes=request_message_bytes(config.intake),
        arm=doors.arm("requests"),
    )
    bound = {"intake": intake_at, "results": results_at, "requests": requests_at}
    return intake, results, requests, bound


def _build_info(config: Config, device: torch.device) -> dict[str, str]:
    return {
        "version": __version__,
        "preset": preset_name(
            config.learning, pick_device(config.learning.device, "learning.device")
        ),
        "device": device.type,
        "torch": torch.__version__,
    }
