"""Pairs trained a second, from the live socket, against a straightforward loop with lightly.

    python -m bench.learning [--quick] [--json FILE]

Ours is the learner's own process: every pair of the training sequences comes once over its
socket, as heatmap and JPEG, in the order in which it was recorded, and the learner takes the
steps that each owes in lock-step (half a step; --quick: a quarter). It is timed from the first
pair to the last publication. Nothing is held out of its pool.

The loop then takes as many steps, of as many samples, over the same pairs in shuffled epochs,
with the same encoder, teacher, augmentation, optimiser and precision. A few of its steps, before
and after ours, are timed in full; in the others it looks keys up instead of encoding images,
which changes its time and, the teacher being frozen, not what it learns. It is trained with
ours' rate, and with a quarter of it where there is time, and its better accuracy is quoted.

Both are judged by a linear layer with 1 and 10 % of the labels on held-out sequences. The
dataset is simulated and encoded once, into the cache; that is not counted.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from bench.cached import CPU, EDGE, LINEAR, Lab, open_lab, samples_folder, scores
from bench.loop import Keys, Loop, encoding
from bench.sides import Goal, Row, options, report, rounded
from bench.taught import Fed, feed
from rvsense import published
from rvsense.config import Learning, Simulate
from rvsense.encoders import RadarEncoder
from rvsense.errors import RvsenseError
from rvsense.learner.lite0 import KEY_DIM
from rvsense.learner.offline.task import Task
from rvsense.learner.precision import precision_of
from rvsense.learner.presets import initial_encoder
from rvsense.link import Pair
from rvsense.replay.layouts import open_dataset
from rvsense.replay.sequence import Sequence as Recording
from rvsense.replay.simulate.run import simulate

GOAL = Goal("at least", 3.0)
EQUAL = Goal("at least", 1.0)
AGAINST = "loop with lightly"
EPOCH = 1 << 16
"""Each recording is an epoch of its site's clock."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    sequences: int
    frames: int
    steps_per_pair: float
    rounds: int
    timed_steps: int
    """Steps of the loop that encode their images, before ours and after it in each round."""
    rates: tuple[float, ...]
    """Of the loop, in shares of ours'."""
    goal: Goal | None
    """Of the accuracy; None where steps are too few for any."""


QUICK = Size(12, 24, steps_per_pair=0.25, rounds=1, timed_steps=1, rates=(1.0,), goal=None)
FULL = Size(100, 6, steps_per_pair=0.5, rounds=2, timed_steps=3, rates=(1.0, 0.25), goal=EQUAL)


@dataclass(frozen=True, slots=True)
class Frames:
    """A dataset with its samples: what both sides train on and are judged by."""

    lab: Lab
    recordings: Sequence[Recording]

    def pairs(self, rows: torch.Tensor) -> Iterator[Pair]:
        """The given rows as the daemon would send them, in that order."""
        for row in rows.tolist():
            number, stamp = int(self.lab.data.sequences[row]), int(self.lab.data.stamps_ns[row])
            recording = self.recordings[number]
            frame = {own: i for i, own in recording.radar_ns.items()}[stamp]
            camera = recording.read_camera(frame)
            yield Pair(
                site=recording.site,
                epoch=number * EPOCH,
                stamp_ns=stamp,
                radar_seq=row,
                camera_seq=row,
                skew_ns=0,
                codec=camera.codec,
                heatmap=recording.read_radar(frame).heatmap,
                image=camera.image,
            )


@dataclass(frozen=True, slots=True)
class Trained:
    """One side of a round."""

    samples: int
    seconds: float
    accuracies: dict[str, float]
    """By the names in LINEAR."""

    @property
    def rate(self) -> float:
        """Pairs trained a second."""
        return self.samples / self.seconds


class Rival:
    """The loop over the given rows of the frames."""

    def __init__(self, frames: Frames, task: Task, learning: Learning, seed: int) -> None:
        self._frames, self._task, self._learning, self._seed = frames, task, learning, seed
        payloads = [pair.image for pair in frames.pairs(task.pretrain)]
        self._encoded = encoding(payloads, EDGE.teacher("", CPU))
        self._timed: list[float] = []

    def time_steps(self, count: int) -> None:
        """Time `count` steps that encode their images, and forget what was learned."""
        loop = self._loop(1.0)
        loop.step(self._encoded)  # the first is slower
        for _ in range(count):
            since = time.perf_counter()
            loop.step(self._encoded)
            self._timed.append(time.perf_counter() - since)

    def trained(self, steps: int, share: float) -> Trained:
        """After `steps` at this share of our rate, with keys that are looked up.

        What encoding would have taken is the mean of the timed steps by their number.
        """
        keys = self._frames.lab.data.keys[self._task.pretrain].float()
        loop, found = self._loop(share), lookup(keys)
        for _ in range(steps):
            loop.step(found)
        accuracies = accuracies_of(loop.encoder, self._frames.lab, self._task, self._seed)
        return Trained(loop.samples, steps * sum(self._timed) / len(self._timed), accuracies)

    def _loop(self, share: float) -> Loop:
        return Loop(
            initial_encoder(EDGE, KEY_DIM, seed=self._seed, weights=""),
            self._frames.lab.data.inputs[self._task.pretrain],
            self._learning,
            rate=share * EDGE.learning_rate,
            seed=self._seed,
            dtype=precision_of(self._learning),
        )


def lookup(keys: torch.Tensor) -> Keys:
    """Keys by slot, of images that were encoded before."""
    return lambda slots: keys[slots]


def ours(frames: Frames, task: Task, learning: Learning, seed: int) -> tuple[Fed, Trained]:
    """The learner's process, fed over its socket, and its last published weights."""
    with tempfile.TemporaryDirectory() as folder:
        fed = feed(frames.pairs(task.pretrain), learning, seed, Path(folder))
        if fed.pairs != len(task.pretrain):
            raise RvsenseError(f"{len(task.pretrain)} pairs sent, {fed.pairs} taken")
        _, newest = fed.models[-1]
        encoder = initial_encoder(EDGE, KEY_DIM, seed=seed, weights="")
        encoder.load_state_dict(published.open_model(newest).weights())
    accuracies = accuracies_of(encoder, frames.lab, task, seed)
    return fed, Trained(fed.samples, fed.seconds, accuracies)


def accuracies_of(encoder: RadarEncoder, lab: Lab, task: Task, seed: int) -> dict[str, float]:
    """Of a linear layer on held-out sequences, by the names in LINEAR."""
    found = scores(encoder.eval(), lab.data, task, seed=seed, since=0.0, updates=0)
    return {name: found[name] for name in LINEAR.values()}


def prepared(size: Size, cache: Path) -> Frames:
    """A simulated dataset and its samples; made once."""
    dataset = cache / f"learning-{size.sequences}x{size.frames}"
    if not dataset.exists():
        simulate(dataset, Simulate(sequences=size.sequences, frames=size.frames))
    source = argparse.Namespace(samples=None, dataset=str(dataset), cache=cache, every=1, jobs=2)
    folder = samples_folder(source)
    recordings = [
        sequence
        for sequence in open_dataset(dataset).sequences
        if sequence.split == "train" and sequence.radar_ns and sequence.camera_ns
    ]
    return Frames(open_lab(folder), recordings)


def compare(frames: Frames, learning: Learning, size: Size) -> list[Row]:
    """Both sides on the same pairs, a seed a round; prints what each did."""
    mine, other = [], []
    for seed in range(size.rounds):
        task = frames.lab.task("sequence", seed)
        rival = Rival(frames, task, learning, seed)
        rival.time_steps(size.timed_steps)
        fed, own = ours(frames, task, learning, seed)
        rival.time_steps(size.timed_steps)
        loops = {share: rival.trained(fed.steps, share) for share in size.rates}
        mine.append(own)
        other.append(max(loops.values(), key=lambda loop: sum(loop.accuracies.values())))
        print(f"seed {seed}: {len(task.pretrain)} pairs, {fed.steps} steps")
        print(f"  rvsense: {told(own)}")
        for share, loop in loops.items():
            print(f"  loop, rate {rounded(share * EDGE.learning_rate)}: {told(loop)}", flush=True)
    return rows_of(mine, other, size.goal)


def percent(trained: Trained, name: str) -> float:
    """An accuracy by its name in LINEAR."""
    return 100 * trained.accuracies[name]


def told(trained: Trained) -> str:
    """What a side did, in words."""
    found = [
        f"{percent(trained, name):.1f} % with {100 * share:g} % of labels"
        for share, name in LINEAR.items()
    ]
    return f"{trained.samples} samples in {rounded(trained.seconds)} s; {', '.join(found)}"


def rows_of(mine: Sequence[Trained], other: Sequence[Trained], goal: Goal | None) -> list[Row]:
    """Rates, times, and the accuracies that they are to be read with.

    Raises:
        RvsenseError: when the sides have not trained as many samples.
    """
    if [own.samples for own in mine] != [loop.samples for loop in other]:
        raise RvsenseError("the sides have not trained as many samples")

    def row(
        what: str, unit: str, figure: Callable[[Trained], float], goal: Goal | None = None
    ) -> Row:
        ours, theirs = tuple(map(figure, mine)), tuple(map(figure, other))
        return Row(what, ours, theirs, unit, AGAINST, goal)

    rows = [
        row("pairs trained a second", "/s", lambda own: own.rate, GOAL),
        row("wall time of as many steps", "s", lambda own: own.seconds),
    ]
    for share, name in LINEAR.items():
        what = f"accuracy after as many steps, {100 * share:g} % of labels"
        rows.append(row(what, "%", partial(percent, name=name), goal))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print accuracies and table."""
    parser = options(__doc__, "bench.learning")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="the dataset")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    size = QUICK if chosen.quick else FULL
    # As nice as the loop, so that other processes cost both the same.
    learning = Learning(
        preset="edge",
        device="cpu",
        niceness=0,
        heldout_pairs=0,
        steps_per_pair=size.steps_per_pair,
    )
    dtype = precision_of(learning)
    print(f"both sides in {str(dtype).removeprefix('torch.')}, batch {learning.batch}")
    rows = compare(prepared(size, chosen.cache), learning, size)
    report(rows, threads="1 of the learner, 1 of the loop", path=chosen.json)


if __name__ == "__main__":
    main()
