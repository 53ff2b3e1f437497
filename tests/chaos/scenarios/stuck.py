"""Ten subscribers that are stopped beside a healthy one: it does not notice, and they see it.

A device sends radar and camera at 30 fps; the daemon classifies by a model that it has learned
before. Rounds without the ten and rounds with them, stopped, come by turns, since a shared machine
changes its speed. Then ten stand through a flood of long results, and for so long that the daemon
gives them up; and wake.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.traffic import Client, Moment, moments, paced
from tests.chaos.crowd import Crowd
from tests.chaos.feeding import Devices
from tests.chaos.memory import Memory
from tests.chaos.report import Figure, Report, at_least, at_most, exactly, told
from tests.chaos.stage import add_data, balanced, data, staged, unanswered
from tests.whole.running import PATIENCE_S

NAME = "stuck"
HELP = "ten stopped subscribers beside a healthy one: latency, memory, and what they see"

SITE = "site"
MOST_RATIO = 1.1
MOST_MB = 64
SETTLE_S = 1.0
GIVEN_UP_S = 21.0
"""Who answers no heartbeat is hung up on within 20 s."""
FULL = 1000
"""Frames after which all that waits for a camera, which there is none of, is full."""
LONG = {"note": 3500 * "x"}
"""Comes back in each result."""

Words = list[dict[str, Any]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """How long, how often, how many."""
    add_data(parser)
    parser.add_argument("--rounds", type=int, default=8, help="of each kind (8)")
    parser.add_argument("--seconds", type=float, default=14.0, help="a round (14)")
    parser.add_argument("--subscribers", type=int, default=10, help="stopped ones (10)")
    parser.add_argument("--flood", type=int, default=12_000, help="results of 3.5 KB (12,000)")


@dataclass(frozen=True, slots=True)
class Round:
    """What the healthy one got: latency at the 99th percentile, and frames without a result."""

    within_ms: float
    trip_ms: float
    lost: int


def run(options: argparse.Namespace) -> Report:
    """Rounds by turns; then a flood, and the awakening."""
    if options.quick:
        options.rounds, options.seconds, options.flood = 1, 3.0, 0
    played = data(options, sequences=4, frames=20)
    report = Report(_rounds(options, played))
    if options.flood:
        report.figures += _flood(options)
    return report


def _rounds(options: argparse.Namespace, played: str) -> list[Figure]:
    """At 30 fps, with a model where there is time to learn one."""
    if not options.quick:
        learn = ["--replay", played, "--speed", "max", "--labels", "0.5", "--exit-at-end"]
        with staged(options.work, *learn) as stage:
            stage.daemon.finish()
    film, without, beside = moments(Path(played)), list[Round](), list[Round]()
    heard: Words = []
    with staged(options.work, "--no-learn") as stage:
        with Client(stage.endpoints) as client:
            client.join(film[0], SITE)
            first = _round(client, film, options.seconds)
            with Memory(stage.pid) as memory:
                for _ in range(options.rounds):
                    without.append(_round(client, film, options.seconds))
                    with Crowd(stage.endpoints["results"], options.subscribers) as crowd:
                        crowd.stop()
                        beside.append(_round(client, film, options.seconds))
                        crowd.wake()
                        heard += crowd.tell()
        status = stage.daemon.stop()
    lost = sum(one.lost for one in (first, *without, *beside))
    return [
        told("rounds of each kind", f"{options.rounds} of {options.seconds:g} s"),
        *_ratio(
            "received to published", [r.within_ms for r in without], [r.within_ms for r in beside]
        ),
        *_ratio("socket to result", [r.trip_ms for r in without], [r.trip_ms for r in beside]),
        told("classified by a model", str(status["model"] is not None)),
        told("radar frames", status["serving"]["radar"]),
        exactly("radar frames without a result", unanswered(status), 0),
        exactly("results that the healthy one missed", lost, 0),
        exactly("books balance", str(balanced(status)), "True"),
        at_most("memory grew by", memory.growth_mb, MOST_MB, " MB"),
        exactly("results unknown to who was stopped", _unknown(heard), 0),
        told("results that who was stopped for a round lost", sum(w["missed"] for w in heard)),
    ]


def _round(client: Client, film: Sequence[Moment], seconds: float) -> Round:
    """Frames at 30 fps, after a moment of rest."""
    time.sleep(SETTLE_S)
    client.forget()
    paced(client, [SITE], film, seconds, camera=True)
    trips = list(client.trips().values())
    came = [trip for trip in trips if trip is not None]
    within_ms = _p99([1e3 * trip.daemon_s for trip in came])
    return Round(within_ms, _p99([1e3 * trip.round_s for trip in came]), len(trips) - len(came))


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def _ratio(what: str, without: Sequence[float], beside: Sequence[float]) -> list[Figure]:
    """Medians of rounds, and their ratio."""
    before_ms, after_ms = statistics.median(without), statistics.median(beside)
    by_round = sorted(b / a for a, b in zip(without, beside, strict=True))
    spread = f"{by_round[0]:.2f} to {by_round[-1]:.2f}"
    return [
        told(f"{what}: p99 without them, ms", before_ms),
        told(f"{what}: p99 with them, ms", after_ms),
        at_most(f"{what}: times", after_ms / before_ms, MOST_RATIO, " times"),
        told(f"{what}: times, round by round", spread),
    ]


def _unknown(heard: Words) -> int:
    """Results that somebody neither got nor counted as missed, or got out of order."""
    unknown = 0
    for words in heard:
        seen = sum(last - first + 1 - got for first, last, got in words["got"].values())
        unknown += abs(seen - words["missed"]) + words["backward"]
    return unknown


def _flood(options: argparse.Namespace) -> list[Figure]:
    """Long results as fast as they come, by no model, past ten that are stopped; then they wake."""
    count = options.subscribers
    with staged(options.work, "--no-learn", state="flood") as stage:
        with (
            Devices(stage.endpoints) as devices,
            Crowd(stage.endpoints["results"], count) as crowd,
        ):
            _send(devices, FULL)
            before = stage.status()["serving"]["subscribers"]
            crowd.stop()
            began = time.monotonic()
            with Memory(stage.pid) as memory:
                _send(devices, options.flood)
                flood_s = time.monotonic() - began
                time.sleep(max(0.0, GIVEN_UP_S - flood_s))
            given_up = before - stage.status()["serving"]["subscribers"]
            _send(devices, 1)
            crowd.wake()
            ends = time.monotonic() + PATIENCE_S
            while stage.status()["serving"]["subscribers"] < before and time.monotonic() < ends:
                time.sleep(0.1)
            _send(devices, 1)
            time.sleep(SETTLE_S)
            heard = crowd.tell()
        status = stage.daemon.stop()
    newest = devices.sent[SITE] - 1
    return [
        told("flood: results a second", options.flood / flood_s),
        exactly("flood: radar frames without a result", unanswered(status), 0),
        exactly("flood: results that the healthy one missed", devices.missed, 0),
        at_most("flood: memory grew by", memory.growth_mb, MOST_MB, " MB"),
        exactly("flood: stopped ones that were given up", given_up, count),
        at_least("woken: results that the luckiest lost", min(w["missed"] for w in heard), 1),
        exactly("woken: results unknown to them", _unknown(heard), 0),
        exactly(
            "woken: of them that are up to date",
            sum(w["got"][SITE][1] == newest for w in heard),
            count,
        ),
    ]


def _send(devices: Devices, count: int) -> None:
    """So many frames whose results are long, and wait for them."""
    for number in range(count):
        devices.radar(SITE, number, source=LONG)
    devices.settle()
