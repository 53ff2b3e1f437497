"""Clocks that are set and clocks that drift: this machine's, and those of the devices.

    the machine's   a daemon and its children see a wall clock an hour behind, then an hour ahead
    the devices'    stamps jump by an hour, declared by a new epoch or not, of both or of one
    drift           the camera's clock runs faster than the radar's by 200 ppm, or slower

The clock of the machine that this runs on is never set.
"""

import argparse
import itertools
import random
import time
from dataclasses import replace
from itertools import pairwise

from rvsense import Subscriber, subscribe
from rvsense.results import Result
from tests.chaos import faking, stamps
from tests.chaos.feeding import Devices
from tests.chaos.report import Figure, Report, at_least, exactly, told
from tests.chaos.stage import Stage, add_data, balanced, data, staged, unanswered

NAME = "clock"
HELP = "the wall clock set by an hour, stamps that jump by an hour, 200 ppm of drift"

HOUR_S = 3600
HOUR_NS = HOUR_S * 1_000_000_000
SET_H = (-1, 1, 1, -1)
"""By so many hours, one after the other."""
LOOK_EVERY = 30
"""Results between two looks at its health."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """How long."""
    add_data(parser)
    parser.add_argument("--phase", type=float, default=12.0, help="seconds at each hour (12)")
    parser.add_argument("--drift-minutes", type=float, default=10.0, help="simulated (10)")


def run(options: argparse.Namespace) -> Report:
    """The machine's clock, then those of the devices."""
    report = Report()
    phase_s = 2.0 if options.quick else options.phase
    minutes = 0.5 if options.quick else options.drift_minutes
    if (cc := faking.compiler()) is None:
        report.notes.append(f"the machine's clock: skipped, {faking.HINT}")
    else:
        report.figures += _machine(options, cc, phase_s)
    random_ = random.Random(options.seed)
    with staged(options.work, "--no-learn", state="devices") as stage:
        with Devices(stage.endpoints) as devices:
            stories = [*stamps.jumps(devices, stage, random_, 150 if options.quick else 900)]
            stories += stamps.drift(devices, stage, random_, round(minutes * 60 * 30))
            broken = devices.order_broken
        status = stage.daemon.stop()
    report.figures += [
        *(figure for story in stories for figure in story.figures(status)),
        told("frames of devices with such clocks", status["serving"]["radar"]),
        exactly("of them without a result", unanswered(status), 0),
        exactly("results out of capture order", broken, 0),
        exactly("books balance", str(balanced(status)), "True"),
    ]
    return report


class _Seen:
    """Results with when they came, by a clock that nobody sets, and what else was looked at."""

    def __init__(self) -> None:
        self.results: list[tuple[float, Result]] = []
        self.pairs: list[int] = []
        self.sick = 0

    def watch(self, stage: Stage, subscriber: Subscriber, seconds: float) -> None:
        """Look on for a while."""
        self.pairs.append(stage.status()["pairing"]["pairs"])
        ends = time.monotonic() + seconds
        while (now := time.monotonic()) < ends:
            if result := subscriber.receive(min(ends - now, 1.0)):
                self.results.append((time.monotonic(), result))
            if result is None or len(self.results) % LOOK_EVERY == 0:
                self.sick += not stage.is_well()

    def figures(self) -> list[Figure]:
        """What the results tell."""
        both = list(pairwise(self.results))
        jumps = [round((b.published_ns - a.published_ns) / HOUR_NS) for (_, a), (_, b) in both]
        waits_s = [b - a for (a, _), (b, _) in both]
        latencies_ms = [(r.published_ns - r.received_ns) / 1e6 for _, r in self.results]
        pairs = [b - a for a, b in pairwise(self.pairs)]
        return [
            exactly("hours it was set by", str([j for j in jumps if j]), str(list(SET_H))),
            told("results", len(self.results)),
            told("longest wait for the next result, s", max(waits_s)),
            at_least("least latency, ms", min(latencies_ms), 0.0),
            told("greatest latency, ms", max(latencies_ms)),
            at_least("fewest pairs between two of these", min(pairs), 1),
            exactly("looks at which it was not live and ready", self.sick, 0),
        ]


def _machine(options: argparse.Namespace, cc: str, phase_s: float) -> list[Figure]:
    """A replay goes on while the wall clock of daemon and children is set."""
    clock, seen, learn = faking.WallClock(options.work, cc), _Seen(), not options.quick
    replay = ["--replay", data(options, sequences=2, frames=90), "--loop"]
    replay += ["--labels", "0.5"] if learn else ["--no-learn"]
    with staged(options.work, *replay, environment=clock.environment) as stage:
        if learn:
            stage.daemon.wait_for("learner_ready")
        with subscribe(stage.endpoints["results"]) as subscriber:
            for ahead_h in itertools.accumulate((0, *SET_H)):
                clock.set(ahead_h * HOUR_S)
                seen.watch(stage, subscriber, phase_s)
            seen.watch(stage, subscriber, 0.0)
            missed = subscriber.missed
        ended = len(stage.said("learner_hung")) + len(stage.said("learner_ended"))
        status = stage.daemon.stop()
    figures = [
        *seen.figures(),
        exactly("learners that ended, or were taken to hang", ended, 0),
        exactly("results that a subscriber missed", missed, 0),
        exactly("radar frames without a result", unanswered(status), 0),
        exactly("books balance", str(balanced(status)), "True"),
    ]
    if learn:
        steps = status["learner"]["figures"].get("step", 0)
        figures.append(at_least("training steps", steps, 1))
    return [replace(figure, what=f"the machine's clock: {figure.what}") for figure in figures]
