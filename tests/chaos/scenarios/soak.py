"""A real run at 30 fps with everything on: what grows, what slows down, what is lost.

A replay goes round and round, the learner learns and publishes, an operator labels a frame every
few seconds, one subscriber follows, and somebody scrapes the pages once a second.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import psutil

from tests.chaos import vitals
from tests.chaos.following import Following
from tests.chaos.labeller import Operator
from tests.chaos.report import Figure, Report, at_least, at_most, exactly, told
from tests.chaos.stage import Stage, add_data, balanced, data, staged, unanswered
from tests.whole.running import SMALL

NAME = "soak"
HELP = "a real run at 30 fps: slope of memory, descriptors, threads, latency by quarters"

CONFIG = """
[pairing]
thin_rate_hz = 30.0
[learning]
preset = "edge"
pool_pairs = 512
queue = 1024
max_labels = 64
publish_every_steps = 50
checkpoint_every_s = 20.0
[serving]
exam_labels = 8
"""
"""The defaults, but pool, queue, labels and exam are full after some minutes, and much is
published."""
WARM_UP = 0.25
"""Of the run: by then what is bounded is full."""
LABEL_EVERY_S = 5.0
TELL_EVERY_S = 30.0
MOST_RATIO = 1.25
QUICK_MINUTES = 0.15
FIRST_MODEL_WITHIN_S = 900.0
"""The learner is nice, and the machine may be busy."""


@dataclass(slots=True)
class Run:
    """What was seen, second by second. `results` is how many had come at each look."""

    daemon: list[vitals.Look] = field(default_factory=list)
    learner: list[vitals.Look] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    scrapes_s: list[float] = field(default_factory=list)
    sick: int = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """How long."""
    add_data(parser)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (20)")


def run(options: argparse.Namespace) -> Report:
    """Look on, then add up."""
    minutes = QUICK_MINUTES if options.quick else options.minutes
    played = data(options, sequences=4, frames=90)
    seen = Run()
    replay = ["--replay", played, "--loop", "--labels", "0.2"]
    with staged(options.work, *replay, config=SMALL if options.quick else CONFIG) as stage:
        learner = psutil.Process(stage.daemon.wait_for("learner_ready")["pid"])
        stage.daemon.wait_for("model_swapped", patience_s=FIRST_MODEL_WITHIN_S)
        with (
            Following(stage.endpoints["results"]) as follower,
            Operator(stage.endpoints, played, LABEL_EVERY_S) as operator,
        ):
            began = time.monotonic()
            for second in range(1, round(60 * minutes) + 1):
                time.sleep(max(0.0, began + second - time.monotonic()))
                _look(seen, stage, learner, follower)
                if second % TELL_EVERY_S == 0:
                    _tell(second, seen)
            took_s = time.monotonic() - began
        failures = stage.metric("rvsense_checkpoint_failures_total")
        status = stage.daemon.stop()
    complaints = [line for line in stage.daemon.events if line["level"] == "error"]
    figures = status["learner"]["figures"]
    return Report(
        [
            told("minutes", took_s / 60),
            told("radar frames a second", len(follower.latencies_ms) / took_s),
            at_least("training steps", figures["step"], 1),
            told("models that served", len(follower.models)),
            told("labels by the operator", operator.labelled),
            *vitals.figures("daemon", _settled(seen.daemon)),
            *vitals.figures("learner", _settled(seen.learner)),
            *_latency(seen, follower.latencies_ms),
            told("median time of a scrape, ms", 1e3 * statistics.median(seen.scrapes_s)),
            exactly("looks at which it was not live and ready", seen.sick, 0),
            exactly("radar frames without a result", unanswered(status), 0),
            exactly("results that the subscriber missed", follower.missed, 0),
            exactly("books balance", str(balanced(status)), "True"),
            exactly("restarts of the learner", status["learner"]["restarts"], 0),
            exactly("failed checkpoints", int(failures), 0),
            at_least("labels taught", status["labels"]["taught"], 1),
            exactly("log lines of errors", len(complaints), 0),
            told("log lines", len(stage.daemon.lines)),
        ],
        notes=sorted({line["event"] for line in complaints}),
    )


def _look(seen: Run, stage: Stage, learner: psutil.Process, follower: Following) -> None:
    began = time.monotonic()
    stage.page("/metrics")
    stage.page("/statusz")
    seen.scrapes_s.append(time.monotonic() - began)
    seen.sick += not stage.is_well()
    seen.daemon.append(vitals.look(psutil.Process(stage.pid)))
    seen.learner.append(vitals.look(learner))
    seen.results.append(len(follower.latencies_ms))


def _settled(looks: Sequence[vitals.Look]) -> Sequence[vitals.Look]:
    return looks[int(WARM_UP * len(looks)) :]


def _latency(seen: Run, latencies_ms: Sequence[float]) -> list[Figure]:
    """p99 of the quarters after the warm-up."""
    starts = seen.results[int(WARM_UP * len(seen.results))]
    marks = [round(starts + part * (seen.results[-1] - starts) / 4) for part in range(5)]
    p99_ms = [
        statistics.quantiles(latencies_ms[low:high], n=100, method="inclusive")[98]
        for low, high in pairwise(marks)
    ]
    return [
        told("p99 of latency by quarters, ms", ", ".join(f"{value:.1f}" for value in p99_ms)),
        at_most(
            "p99 of the last quarter to the first", p99_ms[-1] / p99_ms[0], MOST_RATIO, " times"
        ),
    ]


def _tell(second: int, seen: Run) -> None:
    both = f"daemon {seen.daemon[-1].memory_mb:.1f} MB, learner {seen.learner[-1].memory_mb:.1f} MB"
    line = f"{second / 60:.1f} min: {both}, {seen.results[-1]} results"
    print(line, file=sys.stderr, flush=True)
