"""`rvsense simulate`: a whole dataset from a few numbers, by several processes.

Each worker makes every jobs-th sequence; as each
sequence has its own random stream, the bytes do not depend on who made it.
"""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tqdm import tqdm

from rvsense.config import Simulate
from rvsense.configfile import slots
from rvsense.errors import RvsenseError, UsageError
from rvsense.interrupts import interrupts, sigint_blocked
from rvsense.replay.partial import whole_dataset
from rvsense.replay.sequence import SIMULATED
from rvsense.replay.simulate.camera import calibration_yaml
from rvsense.replay.simulate.plan import SequencePlan, plan, site_date
from rvsense.replay.simulate.scene import Scene, to_jpeg
from rvsense.replay.simulate.sites import build_site
from rvsense.replay.simulate.writer import SequenceWriter

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Report:
    """What a run wrote."""

    out: Path
    sequences: int
    test_sequences: int
    frames: int
    objects: int
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """Over the whole run, start-up included."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


Progress = Callable[[int, int], None]
"""Called with frames and objects made since the last call."""


def simulate(out: Path, settings: Simulate) -> Report:
    """Write a dataset in ROD2021 layout to `out`.

    Unlike the real one its test sequences have annotations, since the truth is known.
    Raises UsageError for impossible settings and for an `out` that holds something, RvsenseError
    when it cannot be written. Whatever ends a run early, `out` is left as it was.
    """
    _check(settings)
    began = time.monotonic()
    plans = plan(settings)
    done = {"frames": 0, "objects": 0}
    with whole_dataset(out) as partial:
        _write_calibration(partial, settings)
        _write_note(partial, settings)
        total = len(plans) * settings.frames
        with interrupts() as check, tqdm(total=total, unit="frame", disable=None) as bar:

            def progress(frames: int, objects: int) -> None:
                check()
                done["frames"] += frames
                done["objects"] += objects
                bar.update(frames)

            jobs = min(settings.jobs or len(os.sched_getaffinity(0)), len(plans))
            if jobs == 1:
                for one in plans:
                    write_sequence(partial, one, settings, progress)
            else:
                _in_processes(partial, plans, settings, jobs, progress)
    return Report(
        out=out,
        sequences=len(plans),
        test_sequences=sum(one.split == "test" for one in plans),
        frames=done["frames"],
        objects=done["objects"],
        seconds=time.monotonic() - began,
    )


def write_sequence(root: Path, one: SequencePlan, settings: Simulate, progress: Progress) -> None:
    """Make and write one sequence below `root`."""
    scene = Scene(one, settings.seed, settings.frames)
    writer = SequenceWriter(root, one.split, one.name)
    pictures = scene.pictures()
    for frame in range(settings.frames):
        maps, truths = scene.radar(frame)
        writer.radar(frame, maps, truths)
        if writer.has_images:
            writer.image(frame, to_jpeg(next(pictures)))
        progress(1, len(truths))
    writer.close()


def _check(settings: Simulate) -> None:
    for name, slot in slots(Simulate).items():
        value = getattr(settings, name)
        try:
            slot.read(value)
        except ValueError as error:
            raise UsageError(f"{name} is {value}; allowed: {error}") from None


def _write_calibration(root: Path, settings: Simulate) -> None:
    for number in range(settings.sites):
        folder = root / "calib" / site_date(number)
        folder.mkdir(parents=True)
        text = calibration_yaml(build_site(settings.seed, number).camera, "cam_0")
        (folder / "cam_0.yaml").write_text(text, encoding="ascii")


def _write_note(partial: Path, settings: Simulate) -> None:
    """What the data came from; how many processes made it is no part of that."""
    facts = {name: value for name, value in asdict(settings).items() if name != "jobs"}
    (partial / SIMULATED).write_text(json.dumps(facts, indent=1) + "\n")


def _in_processes(
    root: Path,
    plans: list[SequencePlan],
    settings: Simulate,
    jobs: int,
    progress: Progress,
) -> None:
    context = multiprocessing.get_context("spawn")
    workers, pipes = [], []
    # Its start unblocks SIGINT, so it comes before we block it.
    resource_tracker.ensure_running()
    try:
        with _one_thread_each(), sigint_blocked():
            for number in range(jobs):
                ours, theirs = context.Pipe(duplex=False)
                worker = context.Process(
                    target=_work, args=(root, plans[number::jobs], settings, theirs), daemon=True
                )
                worker.start()
                theirs.close()
                workers.append(worker)
                pipes.append(ours)
        _follow(pipes, progress)
        for worker in workers:
            worker.join()
            if worker.exitcode != 0:
                raise RvsenseError(f"a simulator process ended with status {worker.exitcode}")
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _follow(pipes: list[Connection], progress: Progress) -> None:
    """Pass on what the workers report until every pipe is closed."""
    waiting = list(pipes)
    while waiting:
        for pipe in wait(waiting):
            assert isinstance(pipe, Connection)
            try:
                message = pipe.recv()
            except EOFError:
                waiting.remove(pipe)
                continue
            if isinstance(message, str):
                raise OSError(message)
            progress(*message)


def _work(root: Path, plans: list[SequencePlan], settings: Simulate, pipe: Connection) -> None:
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for one in plans:
            write_sequence(root, one, settings, lambda *made: pipe.send(made))
    except BrokenPipeError:
        return  # the parent has died
    except OSError as error:
        pipe.send(str(error))
    pipe.close()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Numpy reads these when a worker imports it; two pools of threads on two cores only fight."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
