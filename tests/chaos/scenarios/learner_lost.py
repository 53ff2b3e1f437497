"""The learner is lost in every way there is; serving misses nothing, and learning comes back.

killed     SIGKILL, again and again: the pause before each start grows
hung       SIGSTOP: it says nothing for hang_timeout_s, and is replaced
crashing   it ends at every start, until what it trips over is gone
diverging  steps of a size that no loss stays finite under: skipped, then rolled back
"""

import argparse
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rvsense.daemon.backoff import Backoff
from rvsense.learner.lock import NAME as LOCK
from tests.chaos.listening import Listener
from tests.chaos.report import Figure, Report, at_least, exactly, told
from tests.chaos.served import PLAYED, SMALL, of, served
from tests.chaos.stage import Stage, add_data, data, staged

NAME = "learner-lost"
HELP = "the learner is killed, hangs, crashes at every start, diverges"

HANG_TIMEOUT_S = 8
DIVERGING = """
learning_rate = 10.0
weight_decay = 1.0
warmup_steps = 0
max_nonfinite_steps = 2
"""
"""Each step turns a weight w into -9 w, and more by its momentum."""
SETTLE_S = 2.0
"""A learner lives for up to so long before it is hit."""
PATIENCE_S = 240.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is done, and how often."""
    add_data(parser)
    acts = ("killed", "hung", "crashing", "diverging")
    parser.add_argument("--act", choices=acts, action="append", help="only this (all)")
    parser.add_argument("--times", type=int, help="that each is done (6)")


def run(options: argparse.Namespace) -> Report:
    """Each act with a daemon of its own."""
    times = options.times or (1 if options.quick else 6)
    random_ = random.Random(options.seed)
    dataset = data(options, sequences=4, frames=20)
    acts: dict[str, tuple[Act, str]] = {
        "killed": (killed, ""),
        "hung": (hung, f"hang_timeout_s = {HANG_TIMEOUT_S}\n"),
        "crashing": (crashing, ""),
        "diverging": (diverging, DIVERGING),
    }
    figures: list[Figure] = []
    for name in options.act or acts:
        act, settings = acts[name]
        replay = ("--replay", dataset, *PLAYED)
        state_dir: Path = options.work / name
        if act is crashing:
            _trip(state_dir)
        with (
            staged(options.work, *replay, state=name, config=SMALL + settings) as stage,
            Listener(stage.endpoints["results"]) as listener,
        ):
            rows = act(stage, state_dir, times, random_)
            status = stage.daemon.stop()
        figures += of(name, [*rows, *served(status, listener)])
    return Report(figures)


Act = Callable[[Stage, Path, int, random.Random], list[Figure]]


def killed(stage: Stage, state_dir: Path, times: int, random_: random.Random) -> list[Figure]:
    """SIGKILL, some time after it has come up."""
    behind = 0
    ready = stage.daemon.wait_for("learner_ready")
    for _ in range(times):
        time.sleep(random_.random() * SETTLE_S)
        os.kill(ready["pid"], signal.SIGKILL)
        stage.daemon.wait_for("learner_ended", exit_status=-signal.SIGKILL)
        before, ready = ready, stage.daemon.wait_for("learner_ready")
        behind += not ready["restored"] or ready["step"] < before["step"]
    return [*_restarts(stage, times), exactly("restarts without a checkpoint", behind, 0)]


def hung(stage: Stage, state_dir: Path, times: int, random_: random.Random) -> list[Figure]:
    """SIGSTOP; what is stopped can only be killed."""
    for _ in range(times):
        ready = stage.daemon.wait_for("learner_ready")
        time.sleep(random_.random() * SETTLE_S)
        os.kill(ready["pid"], signal.SIGSTOP)
        stage.daemon.wait_for("learner_hung")
        stage.daemon.wait_for("learner_ended", exit_status=-signal.SIGKILL)
    stage.daemon.wait_for("learner_ready")
    return [
        exactly("log lines: learner_hung", len(stage.said("learner_hung")), times),
        *_restarts(stage, times),
    ]


def crashing(stage: Stage, state_dir: Path, times: int, random_: random.Random) -> list[Figure]:
    """Its lock is a folder, which no program of ours makes; then it is not."""
    for _ in range(times):
        stage.daemon.wait_for("learner_ended", exit_status=1)
    down = stage.metric("rvsense_learner_up")
    (state_dir / LOCK).rmdir()
    stage.daemon.wait_for("learner_ready")
    return [
        exactly("rvsense_learner_up meanwhile", int(down), 0),
        at_least("lines of the learner that say what it is", _count(stage, LOCK), times),
        *_restarts(stage, len(stage.said("learner_ended"))),
    ]


def diverging(stage: Stage, state_dir: Path, times: int, random_: random.Random) -> list[Figure]:
    """Every loss is finite only for a while; the learner itself lives on."""
    for _ in range(times):
        stage.daemon.wait_for("rolled_back")
    skipped = _metric_above(stage, "rvsense_nonfinite_steps_total", 2 * times)
    rolled_back = _metric_above(stage, "rvsense_training_rollbacks_total", times)
    return [
        at_least("log lines: nonfinite_step", len(stage.said("nonfinite_step")), 1),
        at_least("rvsense_nonfinite_steps_total", skipped, 2 * times),
        at_least("rvsense_training_rollbacks_total", rolled_back, times),
        exactly("learner_ended", len(stage.said("learner_ended")), 0),
    ]


def _trip(state_dir: Path) -> None:
    (state_dir / LOCK).mkdir(parents=True)


def _restarts(stage: Stage, times: int) -> list[Figure]:
    """What log and metrics say of them, and whether each pause was as long as it must be."""
    counted = _metric_above(stage, "rvsense_learner_restarts_total", times)
    up = _metric_above(stage, "rvsense_learner_up", 1)
    pauses = [line["restart_in_s"] for line in stage.said("learner_ended")]
    return [
        exactly("log lines: learner_ended", len(pauses), times),
        exactly("rvsense_learner_restarts_total", int(counted), times),
        exactly("rvsense_learner_up in the end", int(up), 1),
        told("pauses before a restart, s", " ".join(f"{pause_s:g}" for pause_s in pauses)),
        exactly("pauses as back-off has them", str(pauses == _back_off(stage)), "True"),
    ]


def _back_off(stage: Stage) -> list[float]:
    """The pauses that are due, by how long each learner had run."""
    backoff, due = Backoff(), []
    started_s = _at(stage.said("ready")[0])
    for line in stage.said("learner_ended"):
        due.append(round(backoff.delay_s(_at(line) - started_s), 2))
        started_s = _at(line) + due[-1]
    return due


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def _metric_above(stage: Stage, name: str, wanted: float) -> float:
    """A metric once it is as large as wanted: it comes with the next figures."""
    give_up_at = time.monotonic() + PATIENCE_S
    while (value := stage.metric(name)) < wanted and time.monotonic() < give_up_at:
        time.sleep(0.1)
    return value


def _count(stage: Stage, word: str) -> int:
    return sum(word in line for line in stage.daemon.lines)
