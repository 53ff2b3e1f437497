"""What a long queue costs: step time, memory and accuracy at K = 320, 4096 and 65,536.

    python -m bench.queues [--quick] [--samples FOLDER | DATASET] [--json FILE]

Steps are whole ones of `Trainer.train` with a queue that is full, in turn with those of K = 320
and the teacher's own 1280-d keys; times are CPU time. Peak memory is the most that a process of
its own held in a few steps. Accuracy, of a linear layer on held-out sequences, is of runs over
encoded samples; with the queue's own memory it is a table before that of the comparison. A run
fills no more slots than it takes samples: 150 steps of 64 leave most of 65,536 empty.
"""

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

from bench.cached import (
    EDGE,
    LINEAR,
    Lab,
    add_source_options,
    markdown,
    measure,
    pretrained_scores,
    samples_folder,
    shown,
)
from bench.sides import Goal, Row, options, report, rounded, rounds
from bench.step import SITES, filled_trainer, mean_ms
from rvsense.config import Learning
from rvsense.learner.offline.crew import Tell
from rvsense.learner.place import place_of
from rvsense.learner.queue import KeyQueue
from rvsense.learner.reproducible import be_reproducible
from rvsense.learner.trainer import Trainer

MIB = 1024 * 1024
SHORT = 128
SPACING_NS = 10_000_000_000
"""Between keys of a full queue: no two are near in time, so that every one counts."""
BASE = Learning(preset="edge", device="cpu", queue=320)
AGAINST = "K = 320"
BLOCK = 1024
"""Keys made at once: more would count as peak memory of the queue."""


@dataclass(frozen=True, slots=True)
class Length:
    """A queue, and how long a step with it may take against K = 320."""

    queue: int
    short_keys: int = 0
    goal: Goal | None = None

    @property
    def name(self) -> str:
        """As in the table."""
        return f"K = {self.queue:,}" + (f", {self.short_keys}-d keys" if self.short_keys else "")

    def of(self, learning: Learning) -> Learning:
        """The settings with this queue."""
        return replace(learning, queue=self.queue, short_keys=self.short_keys)


LENGTHS = (
    Length(4096, goal=Goal("at most", 1.1)),
    Length(65_536),
    Length(4096, SHORT, Goal("at most", 1.1)),
    Length(65_536, SHORT, Goal("at most", 1.5)),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One pre-training, for the crew of `bench.cached`."""

    learning: Learning
    seed: int

    def __call__(self, lab: Lab, tell: Tell) -> dict[str, float]:
        """Accuracies on held-out sequences."""
        task = lab.task("sequence", self.seed)
        return pretrained_scores(lab.data, task, self.learning, EDGE, seed=self.seed, tell=tell)


def with_full_queue(learning: Learning) -> Trainer:
    """A trainer whose queue is full of keys of SITES sites."""
    trainer = filled_trainer(learning)
    fill(trainer.queue)
    return trainer


def fill(queue: KeyQueue) -> None:
    """Random unit keys, as many as there are slots."""
    generator = torch.Generator().manual_seed(1)
    sites = torch.tensor([place_of(f"site{i}", 1) for i in range(SITES)])
    for numbers in torch.split(torch.arange(queue.size), BLOCK):
        keys = torch.randn(len(numbers), queue.keys.shape[1], generator=generator)
        queue.enqueue(F.normalize(keys, dim=1), numbers * SPACING_NS, sites[numbers % SITES])


def peak_mib(learning: Learning) -> float:
    """The most memory that this process has held, after a few steps."""
    torch.set_num_threads(1)
    trainer = with_full_queue(learning)
    for _ in range(3):
        trainer.train()
    # Not getrusage: its peak begins with that of the process which started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def peak_elsewhere(learning: Learning) -> float:
    """`peak_mib` of a fresh process: a peak never falls."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak_mib, learning).result()


def step_rows(lengths: Sequence[Length], base: Learning, *, steps: int, times: int) -> list[Row]:
    """Steps with these queues against those with that of `base`, in turn."""
    against, rows = with_full_queue(base), []
    for length in lengths:
        trainer = with_full_queue(length.of(base))
        act, other = partial(mean_ms, trainer.train, steps), partial(mean_ms, against.train, steps)
        rows.append(
            Row(f"step, {length.name}", *rounds(times, act, other), "ms", AGAINST, length.goal)
        )
    return rows


def memory_rows(lengths: Sequence[Length], base: Learning) -> list[Row]:
    """The peak of a process with each queue against that of one with that of `base`."""
    least = peak_elsewhere(base)
    return [
        Row(
            f"peak memory, {length.name}",
            (peak_elsewhere(length.of(base)),),
            (least,),
            "MiB",
            AGAINST,
        )
        for length in lengths
    ]


def accuracy_table(lengths: Sequence[Length], options: argparse.Namespace) -> str:
    """Linear accuracy with each queue, over seeds."""
    learning = replace(BASE, total_steps=options.steps)
    rows = {
        length.name: [Run(length.of(learning), seed) for seed in range(options.seeds)]
        for length in lengths
    }
    measured = measure(rows, samples_folder(options), options)
    head = ["queue", *(f"{100 * share:g} % of labels" for share in LINEAR), "memory"]
    return markdown(
        head,
        [
            [
                length.name,
                *(shown(measured[length.name][figure]) for figure in LINEAR.values()),
                f"{rounded(bytes_of(length) / MIB)} MiB",
            ]
            for length in lengths
        ],
    )


def bytes_of(length: Length) -> int:
    """Memory of the queue's own tensors."""
    queue = filled_trainer(length.of(BASE)).queue
    return sum(part.nbytes for part in (queue.keys, queue.stamps, queue.places))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print accuracies and the table."""
    parser = options(__doc__, "bench.queues")
    add_source_options(parser)
    parser.add_argument("--steps", type=int, default=150, help="updates for each accuracy")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    be_reproducible()
    steps, times = (2, 2) if chosen.quick else (8, 5)
    if chosen.quick or not (chosen.samples or chosen.dataset):
        print("accuracy: left out; give samples or a dataset, and no --quick\n")
    else:
        print(f"{accuracy_table((Length(320), *LENGTHS), chosen)}\n")
    rows = step_rows(LENGTHS, BASE, steps=steps, times=times) + memory_rows(LENGTHS, BASE)
    report(rows, threads="1", path=chosen.json)


if __name__ == "__main__":
    main()
