"""`rvsense evaluate`: a dataset to metrics.json, figures and a report; resumed where it stopped."""

import functools
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rvsense import __version__
from rvsense.atomic import write_file
from rvsense.device import settle
from rvsense.disk import naming
from rvsense.errors import DatasetError, UsageError
from rvsense.frames import CLASSES
from rvsense.learner.offline.assemble import assemble
from rvsense.learner.offline.crew import run_units
from rvsense.learner.offline.figures import need_plots, write_figures
from rvsense.learner.offline.fingerprint import fingerprint
from rvsense.learner.offline.gather import Encoding, Recording, annotated, gather
from rvsense.learner.offline.plan import Plan, plan_for, settings_for
from rvsense.learner.offline.progress import progress_bar
from rvsense.learner.offline.report import write_report
from rvsense.learner.offline.samples import Samples, load
from rvsense.learner.offline.stages import Bench
from rvsense.learner.offline.task import TEST_SHARE, make_task
from rvsense.learner.offline.units import units_of
from rvsense.learner.presets import PRESETS
from rvsense.learner.reproducible import be_reproducible
from rvsense.machine import pick_device, preset_name, teacher_file

MIN_RECORDINGS = 10
"""Recordings with radar and images: fewer cannot be split by sequence."""
PROBLEMS_TOLD = 10
MAX_JOBS = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was asked for."""

    out: Path
    name: str
    """Of the dataset."""
    simulated: bool
    preset: str = "edge"
    budget: str = "quick"
    split: str = "sequence"
    seeds: int | None = None
    jobs: int = 0
    """Processes; 0 = one per core, or one where there is a GPU."""
    teacher_weights: str = ""


def evaluate(
    recordings: Sequence[Recording], options: Options, plan: Plan | None = None
) -> dict[str, Any]:
    """Run the whole protocol; returns what metrics.json holds.

    A `plan` of one's own takes the place of the budget's.

    Raises:
        UsageError: when the options ask for something impossible.
        DatasetError: when the dataset is too small for it, with what was found and is needed.
        ConfigError: when weights or the plotting libraries are missing.
    """
    need_plots()
    learning = settings_for(options.preset, options.teacher_weights)
    device = pick_device(learning.device, "device")
    teacher_file(preset_name(learning, device), options.teacher_weights)  # or say what is missing
    usable = _usable(recordings, options.name)
    _check(options)
    cores = options.jobs or len(os.sched_getaffinity(0))
    jobs = 1 if device.type == "cuda" and not options.jobs else cores
    # What pre-training sees of them, for the paper's number of epochs.
    pairs = sum(len(r.radar_ns.keys() & r.camera_ns.keys()) for r in usable) * (1 - TEST_SHARE)
    plan = plan or plan_for(options.preset, options.budget, round(pairs), options.seeds)
    _check_labels(usable, plan, options.split)
    teacher = PRESETS[options.preset].teacher(options.teacher_weights, device)
    before = teacher.sha256()
    encoding = Encoding(options.preset, options.teacher_weights, before, plan.every)
    content = _digest(encoding, fingerprint(usable))
    samples_folder = options.out / "work" / f"samples-{content}"
    with progress_bar("encoding", sum(len(r.radar_ns) for r in usable) / plan.every) as advance:
        gathered = gather(usable, encoding, samples_folder, cores, advance)
    data = load(gathered.paths, inputs=False)
    _tell_of(gathered.problems)
    bench = Bench(data, plan, learning, options.preset, options.split, Path(), device)
    tasks = [bench.task(seed) for seed in range(plan.seeds)]
    # Whatever results depend on: those of other data or settings lie elsewhere.
    what = (__version__, content, plan, learning, options.split, device.type)
    folder = options.out / "work" / _digest(*what)
    units = units_of(plan, max(len(task.train) for task in tasks))
    context = functools.partial(
        open_bench,
        gathered.paths,
        replace(bench, data=data.take(torch.arange(0)), folder=folder, tasks={}),
    )
    with progress_bar("learning", sum(unit.cost for unit in units)) as advance:
        results = run_units(units, folder, context, jobs=jobs, progress=advance)
    points = results["embedding"]
    with naming(options.out):
        write_file(options.out / "embedding.json", json.dumps(points).encode(), mode=0o644)
    found = assemble(results, plan) | {
        "version": 1,
        "dataset": _dataset(data, usable, options),
        "split": options.split,
        "seeds": list(range(plan.seeds)),
        "preset": options.preset,
        "budget": options.budget,
        "config": _flat(plan) | {f"learning.{k}": v for k, v in asdict(learning).items()},
        "task": [
            {
                "seed": seed,
                "train_frames": len(task.train),
                "test_frames": len(task.test),
                "train_sequences": _distinct(data.sequences[task.train]),
                "test_sequences": _distinct(data.sequences[task.test]),
            }
            for seed, task in enumerate(tasks)
        ],
        "teacher_sha256": {"before": before, "after": gathered.teacher_sha256},
    }
    text = json.dumps(found, indent=1, sort_keys=True)
    with naming(options.out):
        write_file(options.out / "metrics.json", text.encode(), mode=0o644)
    return found


def open_bench(samples: Sequence[Path], empty: Bench) -> Bench:
    """The bench with its samples, in the process that will work on it."""
    # Not every CUDA kernel has a deterministic form.
    be_reproducible(warn_only=empty.device.type != "cpu")
    settle(empty.device)
    return replace(empty, data=load(samples), tasks={})


def write_pages(found: dict[str, Any], out: Path, environment: dict[str, str]) -> Path:
    """Figures and report.html; returns the path of the report.

    The environment (time, machine, command) is in the report and not in metrics.json, which is
    the same for the same seed.

    Raises:
        DiskError: they cannot be written.
    """
    path = out / "embedding.json"
    metrics = found | {"environment": environment}
    with naming(out):
        points = json.loads(path.read_text()) if path.exists() else None
        figures = write_figures(metrics, points, out / "figures")
        write_report(metrics, figures, out / "report.html")
    return out / "report.html"


def _check(options: Options) -> None:
    if not 0 <= options.jobs <= MAX_JOBS:
        raise UsageError(f"--jobs {options.jobs}: 0, which means one per core, to {MAX_JOBS}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--out {options.out}: {error.strerror}; name a folder, new or of an earlier run"
        ) from None


def _check_labels(recordings: Sequence[Recording], plan: Plan, split: str) -> None:
    """Refuse in seconds what would be refused when hours of images are encoded.

    Frames that turn out unreadable can still make a dataset too small then.
    """
    found = annotated(recordings, plan.every)
    groups = found.sites if split == "site" else found.sequences
    for seed in range(plan.seeds):
        make_task(found.labels, groups, split, seed)


def _usable(recordings: Sequence[Recording], name: str) -> list[Recording]:
    usable = [r for r in recordings if r.radar_ns and r.camera_ns]
    if len(usable) < MIN_RECORDINGS:
        raise DatasetError(
            f"{name}: {len(usable)} of {len(recordings)} sequences have radar and images, at least "
            f"{MIN_RECORDINGS} are needed: the camera teaches (test splits come without images)"
        )
    return usable


def _dataset(data: Samples, recordings: Sequence[Recording], options: Options) -> dict[str, Any]:
    counts = torch.bincount(data.labels[data.labels >= 0], minlength=len(CLASSES)).tolist()
    return {
        "name": options.name,
        "simulated": options.simulated,
        "sequences": len(recordings),
        "sites": _distinct(data.sites),
        "frames": len(data),
        "labelled": dict(zip(CLASSES, counts, strict=True)),
    }


def _tell_of(problems: Sequence[str]) -> None:
    for problem in problems[:PROBLEMS_TOLD]:
        print(f"left out: {problem}", file=sys.stderr)
    if len(problems) > PROBLEMS_TOLD:
        print(f"left out: {len(problems)} frames in all", file=sys.stderr)


def _distinct(numbers: Tensor) -> int:
    return len(torch.unique(numbers))


def _flat(plan: Plan) -> dict[str, Any]:
    return {f"plan.{name}": value for name, value in asdict(plan).items()}


def _digest(*parts: Any) -> str:
    """A name for what results depend on: results of other settings lie elsewhere."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
