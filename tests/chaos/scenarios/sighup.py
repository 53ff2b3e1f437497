"""SIGHUP again and again while frames come in: good configurations are taken, bad ones are not.

The service manager is told of each reload and its outcome, so none is missed and the next one
waits for it. A storm of signals follows that nobody waits for. Bad files carry good settings as
well: were any of them taken, the next good file would have something to put right, and say so.
"""

import argparse
import itertools
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from tests.chaos.following import Following
from tests.chaos.manager import Manager
from tests.chaos.report import Figure, Report, at_most, exactly, told
from tests.chaos.stage import Stage, add_data, balanced, data, staged, unanswered
from tests.whole.running import PATIENCE_S, SMALL

NAME = "sighup"
HELP = "SIGHUP again and again during a replay, good and bad configurations by turns"

TAKEN, REFUSED = "reloaded", "the new configuration is refused; see the log"
LINES_A_MINUTE = 300
"""Of one event; the rest is counted (rvsense.logs.RateBound)."""
BAD: dict[str, bytes | None] = {
    "out of range": b"[serving]\nmin_confidence = 0.9\nmax_batch = 0\n",
    "unknown key": b"[serving]\nmin_confidence = 0.9\nmin_confidense = 0.9\n",
    "no TOML": b"[serving]\nmin_confidence = 0.9\n[serving\n",
    "half written": b"[serving]\nmin_confidence = 0.9\nmax_batch =",
    "no text": b"[serving]\nmin_confidence = 0.9 # \xff\xfe\n",
    "endless": b"[serving]\nmin_confidence = " + 5000 * b"[",
    "impossible together": b"[serving]\nmin_confidence = 0.9\n[learning]\nwarmup_steps = 9\n"
    b"total_steps = 8\n",
    "not there": None,
}
GOOD = (0.3, 0.3, 0.5, 0.5)
"""`min_confidence` of one good file after the other: every second one changes nothing."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """How often."""
    add_data(parser)
    parser.add_argument("--count", type=int, default=1000, help="signals (1000)")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two (0.05)")


def run(options: argparse.Namespace) -> Report:
    """Reload, wait, reload; then a storm."""
    count = 40 if options.quick else options.count
    random_ = random.Random(options.seed)
    replay = ["--replay", data(options, sequences=2, frames=45), "--loop", "--no-learn"]
    with (
        Manager(options.work) as manager,
        staged(options.work, *replay, environment=manager.environment) as stage,
    ):
        manager.ready()
        with Following(stage.endpoints["results"]) as follower:
            began, outcomes = time.monotonic(), Counter[str]()
            files = zip(itertools.cycle(GOOD), _bad(random_), strict=False)
            turns = itertools.chain.from_iterable(files)
            for content in itertools.islice(turns, count):
                outcomes[_reload(stage, manager, options.work, content)] += 1
                time.sleep(options.pause)
            _storm(stage, options.work, count)
        successful = stage.metric("rvsense_config_last_reload_successful")
        status = stage.daemon.stop()
        took_s = time.monotonic() - began
    report = Report()
    report.figures = [
        told("signals that were waited for", count),
        exactly("of them taken", outcomes[TAKEN], count - count // 2),
        exactly("of them refused, the old stays", outcomes[REFUSED], count // 2),
        exactly("settings taken out of bad files", _taken_wrongly(stage, outcomes[TAKEN]), 0),
        told("signals more, not waited for", count),
        exactly("rvsense_config_last_reload_successful at the end", int(successful), 1),
        told("radar frames meanwhile", status["serving"]["radar"]),
        exactly("radar frames without a result", unanswered(status), 0),
        exactly("results that a subscriber missed", follower.missed, 0),
        exactly("books balance", str(balanced(status)), "True"),
        _lines(stage, "reloaded", took_s),
        _lines(stage, "reload_refused", took_s),
    ]
    return report


def _bad(random_: random.Random) -> "itertools.chain[bytes | None]":
    """Each kind in turn, in an order that is drawn again and again."""
    return itertools.chain.from_iterable(
        random_.sample(list(BAD.values()), len(BAD)) for _ in itertools.count()
    )


def _reload(stage: Stage, manager: Manager, work: Path, content: float | bytes | None) -> str:
    """Reload a configuration; how that ended."""
    _write(work, content)
    os.kill(stage.pid, signal.SIGHUP)
    return manager.ready()


def _storm(stage: Stage, work: Path, count: int) -> None:
    """As many signals at once as the kernel passes on, then an end that is known to be good."""
    for _ in range(count):
        os.kill(stage.pid, signal.SIGHUP)
    _write(work, GOOD[0])
    os.kill(stage.pid, signal.SIGHUP)
    ends = time.monotonic() + PATIENCE_S
    while stage.metric("rvsense_config_last_reload_successful") < 1 and time.monotonic() < ends:
        time.sleep(0.1)


def _write(work: Path, content: float | bytes | None) -> None:
    """Put a configuration in the place of the one that is there, in one piece."""
    path = work / "config.toml"
    if content is None:
        path.unlink()
        return
    if isinstance(content, float):
        content = f"{SMALL}\n[serving]\nmin_confidence = {content}\n".encode()
    aside = work / "config.aside"
    aside.write_bytes(content)
    aside.replace(path)


def _taken_wrongly(stage: Stage, taken: int) -> int:
    """Reloads that had anything else to do than their file asked for, as far as lines were kept."""
    lines = itertools.takewhile(lambda line: "not_logged" not in line, stage.said("reloaded"))
    first = list(lines)[: min(taken, LINES_A_MINUTE)]
    expected = itertools.cycle((["serving.min_confidence"], []))
    return sum(line["applied"] != applied for line, applied in zip(first, expected, strict=False))


def _lines(stage: Stage, event: str, took_s: float) -> Figure:
    """How many lines there were, of how many at most."""
    most = LINES_A_MINUTE * (1 + int(took_s // 60))
    return at_most(f"lines of {event}", len(stage.said(event)), most)
