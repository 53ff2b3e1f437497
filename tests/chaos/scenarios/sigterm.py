"""SIGTERM at random moments: the daemon ends well and in time, and the next one goes on from there.

Runs are chained by their state directory: each finds what the one before it has left.
"""

import argparse
import itertools
import random
import signal
import statistics
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from rvsense.daemon.service import STOP_WITHIN_S
from rvsense.learner import checkpoint
from tests.chaos.report import Report, at_most, exactly, told
from tests.chaos.saves import step_of
from tests.chaos.stage import Stage, add_data, balanced, data, staged, unanswered
from tests.whole.running import SMALL

NAME = "sigterm"
HELP = "SIGTERM at random moments: exit 0, in time, with a checkpoint that the next start loads"

WITHIN_S = 5.0
LEARNING_SHARE = 0.8
"""Of the runs end while the learner is up; the others whenever the daemon is."""
MOMENTS_S = 3.0
KILLED = "learner_killed"
DYING_S = 10.0
"""What was killed may take a moment to be gone."""
BAD_SIGNS = (KILLED, "checkpoint_refused", "checkpoint_failed", "checkpoints_set_aside")


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended.

    ready      what the learner said when it came up; None where it had not
    step       of the newest checkpoint on disk; None without one
    told_step  the newest that the daemon knew of
    orphans    processes of its own that were there afterwards
    signs      log lines that say that something went wrong
    """

    exit_status: int
    took_s: float
    ready: dict[str, Any] | None = field(repr=False)
    step: int | None
    told_step: int
    orphans: int
    signs: tuple[str, ...]
    unanswered: int
    balanced: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """How often."""
    add_data(parser)
    parser.add_argument("--count", type=int, default=100, help="runs (100)")


def run(options: argparse.Namespace) -> Report:
    """So many lives, and one more to load what the last of them left."""
    count = 1 if options.quick else options.count
    random_ = random.Random(options.seed)
    replay = ["--replay", data(options, sequences=2, frames=45), "--loop", "--labels", "0.5"]
    ends = []
    for number in range(count + 1):
        last = number == count
        learning = last or options.quick or random_.random() < LEARNING_SHARE
        with staged(options.work, *replay, config=SMALL) as stage:
            ends.append(_end(stage, options.work, learning, random_.random() * MOMENTS_S))
        if not options.quick:
            print(f"{number + 1}/{count + 1} {ends[-1]}", file=sys.stderr, flush=True)
    return _report(ends)


def _end(stage: Stage, work: Path, learning: bool, after_s: float) -> Ended:
    """Wait as drawn, tell it to end, and see how it does."""
    if learning:
        stage.daemon.wait_for("learner_ready")
    time.sleep(after_s)
    status: dict[str, Any] | None = None
    children = psutil.Process(stage.pid).children(recursive=True)
    began = time.monotonic()
    stage.daemon.process.send_signal(signal.SIGTERM)
    with suppress(AssertionError):  # it ended badly: that is to be counted
        status = stage.daemon.finish()
    took_s = time.monotonic() - began
    ready = stage.said("learner_ready")
    return Ended(
        exit_status=stage.daemon.process.returncode,
        took_s=took_s,
        ready=ready[0] if ready else None,
        step=_newest_step(work / "state" / "checkpoints"),
        told_step=status["learner"]["figures"].get("step", 0) if status else 0,
        orphans=len(psutil.wait_procs(children, timeout=DYING_S)[1]),
        signs=tuple(line["event"] for line in stage.daemon.events if line["event"] in BAD_SIGNS),
        unanswered=unanswered(status) if status else 0,
        balanced=status is not None and balanced(status),
    )


def _newest_step(root: Path) -> int | None:
    folders = checkpoint.numbered(root)
    return step_of(folders[-1]) if folders else None


def _report(ends: list[Ended]) -> Report:
    took_s = [end.took_s for end in ends]
    restored = starts = 0
    for before, after in itertools.pairwise(ends):
        if after.ready is not None and before.step is not None:
            starts += 1
            restored += after.ready["restored"] and after.ready["step"] == before.step
    by_itself = [end for end in ends if end.ready and KILLED not in end.signs]
    lost = sum(end.step is None or end.step < end.told_step for end in by_itself)
    signs = [sign for end in ends for sign in end.signs]
    killed = signs.count(KILLED)
    return Report(
        [
            told("runs", len(ends)),
            told(
                "runs that ended while the learner was up", sum(e.ready is not None for e in ends)
            ),
            exactly("exit status 0", sum(e.exit_status == 0 for e in ends), len(ends)),
            at_most("longest from signal to end", max(took_s), WITHIN_S, " s"),
            told("median from signal to end, s", statistics.median(took_s)),
            at_most(
                "learners killed, which had not ended", killed, 0, f" after {STOP_WITHIN_S:g} s"
            ),
            exactly("others that left less than they had learned", lost, 0),
            exactly("starts that went on from the very checkpoint before", restored, starts),
            exactly("processes left behind", sum(e.orphans for e in ends), 0),
            exactly("radar frames without a result", sum(e.unanswered for e in ends), 0),
            exactly("runs whose books balance", sum(e.balanced for e in ends), len(ends)),
            exactly("checkpoints that failed or were refused", len(signs) - killed, 0),
        ],
        notes=[f"{sign}: {count}" for sign, count in sorted(Counter(signs).items())],
    )
