"""A few processes that work through a list of units, each unit once in the life of a folder.

Rules:
- A unit is a name and a function of (context, tell); its result is a JSON map, written whole.
- A unit whose result is in the folder is not done again: that is how a run is resumed.
- A unit starts when all that it needs is done. What it computes depends on its own seed alone,
  so results are the same with any number of processes and in any order.
- One process, one thread. A process that dies takes the run with it, and nothing that was done.
- Ctrl-C is the first process's business: the others are deaf to it, end when it ends them, and
  end by themselves when it is gone.
"""

import json
import multiprocessing
import os
import queue
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from rvsense.atomic import write_file
from rvsense.disk import naming
from rvsense.errors import RvsenseError
from rvsense.interrupts import interrupts, sigint_blocked
from rvsense.learner.reproducible import be_reproducible

Context = TypeVar("Context")
Given_contra = TypeVar("Given_contra", contravariant=True)
Tell = Callable[[float], None]
"""Told the share of a unit that was done since the last call."""
POLL_S = 0.5


class Work(Protocol[Given_contra]):
    """What a unit does. Must be picklable: a dataclass with a `__call__`."""

    def __call__(self, context: Given_contra, tell: Tell, /) -> dict[str, Any]:
        """The unit's result."""


@dataclass(frozen=True, slots=True)
class Unit(Generic[Context]):
    """One piece of work. `cost` is its expected duration, in any unit common to all."""

    name: str
    work: Work[Context]
    cost: float
    needs: tuple[str, ...] = ()


def result_path(folder: Path, name: str) -> Path:
    """Where the result of a unit lies."""
    return folder / f"{name}.json"


def run_units(
    units: Sequence[Unit[Context]],
    folder: Path,
    open_context: Callable[[], Context],
    *,
    jobs: int,
    progress: Callable[[float], object],
) -> dict[str, dict[str, Any]]:
    """Do what is not yet done, and return the results of all units by name.

    `open_context` is called once in each process; `progress` is told finished cost, the first
    time what was done in earlier runs.

    Raises:
        RvsenseError: naming the unit that failed, with its traceback, or what the disk refused.
    """
    with naming(folder, "cannot be read"):
        done = {unit.name for unit in units if result_path(folder, unit.name).exists()}
    waiting = [unit for unit in units if unit.name not in done]
    progress(sum(unit.cost for unit in units if unit.name in done))
    if waiting:
        jobs = min(jobs, len(waiting))
        _employ(waiting, done, folder, open_context, jobs=jobs, progress=progress)
    with naming(folder, "cannot be read"):
        return {u.name: json.loads(result_path(folder, u.name).read_text()) for u in units}


def _employ(
    waiting: list[Unit[Context]],
    done: set[str],
    folder: Path,
    open_context: Callable[[], Context],
    *,
    jobs: int,
    progress: Callable[[float], object],
) -> None:
    spawn = multiprocessing.get_context("spawn")
    reports: Any = spawn.Queue()
    orders = [spawn.Queue() for _ in range(jobs)]
    workers = [
        spawn.Process(target=_work, args=(n, orders[n], reports, folder, open_context), daemon=True)
        for n in range(jobs)
    ]
    # Its start unblocks SIGINT, so it comes before that is blocked.
    resource_tracker.ensure_running()
    with sigint_blocked():
        for worker in workers:
            worker.start()
    try:
        with interrupts() as interrupted:
            _direct(
                waiting, done, orders, lambda: _next_report(reports, workers, interrupted), progress
            )
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def _direct(
    waiting: list[Unit[Context]],
    done: set[str],
    orders: Sequence[Any],
    next_report: Callable[[], tuple[int, str, Any]],
    progress: Callable[[float], object],
) -> None:
    """Hand out units as soon as what they need is done, until all are."""
    idle, running = set(range(len(orders))), dict[int, Unit[Context]]()
    while waiting or running:
        ready = [unit for unit in waiting if done.issuperset(unit.needs)]
        for unit in ready[: len(idle)]:
            number = idle.pop()
            orders[number].put(unit)
            running[number] = unit
            waiting.remove(unit)
        if not running:
            raise RvsenseError(f"units that need what nobody does: {waiting[0].needs}")
        number, word, value = next_report()
        if word == "failed":
            what = running[number].name if number in running else "a process of the evaluation"
            raise RvsenseError(f"{what} failed:\n{value}")
        if word == "done":
            done.add(running.pop(number).name)
            idle.add(number)
        else:
            progress(value * running[number].cost)


def _next_report(
    reports: Any, workers: Sequence[BaseProcess], check_interrupt: Callable[[], None]
) -> tuple[int, str, Any]:
    while True:
        check_interrupt()
        # Looked at before the queue is: what a process said last is then heard.
        ended = [worker.exitcode for worker in workers if worker.exitcode is not None]
        try:
            report: tuple[int, str, Any] = reports.get(timeout=POLL_S)
        except queue.Empty:
            if ended:
                raise RvsenseError(
                    f"a process of the evaluation ended with {ended[0]}; was memory short? Run "
                    "the command again, perhaps with fewer --jobs: what was done is kept"
                ) from None
        else:
            return report


def _work(
    number: int, orders: Any, reports: Any, folder: Path, open_context: Callable[[], Any]
) -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    be_reproducible()
    try:
        context = open_context()
        while True:
            unit = orders.get()
            told = _Told(number, reports)
            do(unit, context, folder, told)
            told.rest()
            reports.put((number, "done", None))
    except (RvsenseError, OSError) as error:
        reports.put((number, "failed", str(error)))
    except Exception:
        reports.put((number, "failed", traceback.format_exc()))


def do(unit: Unit[Context], context: Context, folder: Path, tell: Tell) -> None:
    """Do a unit, and leave its result.

    Raises:
        DiskError: it could not be written.
    """
    result: Mapping[str, Any] = unit.work(context, tell)
    text = json.dumps(result, indent=1, sort_keys=True)
    with naming(result_path(folder, unit.name)):
        write_file(result_path(folder, unit.name), text.encode())


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # nobody is left to report to


class _Told:
    """Passes on how much of a unit is done, a hundredth at a time."""

    def __init__(self, number: int, reports: Any) -> None:
        self._number, self._reports = number, reports
        self.share = self._sent = 0.0

    def __call__(self, share: float) -> None:
        self.share += share
        if self.share - self._sent >= 0.01 or self.share >= 1.0:
            self._reports.put((self._number, "progress", self.share - self._sent))
            self._sent = self.share

    def rest(self) -> None:
        """The unit is done, however much of it was told."""
        self(1.0 - self.share)
