"""A classified frame, socket in to result out, against the bare forward pass of its network.

    python -m bench.serving [--quick] [--json FILE]

A real daemon with real sockets takes radar and camera of one site at 30 fps while its learner
trains at full pace beside it. Half a period after each frame was sent, and long after its result
came, this process passes the same frame through the same published model, so that both sides meet
the same caches and the same neighbours. The bare pass is the encoder, its normalisation folded in,
layer by layer as torch runs it on the prepared frame, and the head's softmax. Not in it are
preparing the heatmap and the score of familiarity, which `classify` adds. The daemon runs the same
network with packed weights (rvsense/packed.py); that pass is the other side of one row. Then sites
are added, radar alone, until p99 passes the frame period. What sends the frames runs on the same
cores.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench import served
from bench.sides import Goal, Row, options, report, rounds
from bench.traffic import PERIOD_S, Client, Key, Moment, Trip, moments, paced
from rvsense.answer import Answer
from rvsense.frames import CLASSES
from rvsense.graphed import Pass
from rvsense.model import ServableModel
from rvsense.packed import cpu_pass
from rvsense.results import Result

FOLDER = Path("build/bench/serving")
CPU = torch.device("cpu")
SITE = "site"
PERIOD_MS = 1e3 * PERIOD_S
PERIOD = "frame period"
P50, P99, SITES = Goal("at most", 1.5), Goal("at most", 1), Goal("at least", 1)
MOST_SITES = 256
HALVINGS = 2
FULL_PACE = 0.8
"""Share of a core below which the learner was held up by others: then no goal is judged."""
NOT_LEARNING = (
    ("", "not learning"),
    ("[serving]\nmax_batch = 1\n", "not learning, each frame by itself"),
)
LEAST_MS = 0.01
"""A thread that works less than this for a frame is not shown."""
SAME = 1e-4
"""How far the daemon's probabilities may lie from those computed here."""


def main() -> None:
    """Measure and print."""
    arguments = options(__doc__, "bench.serving").parse_args()
    torch.set_num_threads(1)
    seconds, count = (3.0, 3) if arguments.quick else (20.0, 5)
    data = served.dataset(FOLDER / "cruw")
    state = served.learned(FOLDER / "state", data)
    model = ServableModel(served.model_of(state), CPU)
    film = moments(data)
    rows: list[Row] = []
    with served.daemon(state, learn=True) as daemon:
        rows += one_site(daemon, model, film, seconds, count)
        rows += batches(model, film, count)
        rows.append(sites(daemon, film, seconds / 2, "learner beside", refine=not arguments.quick))
    for extra, how in () if arguments.quick else NOT_LEARNING:
        with served.daemon(state, learn=False, extra=extra) as daemon:
            rows.append(sites(daemon, film, seconds / 2, how))
    report(rows, threads="1 to serve, 1 to learn, 1 of the client", path=arguments.json)


def bare_pass(model: ServableModel, maps: Pass | None = None) -> Pass:
    """(n, C, 128, 128) prepared frames to (n, 4) probabilities: the network and nothing else.

    Args:
        maps: what gives the encoder's feature maps; by default the encoder itself.
    """
    encoder, head = model.encoder, model.head
    feature_map = maps or encoder.feature_map
    assert head is not None

    @torch.inference_mode()
    def run(x: Tensor) -> Tensor:
        return head.probabilities(encoder.features_of(feature_map(x)))

    return run


class Beside:
    """What this process does between two frames: bare pass, all of `classify`, packed pass."""

    def __init__(self, model: ServableModel, film: Sequence[Moment]) -> None:
        self.bare_s: list[float] = []
        self.classify_s: list[float] = []
        self.packed_s: list[float] = []
        self.answers: dict[Key, Answer] = {}
        self._prepared = {id(moment): prepared(model, moment) for moment in film}
        self._model, self._bare = model, bare_pass(model)
        frame = prepared(model, film[0])
        self._packed = bare_pass(model, cpu_pass(model.encoder, frame))

    def __call__(self, moment: Moment, key: Key) -> None:
        """Half a period after `moment` was sent."""
        began_s = time.perf_counter()
        if len(self.bare_s) <= len(self.packed_s):
            self._bare(self._prepared[id(moment)])
            self.bare_s.append(time.perf_counter() - began_s)
        elif len(self.classify_s) <= len(self.packed_s):
            (answer,) = self._model.classify([moment.radar.heatmap])
            self.classify_s.append(time.perf_counter() - began_s)
            self.answers[key] = answer
        else:
            self._packed(self._prepared[id(moment)])
            self.packed_s.append(time.perf_counter() - began_s)

    def check(self, results: Mapping[Key, Result]) -> int:
        """How many answers were compared: of those by this very model, before a newer one came.

        Raises:
            SystemExit: the daemon gave another answer than this process with the same model.
        """
        compared = 0
        for key, mine in self.answers.items():
            theirs = results[key]
            if theirs.model is None or theirs.model.sha256 != self._model.published.sha256:
                continue
            compared += 1
            apart = max(abs(mine.probs[name] - theirs.probs[name]) for name in CLASSES)
            if apart > SAME:
                raise SystemExit(f"{key}: probabilities {apart:.2g} apart from those computed here")
        return compared


def prepared(model: ServableModel, moment: Moment) -> Tensor:
    """The frame as the encoder takes it, (1, C, 128, 128)."""
    return model.encoder.prepare(np.array(moment.radar.heatmap)[None])


def one_site(
    daemon: served.Daemon, model: ServableModel, film: Sequence[Moment], seconds: float, count: int
) -> list[Row]:
    """Radar and camera of one site, learner beside: rows of p50 and p99."""
    ours, worst, within, bare, whole, packed = [], [], [], [], [], []
    compared, steps, began_s = 0, daemon.steps(), time.monotonic()
    before, learner_before_s = daemon.threads(), daemon.learner_ran_s()
    with Client(daemon.endpoints) as client:
        client.join(film[0], SITE)
        for _ in range(count):
            beside = Beside(model, film)
            client.forget()
            paced(client, [SITE], film, seconds, camera=True, between=beside)
            trips = answered(client.trips())
            compared += beside.check(client.results)
            ours.append(1e3 * statistics.median(trip.round_s for trip in trips))
            worst.append(1e3 * percentile([trip.round_s for trip in trips], 0.99))
            within.append(1e3 * statistics.median(trip.daemon_s for trip in trips))
            bare.append(1e3 * statistics.median(beside.bare_s))
            whole.append(1e3 * statistics.median(beside.classify_s))
            packed.append(1e3 * statistics.median(beside.packed_s))
    if not compared:
        raise SystemExit("no frame was answered by the model measured: nothing was compared")
    took_s = time.monotonic() - began_s
    pace = (daemon.steps() - steps) / took_s
    share = (daemon.learner_ran_s() - learner_before_s) / took_s
    frames = round(seconds / PERIOD_S) * count
    print(f"{frames} frames, 0 unanswered; beside them {pace:.1f} training steps a second")
    print_threads(before, daemon.threads(), frames)
    print(f"  learner: {share:.2f} of a core")
    if share < FULL_PACE:
        print("NOT A LEARNER AT FULL PACE: others had its core; the rows below show no goal met")
    against = "bare forward pass"
    p50, p99 = (P50, P99) if share >= FULL_PACE else (None, None)
    return [
        Row("socket in to result out, p50", *pair(ours, bare), "ms", against, p50),
        Row("of it, from intake to publication", *pair(within, bare), "ms", against),
        Row("of it, prepare, network, familiarity", *pair(whole, bare), "ms", against),
        Row("the same p50", *pair(ours, packed), "ms", "packed forward pass"),
        Row("socket in to result out, p99", *pair(worst, [PERIOD_MS] * count), "ms", PERIOD, p99),
    ]


def print_threads(
    before: Mapping[int, served.Worked], after: Mapping[int, served.Worked], frames: int
) -> None:
    """What each of the daemon's threads worked for a frame, and waited while others had the core.

    Waiting is what a busy machine adds to a latency: on a quiet one it is next to nothing.
    """
    for number, now in sorted(after.items()):
        then = before.get(number, served.Worked(now.name, 0.0, 0.0))
        ran_ms = 1e3 * (now.ran_s - then.ran_s) / frames
        waited_ms = 1e3 * (now.waited_s - then.waited_s) / frames
        if ran_ms >= LEAST_MS:
            print(f"  {now.name:>12}: ran {ran_ms:.2f} ms a frame, waited {waited_ms:.2f} ms")


def batches(model: ServableModel, film: Sequence[Moment], count: int) -> list[Row]:
    """What a frame costs among others in one pass, over alone; in CPU time of the one thread."""

    def frame_ms(size: int) -> float:
        heatmaps = [moment.radar.heatmap for moment in film]
        took_s = []
        for first in range(0, len(heatmaps) - size + 1, size):
            began_s = time.thread_time()
            model.classify(heatmaps[first : first + size])
            took_s.append(time.thread_time() - began_s)
        return 1e3 * statistics.median(took_s) / size

    return [
        Row(f"a frame in a batch of {size}", *rounds(count, partial(frame_ms, size), alone), *unit)
        for alone, unit in [(partial(frame_ms, 1), ("ms", "alone"))]
        for size in (2, 4, 8, 16)
    ]


def sites(
    daemon: served.Daemon, film: Sequence[Moment], seconds: float, how: str, *, refine: bool = True
) -> Row:
    """How many sites have p99 within the period and every frame answered."""

    def serves(number: int) -> bool:
        names = [f"{number}-{i}" for i in range(number)]
        steps, began_s = daemon.steps(), time.monotonic()
        with Client(daemon.endpoints) as client:
            client.join(film[0], names[0])
            paced(client, names, film, seconds, camera=False)
            trips = client.trips()
        pace = (daemon.steps() - steps) / (time.monotonic() - began_s)
        came = [trip.round_s for trip in trips.values() if trip is not None]
        lost = len(trips) - len(came)
        p50, p99 = 1e3 * statistics.median(came), 1e3 * percentile(came, 0.99)
        print(
            f"{how}: {number:4d} sites  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  "
            f"{lost} of {len(trips)} unanswered  {pace:.1f} training steps a second",
            flush=True,
        )
        return lost == 0 and p99 <= PERIOD_MS

    found = most(serves, refine=refine)
    return Row(f"sites at 30 fps, {how}", (float(found),), (1.0,), "sites", "one", SITES)


def most(serves: Callable[[int], bool], *, refine: bool) -> int:
    """The largest number that is served: doubled until one is not, then perhaps halved in."""
    good, bad = 0, 1
    while bad <= MOST_SITES and serves(bad):
        good, bad = bad, 2 * bad
    for _ in range(HALVINGS if refine else 0):
        middle = (good + bad) // 2
        if middle in (good, bad):
            break
        good, bad = (middle, bad) if serves(middle) else (good, middle)
    return good


def answered(trips: Mapping[Key, Trip | None]) -> list[Trip]:
    """All of them.

    Raises:
        SystemExit: a frame got no answer.
    """
    found = [trip for trip in trips.values() if trip is not None]
    if len(found) < len(trips):
        raise SystemExit(f"{len(trips) - len(found)} of {len(trips)} frames unanswered")
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that `share` of them do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def pair(ours: list[float], theirs: list[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Rounds as a Row takes them."""
    return tuple(ours), tuple(theirs)


if __name__ == "__main__":
    main()
