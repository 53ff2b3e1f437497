"""What experiments on encoded frames share: the frames, the splits, the probe, runs and tables.

A dataset is encoded once into a folder of samples (`rvsense.learner.offline.samples`). A run is
one arm with one seed; its result is kept under a digest of all that it depends on, so that a
command that was interrupted, or asks for an arm of another table, computes only what is missing.
The digest does not see code: after a change to it, raise VERSION or take another cache.
"""

import argparse
import functools
import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from rvsense.config import Learning
from rvsense.encoders import RadarEncoder
from rvsense.errors import UsageError
from rvsense.learner.augment import Augmentation
from rvsense.learner.offline import probe
from rvsense.learner.offline.assemble import spread
from rvsense.learner.offline.crew import Tell, Unit, Work, run_units
from rvsense.learner.offline.fingerprint import fingerprint
from rvsense.learner.offline.gather import Encoding, gather
from rvsense.learner.offline.pretrain import pretrain
from rvsense.learner.offline.progress import progress_bar
from rvsense.learner.offline.samples import Samples, load
from rvsense.learner.offline.task import Task, make_task
from rvsense.learner.presets import PRESETS, Preset, initial_encoder
from rvsense.replay.layouts import open_dataset

EDGE = PRESETS["edge"]
CPU = torch.device("cpu")
DRAWS = {0.01: 8, 0.1: 3}
"""Share of the labels to the number of draws: the fewer labels, the more is chance. With all of
them the neighbours say as much, and a linear layer takes as long to fit as the training."""
LINEAR = {share: f"linear_{100 * share:g}" for share in DRAWS}
"""Share of the labels to the name of the accuracy with it."""
VERSION = 2
"""Of what runs do and measure: another number computes all of them anew."""

Name = TypeVar("Name")
Row = TypeVar("Row")
Spreads = dict[str, dict[str, Any]]
"""Figure to its mean, deviation and values over the seeds."""


@dataclass(slots=True)
class Lab:
    """The samples and their splits; opened once in each process."""

    data: Samples
    tasks: dict[tuple[str, int], Task] = field(default_factory=dict)

    def task(self, split: str, seed: int) -> Task:
        """The split of a seed, by `sequence` or by `site`.

        Raises:
            DatasetError: when there are too few of either.
        """
        if (split, seed) not in self.tasks:
            groups = self.data.sites if split == "site" else self.data.sequences
            self.tasks[split, seed] = make_task(self.data.labels, groups, split, seed)
        return self.tasks[split, seed]


def open_lab(folder: Path) -> Lab:
    """The samples of a folder, in the process that will work on them."""
    return Lab(load(sorted(folder.glob("*.safetensors"))))


def scores(
    encoder: RadarEncoder, data: Samples, task: Task, *, seed: int, since: float, updates: int
) -> dict[str, float]:
    """Accuracies of a linear layer and of neighbours on frozen features, and what it all took.

    `since` is `time.process_time()` before the training: the probe's time is not counted.
    `updates` is how many steps it had.
    """
    cpu_s = time.process_time() - since
    features = probe.encoder_features(encoder, data, task)
    found = {
        LINEAR[share]: probe.linear(features, share, draws, seed).accuracy
        for share, draws in DRAWS.items()
    }
    nearest = probe.nearest_neighbours(features)
    return found | {"knn": nearest, "cpu_s": cpu_s, "updates": updates}


def pretrained_scores(
    data: Samples,
    task: Task,
    learning: Learning,
    preset: Preset,
    *,
    seed: int,
    tell: Tell,
    augmentation: Augmentation | None = None,
) -> dict[str, float]:
    """`scores` of `learning.total_steps` updates over shuffled epochs of the training side.

    An `augmentation` takes the place of the settings' own; `tell` hears of the share done.
    """
    since = time.process_time()
    encoder = initial_encoder(
        preset, data.keys.shape[1], seed=seed, weights="", short_keys=learning.short_keys
    )
    done = pretrain(
        encoder,
        data,
        task.pretrain,
        learning,
        preset,
        seed=seed,
        device=CPU,
        augmentation=augmentation,
        after_step=lambda _: tell(1.0 / learning.total_steps),
    )
    return scores(done.encoder, data, task, seed=seed, since=since, updates=learning.total_steps)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """The options that `samples_folder` reads."""
    parser.add_argument("dataset", nargs="?", help="encoded into the cache unless it is there")
    parser.add_argument("--samples", type=Path, help="folder of encoded sequences to use instead")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="samples, results")
    parser.add_argument("--every", type=int, default=2, help="take each n-th frame of the dataset")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")


def add_options(parser: argparse.ArgumentParser, *, steps: int) -> None:
    """The options of an experiment with a table of runs; `steps` of each unless told otherwise."""
    add_source_options(parser)
    parser.add_argument("--steps", type=int, default=steps, help="updates of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows of the table, separated by commas")


def samples_folder(options: argparse.Namespace) -> Path:
    """The folder of samples; a dataset's training split is encoded first where it has to be.

    Raises:
        UsageError: without samples or dataset.
    """
    if options.samples is not None:
        if not any(options.samples.glob("*.safetensors")):
            raise UsageError(f"--samples {options.samples}: no *.safetensors in it")
        return Path(options.samples)
    if options.dataset is None:
        raise UsageError("nothing to work on: give a DATASET, or --samples FOLDER")
    recordings = [
        sequence
        for sequence in open_dataset(options.dataset).sequences
        if sequence.split == "train" and sequence.radar_ns and sequence.camera_ns
    ]
    encoding = Encoding("edge", "", EDGE.teacher("", CPU).sha256(), options.every)
    content = _digest(repr((encoding, fingerprint(recordings))))
    folder = Path(options.cache) / f"samples-{content}"
    frames = sum(len(recording.radar_ns) for recording in recordings) / options.every
    with progress_bar("encoding", frames) as advance:
        gathered = gather(recordings, encoding, folder, options.jobs, advance)
    for problem in gathered.problems:
        print(f"left out: {problem}", file=sys.stderr)
    return folder


def chosen(rows: Mapping[str, Row], only: str) -> dict[str, Row]:
    """The rows named in `only`, separated by commas, in the table's order; all without it.

    Raises:
        UsageError: for a name that does not exist.
    """
    names = {name.strip() for name in only.split(",") if name.strip()} or set(rows)
    if unknown := sorted(names - set(rows)):
        raise UsageError(f"--only {', '.join(unknown)}: the rows are {', '.join(rows)}")
    return {name: row for name, row in rows.items() if name in names}


def measure(
    rows: Mapping[Name, Sequence[Work[Lab]]], samples: Path, options: argparse.Namespace
) -> dict[Name, Spreads]:
    """Do the runs of every row, one for each seed, and spread their figures over the seeds.

    Rows that ask for the same run share it.

    Raises:
        RvsenseError: naming the run that failed, with its traceback.
    """
    units = {name_of(work): work for works in rows.values() for work in works}
    folder = Path(options.cache) / f"results-{_content(samples)}"
    with progress_bar("runs", len(units)) as advance:
        results = run_units(
            [Unit(name, work, 1.0) for name, work in units.items()],
            folder,
            functools.partial(open_lab, samples),
            jobs=options.jobs,
            progress=advance,
        )
    return {name: _spreads([results[name_of(w)] for w in works]) for name, works in rows.items()}


def name_of(work: Work[Lab]) -> str:
    """The name of a run's result: a digest of its settings and of what no setting reaches."""
    settings = _digest(repr((VERSION, work, DRAWS, Augmentation())))
    return f"{type(work).__name__.lower()}-{settings}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is text, the others are figures."""
    ruler = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ruler, *rows))


def shown(figure: Mapping[str, Any], form: str = ".3f") -> str:
    """Mean ± population deviation over the seeds."""
    return f"{figure['mean']:{form}} ± {figure['std']:.3f}"


def _spreads(runs: Sequence[Mapping[str, float]]) -> Spreads:
    return {figure: spread([run[figure] for run in runs]) for figure in runs[0]}


def _content(samples: Path) -> str:
    """Results belong to what is in the files, wherever they lie."""
    digest = hashlib.sha256()
    for path in sorted(samples.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
